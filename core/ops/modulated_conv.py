"""Modulated convolution with demodulation (Karras et al. 2020, Equations 1 and 3)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from core.ops.filtering import blur

EPS = 1e-8


def modulated_conv(
    x: Tensor,
    weight: Tensor,
    style: Tensor,
    demodulate: bool = True,
    up: bool = False,
    energy: Tensor | None = None,
    impl: str = "fast",
) -> Tensor:
    """Convolve with a kernel whose input channels are scaled by the style, for each sample.

    x: (B, I, H, W); weight: (O, I, k, k) with its gain applied; style: (B, I); energy: (O, I) of
    `kernel_energy(weight)`, if it is known already.
    Returns (B, O, H, W), or (B, O, 2H, 2W) with `up`: a transposed convolution of stride 2 and a blur.

    `impl="ref"` builds every sample's kernel (Equation 3) and convolves in groups. "fast" uses that
    conv(x, s W) = conv(s x, W), so that one shared kernel serves the whole batch; a batch of one at
    a high resolution scales the kernel instead, which is smaller than the picture.
    """
    if impl == "ref":
        return _reference(x, weight, style, demodulate, up)
    gain = demodulation(kernel_energy(weight) if energy is None else energy, style) if demodulate else None
    if len(x) == 1 and x.shape[2] * x.shape[3] > 9 * weight.shape[0]:
        kernel = weight * style[0, None, :, None, None].to(weight.dtype)  # (O, I, k, k)
        if gain is not None:
            kernel = kernel * gain[0, :, None, None, None].to(weight.dtype)
        return _convolve(x, kernel.to(x.dtype), up)
    x = x * style[:, :, None, None].to(x.dtype)
    y = _convolve(x, weight.to(x.dtype), up)
    return y if gain is None else y * gain[:, :, None, None].to(y.dtype)


def kernel_energy(weight: Tensor) -> Tensor:
    """(O, I, k, k) -> (O, I): sum of squares over the kernel's positions, in float32 or wider."""
    wide = torch.promote_types(weight.dtype, torch.float32)  # squares of halves overflow
    return weight.to(wide).square().sum((2, 3))


def demodulation(energy: Tensor, style: Tensor) -> Tensor:
    """(B, O): 1 / sqrt(sum over i, k of (s_i w_oik)^2 + eps), the denominator of Equation 3."""
    with torch.autocast(energy.device.type, enabled=False):
        return torch.rsqrt(style.to(energy.dtype).square() @ energy.T + EPS)


def _convolve(x: Tensor, weight: Tensor, up: bool) -> Tensor:
    if not up:
        return F.conv2d(x, weight, padding=weight.shape[-1] // 2)
    # (2H + 1) square; the blur's gain of 4 makes up for the inserted zeros.
    return blur(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), (1, 1), gain=4.0)


def _reference(x: Tensor, weight: Tensor, style: Tensor, demodulate: bool, up: bool) -> Tensor:
    b, i, h, w = x.shape
    o, _, k, _ = weight.shape
    kernel = weight[None] * style[:, None, :, None, None]  # (B, O, I, k, k), Equation 1
    if demodulate:
        kernel = kernel * torch.rsqrt(kernel.square().sum((2, 3, 4), keepdim=True) + EPS)  # Equation 3
    x = x.reshape(1, b * i, h, w)
    if not up:
        y = F.conv2d(x, kernel.reshape(b * o, i, k, k), padding=k // 2, groups=b)
        return y.reshape(b, o, h, w)
    kernel = kernel.transpose(1, 2).reshape(b * i, o, k, k)
    y = F.conv_transpose2d(x, kernel, stride=2, groups=b)  # (1, B*O, 2H+1, 2W+1)
    return blur(y.reshape(b, o, 2 * h + 1, 2 * w + 1), (1, 1), gain=4.0)
