"""Modules in a pickle as data: NVIDIA's persistent classes, torch's own, and their tensors by name."""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from raw_pickles import Call, Global, dump, persistent_call, pickled_tensor
from torch import nn

from core.errors import BadCheckpoint
from core.importing.read.reading import PersistentObject, persistent_tensors, read_checkpoint

PROTOCOLS = [2, 3, 4, 5]


def read(folder: Path, data: bytes) -> Any:
    path = folder / "some.pkl"
    path.write_bytes(data)
    return read_checkpoint(path).content


class Counting(nn.Module):
    """With a buffer that its state dict leaves out, one that is not there, and a parameter that is not."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3))
        self.register_parameter("bias", None)
        self.register_buffer("steps", torch.tensor([1, 2]))
        self.register_buffer("scratch", torch.zeros(9), persistent=False)
        self.register_buffer("nothing", None)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_torchs_own_modules_are_data_and_their_tensors_a_state_dict(protocol: int, tmp_path: Path) -> None:
    module = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ModuleList([nn.BatchNorm2d(3), nn.PReLU(3)]), nn.Flatten())
    found = read(tmp_path, pickle.dumps(module, protocol))
    assert isinstance(found, PersistentObject)
    assert found.class_name == "torch.nn.modules.container.Sequential"
    assert found.state["_modules"]["1"].class_name == "torch.nn.modules.container.ModuleList"
    assert found.state["_modules"]["0"].state["kernel_size"] == (3, 3)
    wanted, tensors = module.state_dict(), persistent_tensors(found)
    assert list(tensors) == list(wanted)
    assert all(torch.equal(tensors[name], wanted[name]) for name in wanted)


def attributes(module: nn.Module) -> dict[str, Any]:
    """A module's attributes, its tensors as a plain pickle holds them."""
    state = dict(vars(module))
    for kind in ("_parameters", "_buffers"):
        members = ((name, None if t is None else pickled_tensor(t.data)) for name, t in state[kind].items())
        state[kind] = OrderedDict(members)
    return state


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nvidias_persistent_classes_are_data_without_their_source(protocol: int, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    source = f"open({str(marker)!r}, 'w')\n"
    inner = Counting()
    options = Call("copyreg._reconstructor", Global("dnnlib.util.EasyDict"), Global("builtins.object"), None)
    state = {
        **attributes(nn.Module()),
        "_modules": OrderedDict(mapping=persistent_call("MappingNetwork", attributes(inner), source)),
        "_init_args": (),
        "_init_kwargs": {"synthesis_kwargs": {"num_fp16_res": 4}},
        "img_resolution": 64,
        "options": options,
    }
    content = {"G_ema": persistent_call("Generator", state, source), "augment_pipe": None}
    found = read(tmp_path, dump(content, protocol))
    assert found["augment_pipe"] is None
    generator = found["G_ema"]
    assert generator.class_name == "Generator"
    assert generator.state["img_resolution"] == 64
    assert generator.state["options"] == {}
    assert generator.state["_init_kwargs"] == {"synthesis_kwargs": {"num_fp16_res": 4}}
    assert generator.state["_modules"]["mapping"].class_name == "MappingNetwork"
    tensors = persistent_tensors(generator)
    assert list(tensors) == ["mapping.weight", "mapping.steps"]
    assert torch.equal(tensors["mapping.weight"], inner.weight)
    assert torch.equal(tensors["mapping.steps"], inner.steps)
    assert source not in repr(found)
    assert not marker.exists()


def test_a_dictionary_class_keeps_its_entries(tmp_path: Path) -> None:
    # An easy dictionary as pickle writes a dict's subclass: made empty, then filled.
    code = b"\x80\x03cdnnlib.util\nEasyDict\n)\x81(X\x04\0\0\0sizeK\x40X\x04\0\0\0pathNu."
    assert read(tmp_path, code) == {"size": 64, "path": None}


def test_a_namespace_of_a_module_that_is_not_here_is_a_dictionary(tmp_path: Path) -> None:
    code = b"\x80\x03cyacs.config\nCfgNode\n)\x81}X\x04\0\0\0sizeK\x40sb."
    assert read(tmp_path, code) == {"size": 64}


def test_parts_found_twice_are_read_once(tmp_path: Path) -> None:
    tensor = torch.randn(5)
    found = read(tmp_path, pickle.dumps([tensor, {"again": tensor}]))
    assert found[0] is found[1]["again"]


@pytest.mark.parametrize(
    "name",
    ["dnnlib.tflib.network.Network", "dnnlib.tflib.custom.Thing", "tfutil.Network", "tensorflow.Session"],
)
def test_tensorflow_pickles_are_refused_with_advice(name: str, tmp_path: Path) -> None:
    networks = tuple(Call(name, state={"version": 4}) for _ in range(3))
    with pytest.raises(BadCheckpoint, match=r"TensorFlow.*PyTorch pickle.*legacy\.py.*rosinality"):
        read(tmp_path, dump(networks, 3))


@pytest.mark.parametrize(
    "state",
    [
        {"_parameters": None, "_buffers": 3, "_modules": "x", "_non_persistent_buffers_set": 5},
        {"_parameters": {"w": 3, 5: None}, "_modules": {"m": {"_parameters": {}}}},
        {},
    ],
)
def test_an_object_that_is_no_module_has_no_tensors(state: dict[str, Any]) -> None:
    assert persistent_tensors(PersistentObject("Odd", state)) == {}
