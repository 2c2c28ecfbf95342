"""StyleGAN2 generator (Karras et al. 2020): mapping network, skip-toRGB synthesis, fixed noise."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.config import GeneratorConfig
from core.ops.activation import bias_act
from core.ops.filtering import upsample
from core.ops.modulated_conv import LowRankPair, modulated_conv


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

    def forward(self, x: Tensor, w: Tensor, residual: LowRankPair | None = None) -> Tensor:
        """x: (B, I, H, W), w: (B, D) -> (B, O, H', W')."""
        x = modulated_conv(x, self.weight * self.gain, self.affine(w), up=self.up, residual=residual)
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

    def forward(self, x: Tensor, w: Tensor, residuals: Sequence[LowRankPair | None] = (None, None)) -> Tensor:
        """x: (B, I, H, W), w: (B, 2, D) -> (B, O, 2H, 2W)."""
        return self.conv(self.up(x, w[:, 0], residuals[0]), w[:, 1], residuals[1])


class State(NamedTuple):
    """What block number `block` (1 is the first above 4 px) starts from.

    x: (B, I, H, W), what came out of the convolutions before; rgb: (B, 3, H, W), the RGB sum without x's own
    toRGB, or None at 4 px. Depends on w[:, : 2 * block - 1] alone.
    """

    block: int
    x: Tensor
    rgb: Tensor | None


class Generator(nn.Module):
    """The whole generator.

    Codes: the convolution at 4 px takes w[0], its toRGB w[1]; block b takes w[2b-1 .. 2b+1], so that its
    first code is also the toRGB code of the block before.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        c, d = config.channels, config.w_dim
        self.mapping = MappingNetwork(config.z_dim, d, config.mapping_layers)
        self.constant = nn.Parameter(torch.randn(1, c[0], 4, 4))
        self.first = StyledConv(c[0], c[0], d, 4, False, config.clamp)
        self.first_rgb = ToRGB(c[0], d, config.clamp)
        self.blocks = nn.ModuleList(
            Block(c[i - 1], c[i], d, 4 * 2**i, config.clamp) for i in range(1, config.num_blocks)
        )
        # The average w: centre of truncation, and what an inverter adds its offsets to.
        self.register_buffer("w_mean", torch.zeros(config.num_codes, d))
        # Gaussian over the W+ codes of real faces; the basis rows carry their standard deviations.
        self.register_buffer("code_mean", torch.zeros(config.num_codes, d))
        self.register_buffer("code_basis", torch.zeros(config.code_rank, config.num_codes * d))
        self.w_mean: Tensor
        self.code_mean: Tensor
        self.code_basis: Tensor

    def convolutions(self) -> list[StyledConv]:
        """The 3x3 convolutions in the order in which residuals name them (toRGB is never refined)."""
        return [self.first, *(conv for block in self.blocks for conv in (block.up, block.conv))]  # type: ignore[list-item]

    def synthesis(
        self,
        w: Tensor,
        resolution: int | None = None,
        residuals: Sequence[LowRankPair | None] | None = None,
        w_rgb: Tensor | None = None,
        start: State | None = None,
        seen: Callable[[State], None] = lambda _: None,
    ) -> Tensor:
        """w: (B, L, D) -> (B, 3, R, R) float32, nominally [-1, 1], not clipped.

        resolution: stop there (the RGB sum so far); progressive training needs it. residuals: one for each
        of `convolutions`, added to its modulated kernel. w_rgb: (B, L, D), other codes for toRGB alone.
        start: a state of codes that are the same as far as it depends on them; nothing before it is computed.
        seen: is given the state before each block.
        """
        w_rgb = w if w_rgb is None else w_rgb
        pairs = residuals or [None] * (2 * len(self.blocks) + 1)
        if start is None:
            x = self.constant.expand(len(w), -1, -1, -1).contiguous(memory_format=torch.channels_last)
            start = State(1, self.first(x, w[:, 0], pairs[0]), None)
        first, x, rgb = start
        to_rgb = [self.first_rgb, *(cast(Block, block).to_rgb for block in self.blocks)]
        for b in range(first, len(self.blocks) + 1):
            seen(State(b, x, rgb))
            added = to_rgb[b - 1](x, w_rgb[:, 2 * b - 1])
            rgb = added if rgb is None else rgb + added
            if rgb.shape[-1] == resolution:
                return rgb
            x = self.blocks[b - 1](x, w[:, 2 * b - 1 : 2 * b + 1], pairs[2 * b - 1 : 2 * b + 1])
            rgb = upsample(rgb)
        added = to_rgb[-1](x, w_rgb[:, 2 * len(self.blocks) + 1])
        return added if rgb is None else rgb + added

    def truncate(self, w: Tensor, psi: float) -> Tensor:
        """Pull codes (B, L, D) towards the mean: w_mean + psi * (w - w_mean)."""
        return self.w_mean + psi * (w - self.w_mean)

    def forward(self, z: Tensor, psi: float = 1.0) -> Tensor:
        """z: (B, z_dim) -> (B, 3, R, R), every layer given the same code."""
        w = self.mapping(z)[:, None].expand(-1, self.config.num_codes, -1)  # (B, L, D)
        return self.synthesis(self.truncate(w, psi))

    def sample(self, n: int, psi: float = 1.0, seed: int = 0) -> Tensor:
        """(n, L, D) codes: from the Gaussian of encoded faces or, where there is none, mapped from z."""
        random = torch.Generator().manual_seed(seed)
        if not self.config.code_rank:
            z = torch.randn(n, self.config.z_dim, generator=random).to(self.w_mean)
            w = self.mapping(z)[:, None].expand(-1, self.config.num_codes, -1)  # (n, L, D)
            return self.truncate(w, psi)
        z = torch.randn(n, len(self.code_basis), generator=random).to(self.code_basis)  # (n, K)
        offset = (z @ self.code_basis).view(n, self.config.num_codes, self.config.w_dim)
        return self.code_mean + psi * offset
