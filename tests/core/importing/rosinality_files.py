"""Writes random-weight generators in rosinality's checkpoint format, in any size.

Weights have unit variance, as the format's have; biases and noise strengths are random, so that nothing is
trivially zero; toRGB's are small enough that pictures are of order 1.
"""

import math
from pathlib import Path

import torch
from torch import Tensor


def widths(resolution: int, narrow: int | None = None, multiplier: int = 2) -> list[int]:
    """Channels from 4 px on: config F's (with multiplier 1, E's), narrowed so that 512 become `narrow`."""
    sides = [2**i for i in range(2, int(math.log2(resolution)) + 1)]
    full = [min(512, 16384 * multiplier // side) for side in sides]
    return full if narrow is None else [max(2, width * narrow // 512) for width in full]


def generator_tensors(
    resolution: int,
    narrow: int | None = 16,
    w_dim: int = 32,
    mapping_layers: int = 8,
    seed: int = 0,
    noises: bool = True,
    multiplier: int = 2,
) -> dict[str, Tensor]:
    """The tensors of `g_ema`, under the names and in the shapes of the format.

    narrow: the width at 4 px, None for config F's 512; noises: False for files of 2019; multiplier: the
    format's channel_multiplier, 2 for config F.
    """
    random = torch.Generator().manual_seed(seed)

    def normal(*shape: int, scale: float = 1.0, mean: float = 0.0) -> Tensor:
        return torch.randn(*shape, generator=random) * scale + mean

    row = torch.tensor([1.0, 3.0, 3.0, 1.0])
    kernel = torch.outer(row, row) / 16
    channels = widths(resolution, narrow, multiplier)
    t: dict[str, Tensor] = {}

    def modulated(name: str, inputs: int, outputs: int, size: int, scale: float = 1.0) -> None:
        t[f"{name}.conv.weight"] = normal(1, outputs, inputs, size, size, scale=scale)
        t[f"{name}.conv.modulation.weight"] = normal(inputs, w_dim, scale=0.5)
        t[f"{name}.conv.modulation.bias"] = normal(inputs, scale=0.3, mean=1.0)

    def styled(name: str, inputs: int, outputs: int, up: bool) -> None:
        modulated(name, inputs, outputs, 3)
        if up:
            t[f"{name}.conv.blur.kernel"] = kernel.clone()
        t[f"{name}.noise.weight"] = normal(1, scale=0.3)
        t[f"{name}.activate.bias"] = normal(outputs, scale=0.3)

    def to_rgb(name: str, inputs: int, up: bool) -> None:
        if up:
            t[f"{name}.upsample.kernel"] = kernel.clone()
        modulated(name, inputs, 3, 1, scale=0.5 / math.sqrt(len(channels)))
        t[f"{name}.bias"] = normal(1, 3, 1, 1, scale=0.2)

    for i in range(1, mapping_layers + 1):
        t[f"style.{i}.weight"] = normal(w_dim, w_dim, scale=100.0)
        t[f"style.{i}.bias"] = normal(w_dim, scale=30.0)
    t["input.input"] = normal(1, channels[0], 4, 4)
    styled("conv1", channels[0], channels[0], up=False)
    to_rgb("to_rgb1", channels[0], up=False)
    for b, (inputs, outputs) in enumerate(zip(channels, channels[1:], strict=False)):
        styled(f"convs.{2 * b}", inputs, outputs, up=True)
        styled(f"convs.{2 * b + 1}", outputs, outputs, up=False)
        to_rgb(f"to_rgbs.{b}", outputs, up=True)
    for n in range(2 * len(channels) - 1 if noises else 0):
        side = 4 * 2 ** ((n + 1) // 2)
        t[f"noises.noise_{n}"] = normal(1, 1, side, side)
    return t


def write_rosinality(
    path: Path,
    resolution: int,
    narrow: int | None = 16,
    w_dim: int = 32,
    mapping_layers: int = 8,
    seed: int = 0,
    latent_avg: bool = True,
) -> dict[str, Tensor]:
    """Write a checkpoint; returns the tensors of its `g_ema`.

    Full config F: narrow=None, w_dim=512. latent_avg: as converted files have it, trained ones do not.
    """
    tensors = generator_tensors(resolution, narrow, w_dim, mapping_layers, seed)
    content: dict[str, object] = {"g_ema": tensors}
    if latent_avg:
        content["latent_avg"] = torch.randn(w_dim, generator=torch.Generator().manual_seed(seed + 1)) * 0.3
    torch.save(content, path)
    return tensors
