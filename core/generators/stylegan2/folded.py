"""StyleGAN2 made ready to render: all that depends on the weights alone is computed once.

Its readable twins are `Generator.synthesis`, in float32, and `core.generators.stylegan2.plain`.
"""

import copy
import weakref
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from core.generators.residual import LowRank, Residual, WeightShift
from core.generators.stylegan2.layers import Joined, Layers, StyledConv, run
from core.generators.stylegan2.restart import Restarts
from core.ops.activation import bias_act
from core.ops.modulated_conv import LowRankPair, kernel_energy, modulated_conv
from core.precision import layer_dtype

# Corrected kernels of the last portraits are kept: making them anew costs a third of a picture.
KEPT_CORRECTIONS = 4
# Smaller pictures take less time than it is worth to go on from a part of them.
RESTARTED_FROM = 256
# As NVIDIA trains and serves its own: what is beyond is a rare spike, not a face.
FLOAT16_CLAMP = 256.0


class Kernel(NamedTuple):
    """A convolution's weight (O, I, 3, 3) with its gain, and its energy (O, I)."""

    weight: Tensor
    energy: Tensor


class FoldedConv(nn.Module):
    """A StyledConv for inference: all that depends on the weights alone is computed once."""

    def __init__(self, conv: StyledConv, dtype: torch.dtype) -> None:
        super().__init__()
        self.affine = conv.affine
        weight = (conv.weight * conv.gain).detach()
        self.register_buffer("weight", _laid_out(weight.to(dtype), conv.up))
        self.register_buffer("energy", kernel_energy(weight))
        self.register_buffer("summed", weight.sum((2, 3)))
        self.register_buffer("bias", conv.bias.detach().to(dtype))
        self.register_buffer("noise", (conv.noise * conv.noise_strength).detach().to(dtype))
        self.weight: Tensor
        self.energy: Tensor
        self.summed: Tensor
        self.bias: Tensor
        self.noise: Tensor
        self.up, self.clamp = conv.up, conv.clamp
        if dtype == torch.float16:
            self.clamp = min(FLOAT16_CLAMP, conv.clamp or FLOAT16_CLAMP)

    def forward(self, x: Tensor, w: Tensor, joined: LowRankPair | Kernel | None = None) -> Tensor:
        """x: (B, I, H, W), w: (B, D) -> (B, O, H', W').

        joined: P and Q that join the modulated kernel, or a kernel to work with in place of the own one.
        """
        # The style stays float32: it is small, and rounding it would move the face, not blur it.
        style = self.affine(w)
        x = x.to(self.weight.dtype)
        if isinstance(joined, Kernel):
            x = modulated_conv(x, joined.weight, style, up=self.up, energy=joined.energy)
        else:
            x = modulated_conv(
                x, self.weight, style, up=self.up, energy=self.energy, residual=joined, summed=self.summed
            )
        return bias_act(x, self.bias, self.noise, self.clamp)

    def corrected(self, shift: Tensor, strength: float) -> Kernel:
        """The kernel weight + strength * shift."""
        wide = self.weight.float() + strength * shift.float()
        return Kernel(_laid_out(wide.to(self.weight.dtype), self.up), kernel_energy(wide))


def _laid_out(weight: Tensor, up: bool) -> Tensor:
    """(O, I, k, k) as the convolution, or with `up` the transposed one, wants it in memory."""
    if not up:
        return weight.contiguous(memory_format=torch.channels_last)
    return weight.transpose(0, 1).contiguous(memory_format=torch.channels_last).transpose(0, 1)


class FoldedGenerator:
    """The `Synthesizer` of a StyleGAN2: a private copy of its layers, the 3x3 convolutions folded."""

    def __init__(self, layers: Layers, dtype: torch.dtype) -> None:
        self._layers = _folded(layers, dtype)
        self._size = 4 * 2 ** len(layers.blocks)
        self._restarts = Restarts()
        # Weakly: a portrait that is forgotten leaves nothing here.
        self._corrections: weakref.WeakKeyDictionary[WeightShift, tuple[float, list[Kernel]]] = (
            weakref.WeakKeyDictionary()
        )

    def render(
        self,
        w: Tensor,
        w_rgb: Tensor | None = None,
        residual: Residual | None = None,
        strength: float = 1.0,
        size: int | None = None,
    ) -> Tensor:
        """As `Synthesizer.render`."""
        if residual is None or strength == 0:
            return self._plain(w, w if w_rgb is None else w_rgb)
        if isinstance(residual, LowRank):
            pairs = [None if t is None else (strength * t[0][None], t[1][None]) for t in residual.tokens]
            return run(self._layers, w, w_rgb, pairs).float()
        kernels = cast(list[Joined], self._corrected(residual, strength))  # FoldedConv takes both
        return run(self._layers, w, w_rgb, kernels).float()

    def _plain(self, w: Tensor, w_rgb: Tensor) -> Tensor:
        if len(w) != 1 or self._size < RESTARTED_FROM:
            return run(self._layers, w, w_rgb).float()
        state = self._restarts.find(w, w_rgb)
        if state is not None:
            return run(self._layers, w, w_rgb, start=state).float()
        return run(self._layers, w, w_rgb, seen=self._restarts.record(w, w_rgb)).float()

    def synthesis(self, w: Tensor, residual: LowRank) -> Tensor:
        """As `Synthesizer.synthesis`."""
        return run(self._layers, w, joined=residual.tokens).float()

    def _corrected(self, residual: WeightShift, strength: float) -> list[Kernel]:
        known = self._corrections.pop(residual, None)
        if known is None or known[0] != strength:
            convolutions = [self._layers.first]
            for block in self._layers.blocks:
                convolutions += [block.up, block.conv]
            pairs = zip(cast(list[FoldedConv], convolutions), residual.shifts, strict=True)
            known = strength, [conv.corrected(shift, strength) for conv, shift in pairs]
        self._corrections[residual] = known  # as the last one used
        while len(self._corrections) > KEPT_CORRECTIONS:
            self._corrections.pop(next(iter(self._corrections)), None)
        return known[1]


def _folded(layers: Layers, dtype: torch.dtype) -> Layers:
    """Layers with parameters of their own, whose StyledConvs are FoldedConvs."""
    full = 4 * 2 ** len(layers.blocks)
    lowest = layer_dtype(dtype, 4, full)
    first = FoldedConv(copy.deepcopy(layers.first), lowest)
    first_rgb, blocks = copy.deepcopy(layers.first_rgb), copy.deepcopy(layers.blocks)
    for i, block in enumerate(blocks, start=1):
        own = layer_dtype(dtype, 4 * 2**i, full)
        for name in ("up", "conv"):
            setattr(block, name, FoldedConv(getattr(block, name), own))
        block.to_rgb.weight.data = block.to_rgb.weight.data.to(own)
    for module in (first, first_rgb, *blocks):
        module.eval().requires_grad_(False)
    return Layers(layers.constant.detach().to(lowest, copy=True), cast(StyledConv, first), first_rgb, blocks)
