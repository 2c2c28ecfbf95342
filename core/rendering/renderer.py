"""Codes to pictures on the device: precision, memory layout, warm-up."""

import contextlib
import copy
import ctypes
import functools
import platform
import weakref
from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from core.config import GeneratorConfig
from core.generators.residual import LowRank, Residual, WeightShift
from core.generators.stylegan2.network import Block, Generator, StyledConv
from core.generators.stylegan2.restart import Restarts
from core.ops.activation import bias_act
from core.ops.modulated_conv import LowRankPair, kernel_energy, modulated_conv

# Corrected kernels of the last portraits are kept: making them anew costs a third of a picture.
KEPT_CORRECTIONS = 4
# Smaller pictures take less time than it is worth to go on from a part of them.
RESTARTED_FROM = 256
# As NVIDIA trains and serves its own: what is beyond is a rare spike, not a face.
FLOAT16_RESOLUTIONS, FLOAT16_CLAMP = 4, 256.0

_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8


@functools.cache
def tune_allocator() -> None:
    """Make glibc keep the memory it frees; call before the first tensor.

    On a CPU the page faults of large tensors, given back and fetched again for every layer, cost more than
    the arithmetic. Elsewhere than on glibc this does nothing.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_M_MMAP_MAX, 0)
    libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    libc.mallopt(_M_ARENA_MAX, 1)


def compute_dtype(device: torch.device) -> torch.dtype:
    """Half precision where the hardware multiplies in it, else float32.

    With float16, unlike bfloat16, the generator keeps float32 at its lower resolutions (`layer_dtype`).
    """
    if device.type == "cuda":
        return torch.float16
    if device.type == "cpu":
        # Without these instructions bfloat16 is emulated, and slower than float32.
        cpu = torch.cpu.get_capabilities()
        if cpu.get("avx512_bf16") or cpu.get("amx_bf16") or cpu.get("bf16"):
            return torch.bfloat16
    return torch.float32


def layer_dtype(dtype: torch.dtype, resolution: int, generator: GeneratorConfig) -> torch.dtype:
    """What a layer at this resolution computes in, if the device's dtype is this one.

    float16 has too small a range for all of them: as in StyleGAN2-ADA (Karras et al. 2020, appendix D.1),
    the FLOAT16_RESOLUTIONS highest alone, which are nearly all of the work.
    """
    lowest = generator.resolution // 2 ** (FLOAT16_RESOLUTIONS - 1)
    return torch.float32 if dtype == torch.float16 and resolution < lowest else dtype


def lay_out(network: nn.Module) -> None:
    """Give weights the memory layout that convolutions compute in, and memory of their own."""
    convert_conv2d_weight_memory_format(network, torch.channels_last)
    # The rest too leaves the file that was mapped, which counts as memory as long as one tensor is in it.
    for parameter in network.parameters():
        parameter.data = parameter.data.clone()
    for module in network.modules():
        for name, buffer in module.named_buffers(recurse=False):
            module.register_buffer(name, buffer.clone())


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

    def forward(self, x: Tensor, w: Tensor, residual: LowRankPair | Kernel | None = None) -> Tensor:
        """x: (B, I, H, W), w: (B, D) -> (B, O, H', W').

        residual: P and Q that join the modulated kernel, or a kernel to work with in place of the own one.
        """
        # The style stays float32: it is small, and rounding it would move the face, not blur it.
        style = self.affine(w)
        x = x.to(self.weight.dtype)
        if isinstance(residual, Kernel):
            x = modulated_conv(x, residual.weight, style, up=self.up, energy=residual.energy)
        else:
            x = modulated_conv(
                x, self.weight, style, up=self.up, energy=self.energy, residual=residual, summed=self.summed
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


class Renderer:
    """A private copy of the generator, laid out for inference on one device."""

    def __init__(self, generator: Generator, device: torch.device) -> None:
        self.device = device
        self.dtype = compute_dtype(device)
        self._generator = copy.deepcopy(generator).eval().requires_grad_(False).to(device)
        self._fold()
        self._restarts = Restarts()
        self._convolutions = cast(list[FoldedConv], self._generator.convolutions())
        # Weakly: a portrait that is forgotten leaves nothing here.
        self._corrections: weakref.WeakKeyDictionary[WeightShift, tuple[float, list[Kernel]]] = (
            weakref.WeakKeyDictionary()
        )
        # The first calls choose kernels and fill the allocator; no visitor should wait for that.
        for _ in range(2):
            self.render(self._generator.w_mean[None])

    def _fold(self) -> None:
        generator = self._generator
        config = generator.config
        lowest = layer_dtype(self.dtype, 4, config)
        generator.constant.data = generator.constant.data.to(lowest)
        generator.first = FoldedConv(generator.first, lowest)  # type: ignore[assignment]
        for i, module in enumerate(generator.blocks, start=1):
            block, dtype = cast(Block, module), layer_dtype(self.dtype, 4 * 2**i, config)
            for name in ("up", "conv"):
                setattr(block, name, FoldedConv(getattr(block, name), dtype))
            block.to_rgb.weight.data = block.to_rgb.weight.data.to(dtype)

    @torch.inference_mode()
    def render(
        self,
        w: Tensor,
        residual: Residual | None = None,
        strength: float = 1.0,
        w_rgb: Tensor | None = None,
    ) -> Tensor:
        """w: (B, L, D) -> (B, 3, R, R) float32, nominally [-1, 1], on the device.

        w_rgb: (B, L, D), other codes for toRGB alone.
        residual: of the whole batch, strength in [0, 1] times; 0 is the same as none, bit for bit.
        The same arguments give the same bits, whatever was rendered before. One call at a time.
        """
        w = w.to(self.device, torch.float32)
        if w_rgb is not None:
            w_rgb = w_rgb.to(self.device, torch.float32)
        if residual is None or strength == 0:
            return self._plain(w, w if w_rgb is None else w_rgb)
        if isinstance(residual, LowRank):
            pairs = [None if t is None else (strength * t[0][None], t[1][None]) for t in residual.tokens]
            return self._generator.synthesis(w, residuals=pairs, w_rgb=w_rgb).float()
        kernels = cast(list[LowRankPair], self._corrected(residual, strength))  # FoldedConv takes both
        return self._generator.synthesis(w, residuals=kernels, w_rgb=w_rgb).float()

    def _plain(self, w: Tensor, w_rgb: Tensor) -> Tensor:
        if len(w) != 1 or self._generator.config.resolution < RESTARTED_FROM:
            return self._generator.synthesis(w, w_rgb=w_rgb).float()
        state = self._restarts.find(w, w_rgb)
        if state is not None:
            return self._generator.synthesis(w, w_rgb=w_rgb, start=state).float()
        seen = self._restarts.record(w, w_rgb)
        return self._generator.synthesis(w, w_rgb=w_rgb, seen=seen).float()

    def synthesis(self, w: Tensor, pairs: Sequence[LowRankPair | None]) -> Tensor:
        """As `render`, with gradients to P (B, L, O) and Q (B, L, I) of each 3x3 convolution.

        Changes nothing, so that others may render meanwhile.
        """
        return self._generator.synthesis(w.to(self.device, torch.float32), residuals=pairs).float()

    def _corrected(self, residual: WeightShift, strength: float) -> list[Kernel]:
        known = self._corrections.pop(residual, None)
        if known is None or known[0] != strength:
            convolutions = zip(self._convolutions, residual.shifts, strict=True)
            known = strength, [conv.corrected(shift, strength) for conv, shift in convolutions]
        self._corrections[residual] = known  # as the last one used
        while len(self._corrections) > KEPT_CORRECTIONS:
            self._corrections.pop(next(iter(self._corrections)), None)
        return known[1]

    def autocast(self) -> contextlib.AbstractContextManager[None]:
        """The same precision for other networks' convolutions and products."""
        if self.dtype == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, self.dtype)
