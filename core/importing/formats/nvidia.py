"""NVIDIA's StyleGAN2 generators: pickles of StyleGAN2-ADA-PyTorch, and StyleGAN2's among StyleGAN3's.

Where the format's mathematics differs from that of our `core.generators.stylegan2.network`, and what is done
about it:

* Demodulated kernels are used without the 1/sqrt(fan-in) that ours are multiplied by. Demodulation divides
  any factor out again but for its eps of 1e-8, which weighs fan-in times more on our side, as it did in the
  TensorFlow code that the first published weights were trained with: a relative difference of
  fan-in * eps / (2 |s w|^2), 5e-9 at the usual |s w|^2 = fan-in. The kernels are kept as they are: scaled up
  by sqrt(fan-in), for which eps would agree too, they would overflow half precision.
* toRGB has no demodulation; its 1/sqrt(fan-in) multiplies the styles instead of the kernel: the same product.
* Linear layers carry their gains with them (learning rate multipliers over sqrt(fan-in)): where they are not
  ours, the weights are scaled.
* Noise is one picture for each layer times one strength, as ours; a layer made without noise gets zeros.
* Activations after each layer's gain, and toRGB's output before it is summed, are clamped to conv_clamp.
* Layers in half precision (num_fp16_res) divide kernels and styles by their largest values first, which
  demodulation undoes; what remains is rounding. The precision to compute in is the device's affair here.
* Upsampling layers convolve where the others correlate: flip_weight is False there, and torch's transposed
  convolution is that convolution. So kernels are not flipped here, unlike those of TensorFlow files. The
  resampling filter is symmetric; its padding comes to 1 and 1 after the transposed convolution and to 2 and 1
  for the RGB skip, as ours.

The style layers' bias includes its 1. w_avg_beta only says how w_avg, our w_mean, was averaged.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor

from core.errors import BadCheckpoint
from core.importing.formats.generator_state import Sizes, check_filter, check_resolution, complete, size
from core.importing.formats.parts import Parts, State, TensorTable
from core.importing.read.unpickling import PersistentObject, persistent_tensors

FORMAT = "NVIDIA StyleGAN2-ADA (PyTorch)"
LICENCE = "NVIDIA Source Code License (non-commercial: research or evaluation only). FFHQ: CC BY-NC-SA 4.0."

MAPPING_MULTIPLIER = 0.01  # learning rate multiplier of our mapping network
TOLERANCE = 1e-6  # of gains, which are computed in float64


def recognises(content: Any) -> bool:
    """Whether this is a training snapshot with an averaged generator in it, or a generator alone."""
    return _generator(content) is not None


def _generator(content: Any) -> PersistentObject | None:
    found = content.get("G_ema") if isinstance(content, Mapping) else content
    return found if isinstance(found, PersistentObject) and found.class_name == "Generator" else None


@dataclass(frozen=True)
class _Module:
    """A module of the pickle, as data. name: its place, as in the tensors' names; what: begins a sentence."""

    data: PersistentObject
    name: str
    what: str

    def children(self) -> Mapping[str, Any]:
        found = self.data.state.get("_modules")
        return found if isinstance(found, Mapping) else {}

    def child(self, name: str) -> "_Module":
        found = self.children().get(name)
        place = f"{self.name}.{name}".removeprefix(".")
        if not isinstance(found, PersistentObject):
            raise BadCheckpoint(f"{self.what} is not as its format says: it lacks {place}.")
        return _Module(found, place, self.what)

    def refuse(self, reason: str) -> NoReturn:
        raise BadCheckpoint(f"{self.what} {reason}, which is not supported.")

    def plain(self, name: str) -> str | int | float | None:
        """An attribute; of anything that is no text or number, the name of its type."""
        found = self.data.state.get(name)
        return found if found is None or isinstance(found, str | int | float) else type(found).__name__

    def expect(self, **attributes: str | int) -> None:
        """Raises: BadCheckpoint if an attribute that changes the mathematics is not the usual one."""
        for name, usual in attributes.items():
            found = self.plain(name)
            if found != usual:
                self.refuse(f"has {name} {found!s:.40} in {self.name}, not {usual}")

    def number(self, name: str) -> float:
        found = self.plain(name)
        if isinstance(found, bool | str | None) or not math.isfinite(found):
            self.refuse(f"has {name} {found!s:.40} in {self.name}, not a number")
        return float(found)


def convert(content: Any, stem: str) -> Parts:
    """The averaged generator of a pickle that is recognised.

    Raises: BadCheckpoint, with a sentence, on another architecture, or on anything missing, unexpected or of
    another shape.
    """
    data = _generator(content)
    assert data is not None
    generator = _Module(data, "", f"The generator in {stem}")
    _check_architecture(generator)
    tensors = persistent_tensors(data)
    sizes = _sizes(tensors, generator.what)
    table = TensorTable(tensors, generator.what)
    blocks = [generator.child("synthesis").child(f"b{4 * 2**i}") for i in range(len(sizes.channels))]
    state = _mapping(table, generator.child("mapping"), sizes)
    state["constant"] = table.take("synthesis.b4.const", sizes.channels[0], 4, 4)[None]
    kernels: list[Tensor] = []
    for i, block in enumerate(blocks):
        state |= _block(table, block, i, sizes, kernels)
    mean = table.take("mapping.w_avg", sizes.w_dim) if "mapping.w_avg" in table else None
    table.finish()
    for kernel in kernels:
        check_filter(kernel, 1.0, generator.what)
    config = sizes.config(_clamp(blocks))
    return Parts(FORMAT, LICENCE, (config, complete(config, state, mean, generator.what)))


def _check_architecture(generator: _Module) -> None:
    """Raises: BadCheckpoint, which names it, unless this is an unconditional StyleGAN2 for RGB pictures."""
    names = [str(name) for name in generator.child("synthesis").children()]
    if "input" in names or any(re.match(r"L\d+_", name) for name in names):
        generator.refuse("is a StyleGAN3, another architecture than StyleGAN2")
    if generator.plain("c_dim") or "embed" in generator.child("mapping").children():
        generator.refuse("is conditional: it wants a class label with every picture")
    channels = generator.plain("img_channels")
    if channels != 3:
        generator.refuse(f"makes pictures of {channels!s:.40} channels, not 3 (RGB)")
    for name in names:
        architecture = generator.child("synthesis").child(name).plain("architecture")
        if architecture != "skip":
            generator.refuse(f"has the architecture {architecture!s:.40}, not skip connections to RGB")


def _sizes(tensors: Mapping[str, Tensor], what: str) -> Sizes:
    sides = [int(found[1]) for name in tensors if (found := re.match(r"synthesis\.b(\d{1,9})\.", name))]
    doublings = max(max(sides, default=4).bit_length() - 3, 0)
    check_resolution(doublings, what)
    layers = 1  # none at all is one missing
    while f"mapping.fc{layers}.weight" in tensors:
        layers += 1
    return Sizes(
        z_dim=size(tensors, "mapping.fc0.weight", 1, what),
        w_dim=size(tensors, "synthesis.b4.conv1.affine.weight", 1, what),
        mapping_layers=layers,
        channels=tuple(
            size(tensors, f"synthesis.b{4 * 2**i}.conv1.weight", 0, what) for i in range(doublings + 1)
        ),
    )


def _mapping(table: TensorTable, mapping: _Module, sizes: Sizes) -> State:
    state: State = {}
    for i in range(sizes.mapping_layers):
        layer = mapping.child(f"fc{i}")
        layer.expect(activation="lrelu")
        shape = (sizes.w_dim, sizes.w_dim if i else sizes.z_dim)
        state |= _linear(table, layer, f"mapping.layers.{i}", shape, MAPPING_MULTIPLIER)
    return state


def _block(table: TensorTable, block: _Module, i: int, sizes: Sizes, kernels: list[Tensor]) -> State:
    """All layers at 4 * 2**i px; the resampling filters are added to `kernels`."""
    outputs, inputs = sizes.channels[i], sizes.channels[max(i - 1, 0)]
    side = 4 * 2**i
    to_rgb = block.child("torgb")
    if i == 0:
        ours, last, rgb = "", "first", "first_rgb"
    else:
        ours, last, rgb = f"blocks.{i - 1}.up", f"blocks.{i - 1}.conv", f"blocks.{i - 1}.to_rgb"
    state = _to_rgb(table, to_rgb, rgb, (outputs, sizes.w_dim))
    state |= _layer(table, block.child("conv1"), last, (outputs, outputs, sizes.w_dim, side, 1))
    filtered = [block.name, f"{block.name}.conv1"]
    if ours:
        state |= _layer(table, block.child("conv0"), ours, (inputs, outputs, sizes.w_dim, side, 2))
        filtered.append(f"{block.name}.conv0")
    kernels.extend(table.take(f"{name}.resample_filter", None, None) for name in filtered)
    return state


def _layer(
    table: TensorTable, layer: _Module, ours: str, shape: tuple[int | None, int | None, int | None, int, int]
) -> State:
    """A 3x3 convolution; shape: input and output channels, width of w, resolution, upsampling factor."""
    inputs, outputs, w_dim, side, up = shape
    layer.expect(activation="lrelu", up=up)
    if abs(layer.number("act_gain") - math.sqrt(2)) > TOLERANCE:
        layer.refuse(f"has another gain than sqrt(2) after the activation of {layer.name}")
    affine = layer.child("affine")
    affine.expect(activation="linear")
    state = {
        f"{ours}.weight": table.take(f"{layer.name}.weight", outputs, inputs, 3, 3),
        f"{ours}.bias": table.take(f"{layer.name}.bias", outputs),
        **_linear(table, affine, f"{ours}.affine", (inputs, w_dim), 1.0),
    }
    if layer.plain("use_noise") is False:
        return {**state, f"{ours}.noise": torch.zeros(side, side), f"{ours}.noise_strength": torch.zeros(())}
    state[f"{ours}.noise"] = table.take(f"{layer.name}.noise_const", side, side)
    state[f"{ours}.noise_strength"] = table.take(f"{layer.name}.noise_strength")
    return state


def _to_rgb(table: TensorTable, layer: _Module, ours: str, shape: tuple[int | None, int | None]) -> State:
    """shape: input channels, width of w."""
    inputs, w_dim = shape
    affine = layer.child("affine")
    affine.expect(activation="linear")
    weight = table.take(f"{layer.name}.weight", 3, inputs, 1, 1)
    return {
        f"{ours}.weight": _scaled(weight, layer.number("weight_gain") * math.sqrt(weight.shape[1])),
        f"{ours}.bias": table.take(f"{layer.name}.bias", 3),
        **_linear(table, affine, f"{ours}.affine", (inputs, w_dim), 1.0),
    }


def _linear(
    table: TensorTable, layer: _Module, ours: str, shape: tuple[int | None, int | None], multiplier: float
) -> State:
    """A fully connected layer whose gains are its own; ours have multiplier / sqrt(inputs) and multiplier.

    shape: outputs, inputs.
    """
    weight = table.take(f"{layer.name}.weight", *shape)
    bias = table.take(f"{layer.name}.bias", shape[0])
    gain = layer.number("weight_gain") * math.sqrt(weight.shape[1]) / multiplier
    return {
        f"{ours}.weight": _scaled(weight, gain),
        f"{ours}.bias": _scaled(bias, layer.number("bias_gain") / multiplier),
    }


def _scaled(tensor: Tensor, factor: float) -> Tensor:
    """Untouched, to the bit, where the gains agree."""
    return tensor if abs(factor - 1) < TOLERANCE else tensor * factor


def _clamp(blocks: list[_Module]) -> float | None:
    """The one limit that all layers have. Raises: BadCheckpoint if they differ."""
    layers = [block.child(name) for block in blocks for name in block.children()]
    limits = {None if x.plain("conv_clamp") is None else x.number("conv_clamp") for x in layers}
    limit = limits.pop()
    if limits or (limit is not None and limit <= 0):
        blocks[0].refuse("does not have one conv_clamp above 0 in all its layers")
    return limit
