"""A small picture from a generator's features before its last blocks: a head of our own for each size."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.generators.mobile.config import MobileConfig

SLOPE = 0.2
# Of the hidden layers; the larger picture has fewer channels, for its features are nearer to colours already
# and each channel is four times as dear.
WIDTH, WIDTH_PIXELS = 64, 8192


class PreviewHead(nn.Module):
    """Features of one block -> the picture of its size, differentiable in features and codes.

    Two hidden layers of 1x1 and a 3x3 to RGB, each modulated as the blocks that it stands for: its input is
    scaled by the product of the next block's two styles (of the Haar transform and of the first convolution,
    whose scales are alike in a group of four bands), the first hidden layer by the style of the next code,
    the second by that of all codes after it. `fixed` is what the generator's fixed noise leaves.
    """

    def __init__(self, inputs: int, size: int, later: int, w_dim: int = 512, width: int = WIDTH) -> None:
        """inputs: channels of the features; size: px; later: how many codes act after the features.

        Raises: ValueError if fewer than three codes do, or inputs are not divisible by four.
        """
        super().__init__()
        if later < 3 or inputs % 4:
            raise ValueError(f"A preview needs 3 later codes and 4 x n inputs, not {later} and {inputs}")
        self.later = later
        self.bands = nn.Linear(w_dim, inputs)
        self.groups = nn.Linear(w_dim, inputs // 4)
        self.second = nn.Linear(w_dim, width)
        self.third = nn.Linear(w_dim * (later - 2), width)
        for style in (self.groups, self.second, self.third):
            nn.init.normal_(style.weight, std=0.1 / style.in_features**0.5)
            nn.init.ones_(style.bias)
        self.first_weight = nn.Parameter(torch.randn(width, inputs) / inputs**0.5)
        self.first_bias = nn.Parameter(torch.zeros(width, 1))
        self.second_weight = nn.Parameter(torch.randn(width, width) / width**0.5)
        self.second_bias = nn.Parameter(torch.zeros(width, 1))
        self.colour_weight = nn.Parameter(torch.randn(3, width, 3, 3) / (9 * width) ** 0.5)
        self.colour_bias = nn.Parameter(torch.zeros(3, 1, 1))
        self.fixed = nn.Parameter(torch.zeros(3, size, size))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x: (B, C, S, S); w: (B, D), or (B, L, D), of which the last `later` codes are used.

        -> (B, 3, S, S), nominally [-1, 1], not clipped.
        """
        return self.coloured(self.hidden(x, w), w) + self.fixed

    def hidden(self, x: Tensor, w: Tensor) -> Tensor:
        """The second layer: (B, C, H, W), any part of the features -> (B, width, H, W)."""
        # A style joins the small kernel rather than the picture: conv(s x, W) = conv(x, s W).
        # Pixels are rows, so that the gradient lies in memory as features do: channels last.
        y = x.permute(0, 2, 3, 1).flatten(1, 2)  # (B, H * W, C)
        kernel = self.first_weight * self.style(w)[:, None]  # (B, width, C)
        y = F.leaky_relu(torch.baddbmm(self.first_bias.mT, y, kernel.mT), SLOPE)
        kernel = self.second_weight * self.second(self._codes(w)[:, 1])[:, None]  # (B, width, width)
        y = F.leaky_relu(torch.baddbmm(self.second_bias.mT, y, kernel.mT), SLOPE)  # (B, H * W, width)
        return y.mT.unflatten(2, x.shape[2:])

    def coloured(self, y: Tensor, w: Tensor) -> Tensor:
        """The 3x3 to RGB of the second layer (B, width, H, W): (B, 3, H, W), with zeros around it."""
        # What a pixel gives to each of its nine neighbours, then their sum: with three outputs in half the
        # time of a convolution. It gives to the neighbour at +1 what the convolution takes from -1: flipped.
        kernel = self.colour_weight.flip(2, 3).permute(0, 2, 3, 1).flatten(0, 2)  # (3 * 9, width)
        kernel = kernel * self.last_style(w)[:, None]  # (B, 3 * 9, width)
        given = torch.bmm(kernel, y.flatten(2))  # (B, 3 * 9, H * W)
        return F.fold(given, y.shape[2:], 3, padding=1) + self.colour_bias

    def last_style(self, w: Tensor) -> Tensor:
        """(B, width): of the second layer."""
        return self.third(self._codes(w)[:, 2:].flatten(1))

    def style(self, w: Tensor) -> Tensor:
        """(B, C): of the features."""
        code = self._codes(w)[:, 0]
        groups = self.groups(code)  # (B, C / 4)
        # Channels [0, C/4) are low bands, after them come three high ones of each.
        return self.bands(code) * torch.cat([groups, groups.repeat_interleave(3, 1)], 1)

    def _codes(self, w: Tensor) -> Tensor:
        """(B, later, D)."""
        return w[:, None].expand(-1, self.later, -1) if w.ndim == 2 else w[:, -self.later :]


def preview_heads(config: MobileConfig) -> dict[int, PreviewHead]:
    """For each size of `config.previews` a head for the features of the block of that size."""
    heads = {}
    for size in config.previews:
        block = (size // 8).bit_length() - 1  # block i makes 8 * 2**i px, and takes codes up to 2i + 2
        heads[size] = PreviewHead(
            inputs=config.channels[block + 1],
            size=size,
            later=config.num_codes - (2 * block + 3),
            w_dim=config.w_dim,
            width=min(WIDTH, WIDTH_PIXELS // size),
        )
    return heads
