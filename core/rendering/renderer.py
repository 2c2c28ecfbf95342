"""Codes to pictures on the device: precision, memory layout, warm-up; whichever the generator's family."""

import contextlib
import functools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from core.generators.family import GeneratorFamily
from core.generators.residual import LowRank, Residual
from core.ops.modulated_conv import LowRankPair
from core.precision import compute_dtype
from core.rendering.cores import SideBySide


def lay_out(network: nn.Module) -> None:
    """Give weights the memory layout that convolutions compute in, and memory of their own."""
    convert_conv2d_weight_memory_format(network, torch.channels_last)
    # The rest too leaves the file that was mapped, which counts as memory as long as one tensor is in it.
    for parameter in network.parameters():
        parameter.data = parameter.data.clone()
    for module in network.modules():
        for name, buffer in module.named_buffers(recurse=False):
            module.register_buffer(name, buffer.clone())


class Renderer:
    """A generator made ready to render on one device; weights may be shared and must not change."""

    def __init__(self, generator: GeneratorFamily, device: torch.device) -> None:
        """generator: on `device` already."""
        self.device = device
        self.dtype = compute_dtype(device)
        self._synthesizer = generator.folded(self.dtype)
        self._colour = bool(generator.layout.colour)
        self._beside = SideBySide() if device.type == "cpu" else None
        # The first calls choose kernels and fill the allocator; no visitor should wait for that.
        for size in (*generator.sizes, *generator.sizes):
            self.render(generator.w_mean[None], size=size)

    @torch.inference_mode()
    def render(
        self,
        w: Tensor,
        residual: Residual | None = None,
        strength: float = 1.0,
        w_rgb: Tensor | None = None,
        size: int | None = None,
    ) -> Tensor:
        """w: (B, L, D) -> (B, 3, S, S) float32, nominally [-1, 1], on the device.

        w_rgb: (B, L, D), other codes for colour alone; of a generator without such codes, of no effect.
        residual: of the whole batch, strength in [0, 1] times; 0 is the same as none, bit for bit.
        size: one of the generator's `sizes`; None: the full picture's.
        The same arguments give the same bits, whatever was rendered before. One call at a time, or `both`.
        """
        w = w.to(self.device, torch.float32)
        w_rgb = w_rgb.to(self.device, torch.float32) if self._colour and w_rgb is not None else None
        return self._synthesizer.render(w, w_rgb, residual, strength, size)

    def both(
        self, w: Tensor, residual: Residual, strength: float, w_rgb: Tensor | None, size: int | None
    ) -> tuple[Tensor, Tensor]:
        """`render` without the residual, and with it: side by side where that is faster; the same bits."""
        plain = functools.partial(self.render, w, None, 1.0, w_rgb, size)
        refined = functools.partial(self.render, w, residual, strength, w_rgb, size)
        return (plain(), refined()) if self._beside is None else self._beside.run(plain, refined)

    def synthesis(self, w: Tensor, pairs: Sequence[LowRankPair | None]) -> Tensor:
        """As `render`, with gradients to P (B, N, O) and Q (B, N, I) of each kernel that has a pair.

        Changes nothing, so that others may render meanwhile.
        """
        return self._synthesizer.synthesis(w.to(self.device, torch.float32), LowRank(tuple(pairs)))

    def autocast(self) -> contextlib.AbstractContextManager[None]:
        """The same precision for other networks' convolutions and products."""
        if self.dtype == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, self.dtype)
