"""NVIDIA's StyleGAN2 pickles: the converted generator against the format's own mathematics, in float64."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from nvidia_files import Module, generator, save, write_nvidia
from torch import Tensor

from core.errors import BadCheckpoint
from core.generators.stylegan2.network import Generator
from core.importing.formats import nvidia
from core.importing.read.reading import read_checkpoint


def converted(path: Path) -> Generator:
    content = read_checkpoint(path).content
    assert nvidia.recognises(content)
    parts = nvidia.convert(content, "some-file")
    assert parts.generator is not None
    config, state = parts.generator
    made = Generator(config).eval().requires_grad_(False)
    made.load_state_dict(state, strict=True)
    assert all(t.dtype == torch.float32 for t in state.values())
    return made


def plain_mapping(tensors: dict[str, Tensor], z: Tensor, multiplier: float = 0.01) -> Tensor:
    x = z / (z.square().mean(1, keepdim=True) + 1e-8).sqrt()
    n = 0
    while f"mapping.fc{n}.weight" in tensors:
        weight, bias = (tensors[f"mapping.fc{n}.{kind}"].double() for kind in ("weight", "bias"))
        x = x @ (weight * multiplier / math.sqrt(weight.shape[1])).T + bias * multiplier
        x = torch.where(x < 0, 0.2 * x, x) * math.sqrt(2)
        n += 1
    return x


def plain_picture(tensors: dict[str, Tensor], w: Tensor, clamp: float) -> tuple[Tensor, float]:
    """w: (L, D) float64 -> (3, R, R), and how much of all activations the clamp changes.

    The order of operations is the format's generic one: upsampled activations are filtered, then convolved.
    """
    t = {name: tensor.double() for name, tensor in tensors.items()}
    seen: list[Tensor] = []

    def clamped(x: Tensor) -> Tensor:
        seen.append((x.abs() > clamp).sum() / x.numel())
        return x.clamp(-clamp, clamp)

    def correlated(x: Tensor, kernel: Tensor) -> Tensor:
        """(O, H - 2, W - 2): the sum of the shifted pictures."""
        height, width = x.shape[1] - 2, x.shape[2] - 2
        y = x.new_zeros(len(kernel), height, width)
        for r in range(3):
            for c in range(3):
                mixed = (kernel[:, :, r, c] @ x.flatten(1)).view(-1, *x.shape[1:])
                y += mixed[:, r : r + height, c : c + width]
        return y

    def upsampled(x: Tensor, kernel: Tensor, pad: tuple[int, int]) -> Tensor:
        wide = x.new_zeros(len(x), 2 * x.shape[1], 2 * x.shape[2])
        wide[:, ::2, ::2] = x
        wide = F.pad(wide, pad * 2)
        height, width = wide.shape[1] - 3, wide.shape[2] - 3
        y = x.new_zeros(len(x), height, width)
        for r in range(4):
            for c in range(4):
                y.add_(wide[:, r : r + height, c : c + width], alpha=4 * kernel[3 - r, 3 - c].item())
        return y

    def styles(name: str, code: Tensor) -> Tensor:
        return t[f"{name}.affine.weight"] @ code / math.sqrt(len(code)) + t[f"{name}.affine.bias"]

    def layer(name: str, x: Tensor, code: Tensor, up: bool) -> Tensor:
        kernel = t[f"{name}.weight"] * styles(name, code)[:, None, None]  # no 1 / sqrt(fan-in)
        kernel = kernel / (kernel.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if up:  # convolution, where the others correlate
            y = correlated(upsampled(x, t[f"{name}.resample_filter"], (3, 2)), kernel.flip(2, 3))
        else:
            y = correlated(F.pad(x, (1, 1, 1, 1)), kernel)
        if f"{name}.noise_const" in t:
            y = y + t[f"{name}.noise_const"] * t[f"{name}.noise_strength"]
        y = y + t[f"{name}.bias"][:, None, None]
        return clamped(torch.where(y < 0, 0.2 * y, y) * math.sqrt(2))

    def to_rgb(name: str, x: Tensor, code: Tensor) -> Tensor:
        weight = t[f"{name}.weight"][:, :, 0, 0]
        y = torch.einsum("oi,ihw->ohw", weight * styles(name, code) / math.sqrt(weight.shape[1]), x)
        return clamped(y + t[f"{name}.bias"][:, None, None])

    x = layer("synthesis.b4.conv1", t["synthesis.b4.const"], w[0], False)
    rgb = to_rgb("synthesis.b4.torgb", x, w[1])
    for i in range(1, len(w) // 2):
        name = f"synthesis.b{4 * 2**i}"
        x = layer(f"{name}.conv0", x, w[2 * i - 1], True)
        x = layer(f"{name}.conv1", x, w[2 * i], False)
        rgb = upsampled(rgb, t[f"{name}.resample_filter"], (2, 1)) + to_rgb(f"{name}.torgb", x, w[2 * i + 1])
    return rgb, torch.stack(seen).mean().item()


def assert_agrees(
    made: Generator, tensors: dict[str, Tensor], clamp: float | None, multiplier: float = 0.01
) -> None:
    """Of mapped codes, another one for every layer, to 1e-4 on pictures of order 1."""
    random = torch.Generator().manual_seed(5)
    z = torch.randn(made.config.num_codes, made.config.z_dim, generator=random)
    w = plain_mapping(tensors, z.double(), multiplier)
    torch.testing.assert_close(made.mapping(z).double(), w, rtol=0, atol=5e-5)
    picture, changed = plain_picture(tensors, w, math.inf if clamp is None else clamp)
    assert picture.shape[-1] == made.config.resolution
    assert 0.1 < picture.std() < 3
    assert (changed > 0.05) == (clamp is not None and clamp < 2)
    assert (made.synthesis(w[None].float())[0] - picture).abs().max() < 1e-4


@pytest.mark.parametrize(("resolution", "clamp"), [(64, None), (64, 1.25), (64, 256), (1024, 0.75)])
def test_pictures_are_those_of_the_formats_mathematics(
    tmp_path: Path, resolution: int, clamp: float | None
) -> None:
    path = tmp_path / "net.pkl"
    tensors = write_nvidia(path, resolution, conv_clamp=clamp, seed=resolution)
    made = converted(path)
    assert made.config.num_codes == {64: 10, 1024: 18}[resolution]
    assert (made.config.clamp, made.config.code_rank) == (clamp, 0)
    assert torch.equal(made.w_mean, tensors["mapping.w_avg"].expand(made.config.num_codes, -1))
    assert_agrees(made, tensors, clamp)


@pytest.mark.slow
def test_config_f_at_1024_px_in_full(tmp_path: Path) -> None:
    path = tmp_path / "net.pkl"
    tensors = write_nvidia(path, 1024, narrow=None, w_dim=512, conv_clamp=1.25)
    made = converted(path)
    assert made.config.channels == (512, 512, 512, 512, 512, 256, 128, 64, 32)
    assert_agrees(made, tensors, 1.25)


@pytest.mark.parametrize(("layers", "multiplier"), [(2, 0.01), (8, 0.03)])
def test_mapping_networks_of_other_depth_and_learning_rate(
    tmp_path: Path, layers: int, multiplier: float
) -> None:
    path = tmp_path / "net.pkl"
    tensors = write_nvidia(path, 16, mapping_layers=layers, lr_multiplier=multiplier)
    made = converted(path)
    assert made.config.mapping_layers == layers
    assert_agrees(made, tensors, 256, multiplier)


def test_gains_of_another_size_are_those_that_count(tmp_path: Path) -> None:
    snapshot = generator(16)
    to_rgb, affine = snapshot.at("synthesis.b16.torgb"), snapshot.at("synthesis.b8.conv0.affine")
    to_rgb.attributes["weight_gain"] *= 3
    affine.attributes.update(weight_gain=2 * affine.attributes["weight_gain"], bias_gain=0.5)
    path = tmp_path / "net.pkl"
    save(path, {"G_ema": snapshot})
    # What the file would hold with the usual gains.
    tensors = {name: t.clone() for name, t in snapshot.tensors().items()}
    tensors["synthesis.b16.torgb.weight"] *= 3
    tensors["synthesis.b8.conv0.affine.weight"] *= 2
    tensors["synthesis.b8.conv0.affine.bias"] *= 0.5
    assert_agrees(converted(path), tensors, 256)


def test_a_generator_alone_and_one_without_noise(tmp_path: Path) -> None:
    snapshot = generator(16, use_noise=False)
    path = tmp_path / "net.pkl"
    save(path, snapshot)
    made = converted(path)
    assert_agrees(made, snapshot.tensors(), 256)
    assert not made.first.noise.any()
    assert not made.first.noise_strength.any()


def test_without_an_average_w_it_is_that_of_mapped_z(tmp_path: Path) -> None:
    snapshot = generator(16)
    del snapshot.at("mapping").buffers["w_avg"]
    path = tmp_path / "net.pkl"
    save(path, {"G_ema": snapshot})
    z = torch.randn(20_000, 32, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    mean = plain_mapping(snapshot.tensors(), z).mean(0)
    assert mean.abs().max() > 0.2
    assert (converted(path).w_mean - mean).abs().max() < 0.06  # two random means of about 1 / sqrt(10,000)


def refusal(tmp_path: Path, change: Callable[[Module], Any]) -> str:
    snapshot = generator(16)
    change(snapshot)
    path = tmp_path / "net.pkl"
    save(path, {"G_ema": snapshot})
    content = read_checkpoint(path).content
    assert nvidia.recognises(content)
    with pytest.raises(BadCheckpoint) as caught:
        nvidia.convert(content, "net")
    return str(caught.value)


def attribute(path: str, **values: Any) -> Callable[[Module], None]:
    return lambda snapshot: (snapshot.at(path) if path else snapshot).attributes.update(values)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (attribute("", c_dim=10), "conditional"),
        (lambda g: g.at("mapping").modules.update(embed=Module("FullyConnectedLayer")), "conditional"),
        (attribute("", img_channels=1), "1 channels"),
        (attribute("", img_channels=[3]), "list channels"),
        (attribute("synthesis.b8", architecture="resnet"), "architecture resnet"),
        (attribute("synthesis.b16", architecture="orig"), "architecture orig"),
        (lambda g: g.at("synthesis").modules.update(input=Module("SynthesisInput")), "StyleGAN3"),
        (lambda g: g.at("synthesis").modules.update(L0_36_512=Module("SynthesisLayer")), "StyleGAN3"),
        (attribute("synthesis.b8.conv0", activation="relu"), "activation relu in synthesis.b8.conv0"),
        (attribute("synthesis.b8.conv1.affine", activation="lrelu"), "synthesis.b8.conv1.affine"),
        (attribute("mapping.fc3", activation="swish"), "activation swish in mapping.fc3"),
        (attribute("synthesis.b8.conv0", up=1), "up 1 in synthesis.b8.conv0"),
        (attribute("synthesis.b8.conv1", act_gain=1.0), "gain"),
        (attribute("synthesis.b8.conv1", act_gain=None), "act_gain None"),
        (attribute("synthesis.b8.conv1", act_gain=np.ones(2)), "act_gain Tensor"),
        (attribute("mapping.fc0", weight_gain=math.nan), "weight_gain nan"),
        (attribute("mapping.fc0", bias_gain="1"), "bias_gain 1 in mapping.fc0, not a number"),
        (attribute("synthesis.b8.torgb", conv_clamp=1), "conv_clamp"),
        (attribute("synthesis.b4.conv1", conv_clamp=None), "conv_clamp"),
        (lambda g: g.at("mapping").modules.clear(), "lacks mapping.fc0"),
        (lambda g: g.at("synthesis").modules.pop("b8"), "lacks synthesis.b8"),
        (lambda g: g.at("synthesis.b8").modules.pop("torgb"), "lacks synthesis.b8.torgb"),
        (lambda g: g.at("synthesis.b8.conv1").parameters.pop("weight"), "lacks synthesis.b8.conv1.weight"),
        (lambda g: g.at("synthesis.b8.conv1").buffers.pop("noise_const"), "noise_const"),
        (lambda g: g.at("synthesis.b8").buffers.update(extra=torch.zeros(2)), "besides synthesis.b8.extra"),
        (lambda g: g.at("mapping").buffers.update(w_avg=torch.zeros(31)), "mapping.w_avg (31,)"),
        (lambda g: g.at("synthesis.b8").buffers.update(resample_filter=torch.ones(1, 1)), "filter"),
        (lambda g: g.at("synthesis.b8.conv0").buffers["resample_filter"].mul_(4), "filter"),
        (lambda g: g.at("synthesis").modules.update(b999999=g.at("synthesis.b8")), "1024 px"),
    ],
)
def test_what_would_draw_other_pictures_is_refused_by_name(
    tmp_path: Path, change: Callable[[Module], Any], said: str
) -> None:
    assert said in refusal(tmp_path, change)


@pytest.mark.parametrize("clamp", [0, -1.0, math.inf])
def test_a_clamp_is_a_number_above_0(tmp_path: Path, clamp: float) -> None:
    def change(snapshot: Module) -> None:
        for block in snapshot.at("synthesis").modules.values():
            for layer in block.modules.values():
                layer.attributes["conv_clamp"] = clamp

    assert "conv_clamp" in refusal(tmp_path, change)


@pytest.mark.parametrize("content", [None, [], {}, {"G_ema": None}, {"g_ema": {}}, torch.zeros(1)])
def test_other_things_are_not_recognised(content: Any) -> None:
    assert not nvidia.recognises(content)
