"""Codes to pictures on the device: precision, memory layout, warm-up."""

import contextlib
import copy
import ctypes
import functools
import platform

import torch
from torch import Tensor, nn

from core.models.stylegan2 import Generator, StyledConv, ToRGB
from core.ops.activation import bias_act
from core.ops.modulated_conv import kernel_energy, modulated_conv

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


class FoldedConv(nn.Module):
    """A StyledConv for inference: all that depends on the weights alone is computed once."""

    def __init__(self, conv: StyledConv, dtype: torch.dtype) -> None:
        super().__init__()
        self.affine = conv.affine
        weight = (conv.weight * conv.gain).detach()
        self.register_buffer("weight", weight.to(dtype, memory_format=torch.channels_last))
        self.register_buffer("energy", kernel_energy(weight))
        self.register_buffer("bias", conv.bias.detach().to(dtype))
        self.register_buffer("noise", (conv.noise * conv.noise_strength).detach().to(dtype))
        self.weight: Tensor
        self.energy: Tensor
        self.bias: Tensor
        self.noise: Tensor
        self.up = conv.up

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x: (B, I, H, W), w: (B, D) -> (B, O, H', W')."""
        # The style stays float32: it is small, and rounding it would move the face, not blur it.
        x = modulated_conv(x, self.weight, self.affine(w), up=self.up, energy=self.energy)
        return bias_act(x, self.bias, self.noise)


class Renderer:
    """A private copy of the generator, laid out for inference on one device."""

    def __init__(self, generator: Generator, device: torch.device) -> None:
        self.device = device
        self.dtype = compute_dtype(device)
        self._generator = copy.deepcopy(generator).eval().requires_grad_(False).to(device)
        self._fold()
        # The first calls choose kernels and fill the allocator; no visitor should wait for that.
        for _ in range(2):
            self.render(self._generator.w_mean[None])

    def _fold(self) -> None:
        generator = self._generator
        generator.constant.data = generator.constant.data.to(self.dtype)
        for module in list(generator.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, StyledConv):
                    setattr(module, name, FoldedConv(child, self.dtype))
            if isinstance(module, ToRGB):
                module.weight.data = module.weight.data.to(self.dtype)

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
