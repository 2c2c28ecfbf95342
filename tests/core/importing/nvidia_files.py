"""Writes random-weight generators as StyleGAN2-ADA-PyTorch pickles them, in any size.

A pickle of theirs calls `torch_utils.persistence._reconstruct_persistent_obj` with the source of the class
(here a line that must never run) and the module's attributes. Weights have unit variance as the format's
have; biases and noise strengths are random, so that nothing is trivially zero; toRGB's are small enough that
pictures are of order 1.
"""

import math
import pickle
import sys
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from rosinality_files import widths
from torch import Tensor

SOURCE = "raise SystemExit('the source in a pickle was run')\n"


@dataclass
class Module:
    """A module to be pickled: what its __dict__ holds."""

    class_name: str
    attributes: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, Tensor] = field(default_factory=dict)
    buffers: dict[str, Tensor] = field(default_factory=dict)
    modules: dict[str, "Module"] = field(default_factory=dict)

    def at(self, path: str) -> "Module":
        """The module of this dotted name within."""
        name, _, rest = path.partition(".")
        return self.modules[name].at(rest) if rest else self.modules[name]

    def tensors(self) -> dict[str, Tensor]:
        """As `state_dict()` names them."""
        found = {**self.parameters, **self.buffers}
        for name, module in self.modules.items():
            found |= {f"{name}.{inner}": t for inner, t in module.tensors().items()}
        return found

    def state(self) -> dict[str, Any]:
        """The attributes of the real module, those that torch gives any module included."""
        base = dict(torch.nn.Module().__dict__)
        frozen = {k: torch.nn.Parameter(t, requires_grad=False) for k, t in self.parameters.items()}
        base.update(training=False, _parameters=OrderedDict(frozen), _buffers=OrderedDict(self.buffers))
        base.update(_modules=OrderedDict(self.modules), **self.attributes)
        return {**base, "_init_args": (), "_init_kwargs": _EasyDict()}


class _EasyDict(dict):  # type: ignore[type-arg]
    """Pickled as `dnnlib.util.EasyDict`, a dictionary."""


def _reconstruct_persistent_obj(meta: dict[str, Any]) -> None:
    raise AssertionError("a pickle's function was called")


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        if not isinstance(obj, Module):
            return NotImplemented
        meta = {"type": "class", "version": 6, "module_src": SOURCE, "class_name": obj.class_name}
        return _reconstruct_persistent_obj, ({**meta, "state": obj.state()},)


def save(path: Path, content: Any) -> None:
    """Pickle, with the two names of NVIDIA's own modules that theirs refer to."""
    persistence, util = ModuleType("torch_utils.persistence"), ModuleType("dnnlib.util")
    for module, name, thing in (
        (persistence, "_reconstruct_persistent_obj", _reconstruct_persistent_obj),
        (util, "EasyDict", _EasyDict),
    ):
        setattr(module, name, thing)
        thing.__module__, thing.__qualname__, thing.__name__ = module.__name__, name, name
    theirs = {m.__name__: m for m in (ModuleType("torch_utils"), persistence, ModuleType("dnnlib"), util)}
    with patch.dict(sys.modules, theirs), path.open("wb") as file:
        _Pickler(file).dump(content)


def write_nvidia(path: Path, resolution: int, **options: Any) -> dict[str, Tensor]:
    """Write a training snapshot of `generator(resolution, **options)`; returns the generator's tensors."""
    made = generator(resolution, **options)
    other = Module("Discriminator", {"c_dim": 0}, {"weight": torch.zeros(1)})
    save(path, {"training_set_kwargs": _EasyDict(), "G": made, "D": other, "G_ema": made})
    return made.tensors()


def generator(
    resolution: int,
    narrow: int | None = 16,
    w_dim: int = 32,
    mapping_layers: int = 8,
    seed: int = 0,
    conv_clamp: float | None = 256,
    num_fp16_res: int = 4,
    use_noise: bool = True,
    lr_multiplier: float = 0.01,
) -> Module:
    """A generator with random weights. Full config F: narrow=None, w_dim=512.

    narrow: the width at 4 px, None for config F's 512.
    """
    make = _Maker(torch.Generator().manual_seed(seed), w_dim, conv_clamp, use_noise)
    channels = widths(resolution, narrow)
    synthesis = Module("SynthesisNetwork", {"w_dim": w_dim, "img_resolution": resolution, "img_channels": 3})
    for i, outputs in enumerate(channels):
        half = i > 0 and i >= len(channels) - num_fp16_res
        inputs = channels[i - 1] if i else 0
        synthesis.modules[f"b{4 * 2**i}"] = make.block(inputs, outputs, 4 * 2**i, half, len(channels))
    synthesis.attributes["num_ws"] = 2 * len(channels)
    mapping = make.mapping(mapping_layers, lr_multiplier)
    attributes = {"z_dim": w_dim, "c_dim": 0, "w_dim": w_dim, "img_resolution": resolution, "img_channels": 3}
    modules = {"synthesis": synthesis, "mapping": mapping}
    return Module("Generator", {**attributes, "num_ws": 2 * len(channels)}, modules=modules)


@dataclass
class _Maker:
    random: torch.Generator
    w_dim: int
    conv_clamp: float | None
    use_noise: bool

    def normal(self, *shape: int, scale: float = 1.0, mean: float = 0.0) -> Tensor:
        return torch.randn(*shape, generator=self.random) * scale + mean

    def filter(self) -> Tensor:
        row = torch.tensor([1.0, 3.0, 3.0, 1.0])
        return torch.outer(row, row) / 64

    def linear(self, inputs: int, outputs: int, scale: float, bias: float, mean: float) -> Module:
        attributes = {"activation": "linear", "weight_gain": 1 / np.sqrt(inputs), "bias_gain": 1}
        weights = self.normal(outputs, inputs, scale=scale), self.normal(outputs, scale=bias, mean=mean)
        return Module("FullyConnectedLayer", attributes, dict(zip(("weight", "bias"), weights, strict=True)))

    def mapping(self, layers: int, multiplier: float) -> Module:
        made = Module("MappingNetwork", {"z_dim": self.w_dim, "c_dim": 0, "num_layers": layers})
        made.buffers["w_avg"] = self.normal(self.w_dim, scale=0.3)
        for i in range(layers):
            layer = self.linear(self.w_dim, self.w_dim, 1 / multiplier, 0.3 / multiplier, 0.0)
            layer.attributes.update(activation="lrelu", bias_gain=multiplier)
            layer.attributes["weight_gain"] = multiplier / np.sqrt(self.w_dim)
            made.modules[f"fc{i}"] = layer
        return made

    def block(self, inputs: int, outputs: int, side: int, half: bool, levels: int) -> Module:
        attributes = {"in_channels": inputs, "resolution": side, "architecture": "skip", "use_fp16": half}
        made = Module("SynthesisBlock", attributes, buffers={"resample_filter": self.filter()})
        if inputs:
            made.modules["conv0"] = self.convolution(inputs, outputs, side, 2)
        else:
            made.parameters["const"] = self.normal(outputs, 4, 4)
        made.modules["conv1"] = self.convolution(outputs, outputs, side, 1)
        made.modules["torgb"] = self.to_rgb(outputs, levels)
        return made

    def convolution(self, inputs: int, outputs: int, side: int, up: int) -> Module:
        attributes = {"resolution": side, "up": up, "use_noise": self.use_noise, "activation": "lrelu"}
        attributes |= {"conv_clamp": self.conv_clamp, "padding": 1, "act_gain": np.sqrt(2)}
        made = Module("SynthesisLayer", attributes, buffers={"resample_filter": self.filter()})
        made.modules["affine"] = self.linear(self.w_dim, inputs, 0.5, 0.3, 1.0)
        kernel = self.normal(outputs, inputs, 3, 3)
        # As the layers in half precision may keep theirs.
        made.parameters["weight"] = kernel.to(memory_format=torch.channels_last)
        if self.use_noise:
            made.buffers["noise_const"] = self.normal(side, side)
            made.parameters["noise_strength"] = self.normal(1, scale=0.3)[0]
        made.parameters["bias"] = self.normal(outputs, scale=0.3)
        return made

    def to_rgb(self, inputs: int, levels: int) -> Module:
        attributes = {"conv_clamp": self.conv_clamp, "weight_gain": 1 / np.sqrt(inputs)}
        made = Module("ToRGBLayer", attributes)
        made.modules["affine"] = self.linear(self.w_dim, inputs, 0.5, 0.3, 1.0)
        made.parameters["weight"] = self.normal(3, inputs, 1, 1, scale=0.5 / math.sqrt(levels))
        made.parameters["bias"] = self.normal(3, scale=0.2)
        return made
