"""StyleGAN2 generators of rosinality's PyTorch implementation, of any resolution and channel multiplier.

The format's mathematics is that of our own StyleGAN2, under other names: weights of unit variance
whose 1/sqrt(fan-in) is applied at run time (also in toRGB), demodulation with eps 1e-8 after that gain, the
affine layers' bias stored with its 1 included, noise times one strength for each layer before the bias,
leaky ReLU times sqrt(2), and no clamp. Kernels are stored as torch's convolutions take them, those of the
upsampling layers already flipped. Upsampling layers keep their filter times 4, which makes up for the
inserted zeros; it is checked and left out. The padding around it (1 and 1 after the transposed convolution,
2 and 1 for the RGB skip) is ours too.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from core.config import GeneratorConfig
from core.errors import BadCheckpoint
from core.importing.formats.generator_state import (
    Sizes,
    check_filter,
    check_resolution,
    complete,
    convolution_names,
    size,
)
from core.importing.formats.parts import Parts, State, TensorTable

FORMAT = "rosinality StyleGAN2 (PyTorch)"
LICENCE = (
    "Converted from NVIDIA's: NVIDIA Source Code License-NC (non-commercial). Others: ask who trained "
    "them. FFHQ: CC BY-NC-SA 4.0."
)
# What training saves beside the averaged generator.
LEFT_OUT = frozenset({"g", "d", "g_optim", "d_optim", "args", "ada_aug_p"})


def recognises(content: Any) -> bool:
    """Whether this is a checkpoint with an averaged generator in it."""
    tensors = content.get("g_ema") if isinstance(content, Mapping) else None
    return isinstance(tensors, Mapping) and {"style.1.weight", "conv1.conv.weight"} <= tensors.keys()


def convert(content: Any, stem: str) -> Parts:
    """The averaged generator of a checkpoint that is recognised.

    Raises: BadCheckpoint, with a sentence, on anything missing, unexpected or of another shape.
    """
    what = f"The generator in {stem}"
    unknown = sorted(str(name) for name in content.keys() - LEFT_OUT - {"g_ema", "latent_avg"})
    if unknown:
        raise BadCheckpoint(
            f"{what} comes with unknown entries: {', '.join(f'{name:.80}' for name in unknown[:5])}."
        )
    mean = content.get("latent_avg")
    if not isinstance(mean, Tensor | None):
        raise BadCheckpoint(f"{what} comes with a latent_avg that is no tensor.")
    return Parts(FORMAT, LICENCE, generator=generator_parts(content["g_ema"], mean, what))


def generator_parts(
    tensors: Mapping[str, Any], mean: Tensor | None, what: str
) -> tuple[GeneratorConfig, State]:
    """Config and complete state dict of a generator in this format, in float32.

    mean: (D,), (1, D) or (L, D); None: the mean of mapped z. what: begins the sentence of an error.
    Raises: BadCheckpoint.
    """
    tensors = {str(name): tensor for name, tensor in tensors.items()}
    sizes = _sizes(tensors, what)
    table = TensorTable(tensors, what)
    kernels: list[Tensor] = []
    state = {
        **_mapping(table, sizes),
        "constant": table.take("input.input", 1, sizes.channels[0], 4, 4),
        **_layers(table, sizes, kernels),
        **_noises(table, len(sizes.channels)),
    }
    table.finish()
    for kernel in kernels:
        check_filter(kernel, 4.0, what)
    config = sizes.config()
    return config, complete(config, state, mean, what)


def _sizes(tensors: Mapping[str, Any], what: str) -> Sizes:
    indices = [int(found[1]) for name in tensors if (found := re.match(r"convs\.(\d{1,9})\.", name))]
    doublings = max(indices, default=-1) // 2 + 1
    check_resolution(doublings, what)
    layers = 1  # none at all is one missing; style.0 is the pixel norm
    while f"style.{layers + 1}.weight" in tensors:
        layers += 1
    widths = [f"convs.{2 * i}.conv.weight" for i in range(doublings)]
    return Sizes(
        z_dim=size(tensors, "style.1.weight", 1, what),
        w_dim=size(tensors, "conv1.conv.modulation.weight", 1, what),
        mapping_layers=layers,
        channels=tuple(size(tensors, name, 1, what) for name in ["conv1.conv.weight", *widths]),
    )


def _mapping(table: TensorTable, sizes: Sizes) -> State:
    state: State = {}
    for i in range(sizes.mapping_layers):
        inputs = sizes.w_dim if i else sizes.z_dim
        state[f"mapping.layers.{i}.weight"] = table.take(f"style.{i + 1}.weight", sizes.w_dim, inputs)
        state[f"mapping.layers.{i}.bias"] = table.take(f"style.{i + 1}.bias", sizes.w_dim)
    return state


def _layers(table: TensorTable, sizes: Sizes, kernels: list[Tensor]) -> State:
    """All modulated convolutions; their resampling filters are added to `kernels`."""
    widths, w_dim = sizes.channels, sizes.w_dim
    state = _styled(table, "conv1", "first", (widths[0], widths[0], w_dim))
    state |= _to_rgb(table, "to_rgb1", "first_rgb", (widths[0], w_dim))
    for b in range(len(widths) - 1):
        inputs, outputs = widths[b], widths[b + 1]
        state |= _styled(table, f"convs.{2 * b}", f"blocks.{b}.up", (inputs, outputs, w_dim))
        state |= _styled(table, f"convs.{2 * b + 1}", f"blocks.{b}.conv", (outputs, outputs, w_dim))
        state |= _to_rgb(table, f"to_rgbs.{b}", f"blocks.{b}.to_rgb", (outputs, w_dim))
        # Always the same filter, so that some copies go without.
        filters = f"convs.{2 * b}.conv.blur.kernel", f"to_rgbs.{b}.upsample.kernel"
        kernels += [table.take(name, 4, 4) for name in filters if name in table]
    return state


def _styled(
    table: TensorTable, theirs: str, ours: str, shape: tuple[int | None, int | None, int | None]
) -> State:
    """A 3x3 convolution; shape: input and output channels, width of w."""
    inputs, outputs, w_dim = shape
    return {
        f"{ours}.weight": table.take(f"{theirs}.conv.weight", 1, outputs, inputs, 3, 3)[0],
        f"{ours}.affine.weight": table.take(f"{theirs}.conv.modulation.weight", inputs, w_dim),
        f"{ours}.affine.bias": table.take(f"{theirs}.conv.modulation.bias", inputs),
        f"{ours}.bias": table.take(f"{theirs}.activate.bias", outputs),
        f"{ours}.noise_strength": table.take(f"{theirs}.noise.weight", 1)[0],
    }


def _to_rgb(table: TensorTable, theirs: str, ours: str, shape: tuple[int | None, int | None]) -> State:
    """shape: input channels, width of w."""
    inputs, w_dim = shape
    return {
        f"{ours}.weight": table.take(f"{theirs}.conv.weight", 1, 3, inputs, 1, 1)[0],
        f"{ours}.affine.weight": table.take(f"{theirs}.conv.modulation.weight", inputs, w_dim),
        f"{ours}.affine.bias": table.take(f"{theirs}.conv.modulation.bias", inputs),
        f"{ours}.bias": table.take(f"{theirs}.bias", 1, 3, 1, 1).flatten(),
    }


def _noises(table: TensorTable, resolutions: int) -> State:
    """The fixed noise of every convolution.

    Files from before January 2020 have none, since their code drew noise anew for every picture. Portraits
    must not flicker, so those get a noise of their own, always the same.
    """
    ours = convolution_names(resolutions)
    sides = [4 * 2 ** ((n + 1) // 2) for n in range(len(ours))]
    names = [f"noises.noise_{n}" for n in range(len(ours))]
    if not any(name in table for name in names):
        random = torch.Generator().manual_seed(0)
        return {
            f"{layer}.noise": torch.randn(side, side, generator=random)
            for layer, side in zip(ours, sides, strict=True)
        }
    return {
        f"{layer}.noise": table.take(name, 1, 1, side, side)[0, 0]
        for layer, name, side in zip(ours, names, sides, strict=True)
    }
