"""Modulated convolution with demodulation (Karras et al. 2020, Equations 1 and 3)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from core.ops.filtering import blur

EPS = 1e-8

# P (B, L, O) and Q (B, L, I) of a low-rank residual P^T Q.
LowRankPair = tuple[Tensor, Tensor]


def modulated_conv(
    x: Tensor,
    weight: Tensor,
    style: Tensor,
    demodulate: bool = True,
    up: bool = False,
    energy: Tensor | None = None,
    residual: LowRankPair | None = None,
    summed: Tensor | None = None,
    impl: str = "fast",
) -> Tensor:
    """Convolve with a kernel whose input channels are scaled by the style, for each sample.

    x: (B, I, H, W); weight: (O, I, k, k) with its gain applied; style: (B, I); energy: (O, I) of
    `kernel_energy(weight)`, if it is known already; residual: P (B or 1, L, O) and Q (B or 1, L, I), whose
    product P^T Q joins the modulated kernel at all of its positions (RefineStyle, Equations 2 and 3);
    summed: (O, I), the weight's sum over its positions, if it is known already.
    Returns (B, O, H, W), or (B, O, 2H, 2W) with `up`: a transposed convolution of stride 2 and a blur.

    `impl="ref"` builds every sample's kernel (Equation 3) and convolves in groups. "fast" uses that
    conv(x, s W) = conv(s x, W), so that one shared kernel serves the whole batch, and that
    conv(x, P^T Q) = P^T box(Q x), with box the sum over the kernel's positions; a batch of one at
    a high resolution builds its kernel instead, which is smaller than the picture.
    """
    if impl == "ref":
        return _reference(x, weight, style, demodulate, up, residual)
    if demodulate and x.dtype == torch.float16:
        style, residual = _within_range(style, residual)
    gain = None
    if demodulate:
        energy = kernel_energy(weight) if energy is None else energy
        added = None if residual is None else residual_energy(weight, style, residual, summed)
        gain = demodulation(energy, style, added)
    # Both switch points were measured: a residual is dear beside a picture, cheap inside a kernel.
    switch = weight.shape[0] * (9 if residual is None else 1)
    if len(x) == 1 and x.shape[2] * x.shape[3] >= switch:
        kernel = weight * style[0, None, :, None, None].to(weight.dtype)  # (O, I, k, k)
        if residual is not None:
            p, q = residual
            kernel = kernel + (p[0].T @ q[0])[:, :, None, None].to(weight.dtype)
        if gain is not None:
            kernel = kernel * gain[0, :, None, None, None].to(weight.dtype)
        return _convolve(x, kernel.to(x.dtype), up)
    y = _correlate(x * style[:, :, None, None].to(x.dtype), weight.to(x.dtype), up)
    if residual is not None:
        y = y + _low_rank(x, residual, weight.shape[-1], up)
    if up:
        y = blur(y, (1, 1), gain=4.0)
    return y if gain is None else y * gain[:, :, None, None].to(y.dtype)


def _within_range(style: Tensor, residual: LowRankPair | None) -> tuple[Tensor, LowRankPair | None]:
    """The style with its largest entry at 1, and the residual with it.

    Demodulation divides by whatever both have in common, so that only intermediate sums change, which
    float16 might not hold.
    """
    largest = style.abs().amax(1, keepdim=True).clamp(min=EPS)  # (B, 1)
    if residual is not None:
        residual = residual[0] / largest[:, :, None].to(residual[0].dtype), residual[1]
    return style / largest, residual


def kernel_energy(weight: Tensor) -> Tensor:
    """(O, I, k, k) -> (O, I): sum of squares over the kernel's positions, in float32 or wider."""
    wide = torch.promote_types(weight.dtype, torch.float32)  # squares of halves overflow
    return weight.to(wide).square().sum((2, 3))


def demodulation(energy: Tensor, style: Tensor, added: Tensor | None = None) -> Tensor:
    """(B, O): 1 / sqrt(sum over i, k of (s_i w_oik)^2 + eps), the denominator of Equation 3.

    added: (B, O), what a residual adds to the sum.
    """
    with torch.autocast(energy.device.type, enabled=False):
        total = style.to(energy.dtype).square() @ energy.T
        # Rounding can bring the sum, a square, below zero where the residual cancels the kernel.
        total = total if added is None else (total + added).clamp(min=0)
        return torch.rsqrt(total + EPS)


def residual_energy(
    weight: Tensor, style: Tensor, residual: LowRankPair, summed: Tensor | None = None
) -> Tensor:
    """(B, O): sum over i, k of (s_i w_oik + d_oi)^2 - (s_i w_oik)^2 for d = P^T Q, without forming d.

    With W the sum of the weight over its n = k * k positions: 2 sum over r of P_ro [W (s * Q_r)]_o
    + n p_o^T (Q Q^T) p_o.
    """
    with torch.autocast(weight.device.type, enabled=False):
        p, q = (t.to(torch.promote_types(t.dtype, torch.float32)) for t in residual)
        summed = weight.to(q.dtype).sum((2, 3)) if summed is None else summed  # (O, I)
        crossed = (q * style.to(q.dtype)[:, None]) @ summed.T  # (B, L, O)
        gram = q @ q.transpose(1, 2)  # (B, L, L)
        positions = weight.shape[2] * weight.shape[3]
        return (p * (2 * crossed + positions * (gram @ p))).sum(1)


def _convolve(x: Tensor, weight: Tensor, up: bool) -> Tensor:
    y = _correlate(x, weight, up)
    # The blur's gain of 4 makes up for the inserted zeros.
    return blur(y, (1, 1), gain=4.0) if up else y


def _correlate(x: Tensor, weight: Tensor, up: bool) -> Tensor:
    """(B, O, H, W), or with `up` (B, O, 2H + 1, 2W + 1), to be blurred."""
    if up:
        return F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
    return F.conv2d(x, weight, padding=weight.shape[-1] // 2)


def _low_rank(x: Tensor, residual: LowRankPair, size: int, up: bool) -> Tensor:
    """What kernels P^T Q, equal at all their positions, add to the convolution; shapes of `_correlate`."""
    p, q = (t.to(x.dtype) for t in residual)
    tokens = q.shape[1]
    narrow = (q @ x.flatten(2)).unflatten(2, x.shape[2:])  # (B, L, H, W)
    box = narrow.new_ones(tokens, 1, size, size)
    if up:
        narrow = F.conv_transpose2d(narrow, box, stride=2, groups=tokens)
    else:
        narrow = F.conv2d(narrow, box, padding=size // 2, groups=tokens)
    wide = p.transpose(1, 2) @ narrow.flatten(2)  # (B, O, H' W')
    return wide.unflatten(2, narrow.shape[2:])


def _reference(
    x: Tensor, weight: Tensor, style: Tensor, demodulate: bool, up: bool, residual: LowRankPair | None
) -> Tensor:
    b, i, h, w = x.shape
    o, _, k, _ = weight.shape
    kernel = weight[None] * style[:, None, :, None, None]  # (B, O, I, k, k), Equation 1
    if residual is not None:
        p, q = residual
        kernel = kernel + (p.transpose(1, 2) @ q)[:, :, :, None, None]  # RefineStyle, Equations 2 and 3
    if demodulate:
        kernel = kernel * torch.rsqrt(kernel.square().sum((2, 3, 4), keepdim=True) + EPS)  # Equation 3
    x = x.reshape(1, b * i, h, w)
    if not up:
        y = F.conv2d(x, kernel.reshape(b * o, i, k, k), padding=k // 2, groups=b)
        return y.reshape(b, o, h, w)
    kernel = kernel.transpose(1, 2).reshape(b * i, o, k, k)
    y = F.conv_transpose2d(x, kernel, stride=2, groups=b)  # (1, B*O, 2H+1, 2W+1)
    return blur(y.reshape(b, o, 2 * h + 1, 2 * w + 1), (1, 1), gain=4.0)
