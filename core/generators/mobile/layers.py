"""The layers of MobileStyleGAN (Belousov 2021, arXiv 2104.04767), and what joins their kernels."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.generators.residual import LowRank, Residual

SLOPE = 0.2


def inverse_haar(x: Tensor) -> Tensor:
    """(B, 4C, H, W) -> (B, C, 2H, 2W), orthonormal.

    Channels [0, C) are the low band; C groups of three follow: of each channel the differences across rows,
    across columns, and diagonal.
    """
    channels = x.shape[1] // 4
    a = x[:, :channels]
    h, v, d = x[:, channels:].unflatten(1, (channels, 3)).unbind(2)  # (B, C, H, W) each
    corners = [a + h + v + d, a + h - v - d, a - h + v - d, a - h - v + d]
    return F.pixel_shuffle(torch.stack(corners, 2).flatten(1, 2) / 2, 2)  # (B, 4C, H, W) -> (B, C, 2H, 2W)


class MappingNetwork(nn.Module):
    """z (B, z_dim) -> w (B, w_dim): pixel norm, then linear layers, leaky ReLU, times sqrt 2."""

    def __init__(self, z_dim: int, w_dim: int, layers: int) -> None:
        super().__init__()
        sizes = [z_dim] + [w_dim] * layers
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:], strict=False))

    def forward(self, z: Tensor) -> Tensor:
        x = z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), SLOPE) * math.sqrt(2.0)
        return x


class ModulatedConv(nn.Module):
    """x * style -> 3x3 convolution -> + fixed noise + bias -> leaky ReLU.

    The convolution is dense, or (`separable`) a depthwise 3x3 and then a pointwise one. `weight` is the dense
    or the pointwise kernel: what a residual joins.
    """

    def __init__(self, inputs: int, outputs: int, w_dim: int, resolution: int, separable: bool) -> None:
        super().__init__()
        self.affine = nn.Linear(w_dim, inputs)
        self.gain = 1 / math.sqrt(9 * inputs)  # of the style
        self.depthwise = nn.Parameter(torch.randn(inputs, 1, 3, 3) / 3) if separable else None
        side = 1 if separable else 3
        self.weight = nn.Parameter(torch.randn(outputs, inputs, side, side))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("noise", torch.randn(resolution, resolution) / 10)
        self.noise: Tensor

    def forward(self, x: Tensor, w: Tensor, added: Tensor | None = None) -> Tensor:
        """x: (B, I, H, W), w: (B, D) -> (B, O, H, W). added: to the kernel, (O, I, k, k) or with B before."""
        x = x * (self.affine(w) * self.gain)[:, :, None, None]
        if self.depthwise is not None:
            x = F.conv2d(x, self.depthwise, padding=1, groups=x.shape[1])
        kernel = self.weight if added is None else self.weight + added
        if kernel.ndim == 4:
            x = F.conv2d(x, kernel, padding=kernel.shape[-1] // 2)
        else:  # every sample has its own: in groups
            b, o, i, k, _ = kernel.shape
            x = x.reshape(1, b * i, *x.shape[2:])
            x = F.conv2d(x, kernel.reshape(b * o, i, k, k), padding=k // 2, groups=b).unflatten(1, (b, o))[0]
        return F.leaky_relu(x + self.noise + self.bias[:, None, None], SLOPE)


class Block(nn.Module):
    """Styled inverse Haar transform to twice the size, then two separable convolutions."""

    def __init__(self, inputs: int, outputs: int, w_dim: int, resolution: int) -> None:
        super().__init__()
        self.resolution = resolution
        self.up = nn.Linear(w_dim, inputs)
        self.conv1 = ModulatedConv(inputs // 4, outputs, w_dim, resolution, separable=True)
        self.conv2 = ModulatedConv(outputs, outputs, w_dim, resolution, separable=True)

    def forward(self, x: Tensor, w: Tensor, added: Sequence[Tensor | None] = (None, None)) -> Tensor:
        """x: (B, I, H, W), w: (B, 2, D) -> (B, O, 2H, 2W)."""
        x = inverse_haar(x * self.up(w[:, 0])[:, :, None, None])
        return self.conv2(self.conv1(x, w[:, 0], added[0]), w[:, 1], added[1])


class ToImage(nn.Module):
    """x * style -> pointwise convolution to the picture's twelve Haar bands."""

    def __init__(self, inputs: int, w_dim: int) -> None:
        super().__init__()
        self.affine = nn.Linear(w_dim, inputs)
        self.gain = 1 / math.sqrt(inputs)  # of the style
        self.weight = nn.Parameter(torch.randn(12, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(12))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x: (B, I, H, W), w: (B, D) -> (B, 12, H, W), bands in the order of `inverse_haar`."""
        return F.conv2d(x * (self.affine(w) * self.gain)[:, :, None, None], self.weight, self.bias)


def joining(residual: Residual, strength: float = 1.0) -> list[Tensor | None]:
    """What a residual, strength times, adds to each of `MobileGenerator.kernels`: (O, I, k, k) or None.

    P^T Q is alike at all positions of a kernel (RefineStyle, Equations 2 and 3): k = 1 serves for 3 as well.
    """
    if not isinstance(residual, LowRank):
        return [strength * shift for shift in residual.shifts]
    return [
        None if pair is None else (strength * (pair[0].mT @ pair[1]))[..., None, None]
        for pair in residual.tokens
    ]
