"""The layers of StyleGAN2 (Karras et al. 2020), and how its synthesis runs through them."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.ops.activation import bias_act
from core.ops.filtering import upsample
from core.ops.modulated_conv import LowRankPair, modulated_conv

# What joins a convolution's kernel: P and Q of a low-rank residual, or a shift (O, I, 3, 3).
Joined = LowRankPair | Tensor | None


class EqualizedLinear(nn.Module):
    """Linear layer whose weights are stored with unit variance and scaled at run time."""

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0, lr_multiplier: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), bias / lr_multiplier))
        self.gain = lr_multiplier / math.sqrt(inputs)
        self.lr_multiplier = lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.gain, self.bias * self.lr_multiplier)


class MappingNetwork(nn.Module):
    """z (B, z_dim) -> w (B, w_dim): pixel norm, then fully connected layers at 1/100 learning rate."""

    def __init__(self, z_dim: int, w_dim: int, layers: int) -> None:
        super().__init__()
        sizes = [z_dim] + [w_dim] * layers
        self.layers = nn.ModuleList(
            EqualizedLinear(a, b, lr_multiplier=0.01) for a, b in zip(sizes, sizes[1:], strict=False)
        )

    def forward(self, z: Tensor) -> Tensor:
        x = z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2) * math.sqrt(2.0)
        return x


class StyledConv(nn.Module):
    """Modulated 3x3 convolution, fixed noise, bias, leaky ReLU, and the config's clamp."""

    def __init__(
        self, inputs: int, outputs: int, w_dim: int, resolution: int, up: bool, clamp: float | None
    ) -> None:
        super().__init__()
        self.affine = EqualizedLinear(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise", torch.randn(resolution, resolution))
        self.noise: Tensor
        self.gain = 1 / math.sqrt(inputs * 9)
        self.up, self.clamp = up, clamp

    def forward(self, x: Tensor, w: Tensor, joined: Joined = None) -> Tensor:
        """x: (B, I, H, W), w: (B, D) -> (B, O, H', W')."""
        weight: Tensor = self.weight
        if isinstance(joined, Tensor):
            weight, joined = torch.add(weight, joined, alpha=1 / self.gain), None
        x = modulated_conv(x, weight * self.gain, self.affine(w), up=self.up, residual=joined)
        return bias_act(x, self.bias, self.noise * self.noise_strength, self.clamp)


class ToRGB(nn.Module):
    """1x1 modulated convolution without demodulation; its output is summed over the resolutions."""

    def __init__(self, inputs: int, w_dim: int, clamp: float | None) -> None:
        super().__init__()
        self.affine = EqualizedLinear(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(3, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))
        self.gain = 1 / math.sqrt(inputs)
        self.clamp = clamp

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x: (B, I, H, W), w: (B, D) -> (B, 3, H, W) float32."""
        rgb = modulated_conv(x, self.weight * self.gain, self.affine(w), demodulate=False)
        rgb = rgb.float() + self.bias.float()[:, None, None]
        return rgb if self.clamp is None else rgb.clamp(-self.clamp, self.clamp)


class Block(nn.Module):
    """All layers of one resolution above 4 px. The generator calls toRGB, whose code is the next block's."""

    def __init__(self, inputs: int, outputs: int, w_dim: int, resolution: int, clamp: float | None) -> None:
        super().__init__()
        self.up = StyledConv(inputs, outputs, w_dim, resolution, True, clamp)
        self.conv = StyledConv(outputs, outputs, w_dim, resolution, False, clamp)
        self.to_rgb = ToRGB(outputs, w_dim, clamp)

    def forward(self, x: Tensor, w: Tensor, joined: Sequence[Joined] = (None, None)) -> Tensor:
        """x: (B, I, H, W), w: (B, 2, D) -> (B, O, 2H, 2W)."""
        return self.conv(self.up(x, w[:, 0], joined[0]), w[:, 1], joined[1])


class State(NamedTuple):
    """What block number `block` (1 is the first above 4 px) starts from.

    x: (B, I, H, W), what came out of the convolutions before; rgb: (B, 3, H, W), the RGB sum without x's own
    toRGB, or None at 4 px. Depends on w[:, : 2 * block - 1] alone.
    """

    block: int
    x: Tensor
    rgb: Tensor | None


class Layers(NamedTuple):
    """All that synthesis needs: the constant (1, C, 4, 4), the layers at 4 px, and the blocks above."""

    constant: Tensor
    first: StyledConv
    first_rgb: ToRGB
    blocks: Sequence[Block]


def run(
    layers: Layers,
    w: Tensor,
    w_rgb: Tensor | None = None,
    joined: Sequence[Joined] | None = None,
    size: int | None = None,
    start: State | None = None,
    seen: Callable[[State], None] = lambda _: None,
) -> Tensor:
    """w: (B, L, D) -> (B, 3, S, S) float32, nominally [-1, 1], not clipped.

    w_rgb: (B, L, D), other codes for toRGB alone. joined: for each 3x3 convolution, in the order of the codes
    that drive them. size: stop there, with the RGB sum so far. start: a state of codes that are the same as
    far as it depends on them; nothing before it is computed. seen: is given the state before each block.
    """
    constant, first_conv, first_rgb, blocks = layers
    w_rgb = w if w_rgb is None else w_rgb
    joined = joined or [None] * (2 * len(blocks) + 1)
    if start is None:
        x = constant.expand(len(w), -1, -1, -1).contiguous(memory_format=torch.channels_last)
        start = State(1, first_conv(x, w[:, 0], joined[0]), None)
    first, x, rgb = start
    to_rgb = [first_rgb, *(block.to_rgb for block in blocks)]
    for b in range(first, len(blocks) + 1):
        seen(State(b, x, rgb))
        added = to_rgb[b - 1](x, w_rgb[:, 2 * b - 1])
        rgb = added if rgb is None else rgb + added
        if rgb.shape[-1] == size:
            return rgb
        x = blocks[b - 1](x, w[:, 2 * b - 1 : 2 * b + 1], joined[2 * b - 1 : 2 * b + 1])
        rgb = upsample(rgb)
    added = to_rgb[-1](x, w_rgb[:, 2 * len(blocks) + 1])
    return added if rgb is None else rgb + added
