"""Codes to pictures on the device: precision, memory layout, warm-up."""

import contextlib
import copy
import ctypes
import functools
import platform

import torch
from torch import Tensor

from core.models.stylegan2 import Generator, StyledConv, ToRGB

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
    """Half precision where the hardware multiplies in it, else float32."""
    if device.type == "cuda":
        return torch.float16
    if device.type == "cpu":
        # Without these instructions bfloat16 is emulated, and slower than float32.
        cpu = torch.cpu.get_capabilities()
        if cpu.get("avx512_bf16") or cpu.get("amx_bf16") or cpu.get("bf16"):
            return torch.bfloat16
    return torch.float32


class Renderer:
    """A private copy of the generator, laid out for inference on one device."""

    def __init__(self, generator: Generator, device: torch.device) -> None:
        self.device = device
        self.dtype = compute_dtype(device)
        self._generator = copy.deepcopy(generator).eval().requires_grad_(False).to(device)
        self._lower_precision()
        # The first calls choose kernels and fill the allocator; no visitor should wait for that.
        for _ in range(2):
            self.render(self._generator.w_mean[None])

    def _lower_precision(self) -> None:
        # The styles stay float32: they are small, and rounding them would move the face, not blur it.
        generator = self._generator
        generator.constant.data = generator.constant.data.to(self.dtype)
        for module in generator.modules():
            if isinstance(module, StyledConv | ToRGB):
                module.weight.data = module.weight.data.to(self.dtype, memory_format=torch.channels_last)
                module.bias.data = module.bias.data.to(self.dtype)
            if isinstance(module, StyledConv):
                module.noise = module.noise.to(self.dtype)
                module.noise_strength.data = module.noise_strength.data.to(self.dtype)

    @torch.inference_mode()
    def render(self, w: Tensor) -> Tensor:
        """w: (B, L, D) -> (B, 3, R, R) float32, nominally [-1, 1], on the device.

        The same code gives the same bits, whatever was rendered before.
        """
        return self._generator.synthesis(w.to(self.device, torch.float32)).float()

    def autocast(self) -> contextlib.AbstractContextManager[None]:
        """The same precision for other networks' convolutions and products."""
        if self.dtype == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, self.dtype)
