"""MobileFaceNet (Chen et al. 2018) trained with ArcFace: a differentiable identity and feature loss.

A training aid: its weights are given by path and are not part of the product.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

INPUT_SIZE = (112, 96)  # rows, columns
# Where eyes, nose tip and mouth corners must lie, in (x, y) input pixels.
FIVE_POINTS = np.array(
    [(30.29, 51.70), (65.53, 51.50), (48.03, 71.74), (33.55, 92.37), (62.73, 92.20)], np.float64
)
# Expansion, channels, units, first stride.
BOTTLENECKS = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))


class _FixedPReLU(torch.autograd.Function):
    """PReLU of frozen slopes: the stock backward also forms the slopes' gradient, and takes half the time."""

    @staticmethod
    def forward(ctx, x: Tensor, slope: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        y = F.prelu(x, slope.to(x.dtype))
        ctx.save_for_backward(x > 0, slope)
        return y

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[no-untyped-def]
        positive, slope = ctx.saved_tensors
        scaled = gradient * slope.to(gradient.dtype).view(1, -1, 1, 1)
        return torch.where(positive, gradient, scaled), None


class FrozenPReLU(nn.PReLU):
    def forward(self, x: Tensor) -> Tensor:
        return _FixedPReLU.apply(x, self.weight)


class _ConvBN(nn.Module):
    def __init__(
        self, i: int, o: int, k: int | tuple[int, int], s: int, p: int, groups: int = 1, act: bool = True
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(i, o, k, s, p, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(o)
        self.prelu = FrozenPReLU(o) if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.prelu(self.bn(self.conv(x)))


class _Bottleneck(nn.Module):
    def __init__(self, i: int, o: int, stride: int, expansion: int) -> None:
        super().__init__()
        e = i * expansion
        self.skip = stride == 1 and i == o
        self.conv = nn.Sequential(
            nn.Conv2d(i, e, 1, bias=False),
            nn.BatchNorm2d(e),
            FrozenPReLU(e),
            nn.Conv2d(e, e, 3, stride, 1, groups=e, bias=False),
            nn.BatchNorm2d(e),
            FrozenPReLU(e),
            nn.Conv2d(e, o, 1, bias=False),
            nn.BatchNorm2d(o),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.skip else self.conv(x)


class MobileFaceNet(nn.Module):
    """Faces (B, 3, 112, 96) in [-1, 1] -> embedding and features."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _ConvBN(3, 64, 3, 2, 1)
        self.dw_conv1 = _ConvBN(64, 64, 3, 1, 1, groups=64)
        blocks, i = [], 64
        for expansion, o, units, stride in BOTTLENECKS:
            for unit in range(units):
                blocks.append(_Bottleneck(i, o, stride if unit == 0 else 1, expansion))
                i = o
        self.blocks = nn.ModuleList(blocks)
        self.conv2 = _ConvBN(128, 512, 1, 1, 0)
        self.linear7 = _ConvBN(512, 512, (7, 6), 1, 0, groups=512, act=False)
        self.linear1 = _ConvBN(512, 128, 1, 1, 0, act=False)

    @classmethod
    def load(cls, path: Path) -> "MobileFaceNet":
        """Frozen, in evaluation mode. Raises RuntimeError where names or shapes do not match."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Returns the unit embedding (B, 128) and features at 56x48, 28x24, 14x12 and 7x6."""
        last, features = self._maps(x)
        return self._embed(last), features

    def pooled(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the unit embedding (B, 128) and the last map's mean over positions, (B, 512)."""
        last, _ = self._maps(x)
        return self._embed(last), last.mean((2, 3)).float()

    def _maps(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The last map (B, 512, 7, 6), and the features that `forward` returns."""
        x = self.dw_conv1(self.conv1(x))
        features = [x]
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in (4, 11, 14):
                features.append(x)
        return self.conv2(x), tuple(features)

    def _embed(self, last: Tensor) -> Tensor:
        return F.normalize(self.linear1(self.linear7(last)).flatten(1).float())


def five_points(landmarks: np.ndarray) -> np.ndarray:
    """(N, 68, 2) -> (N, 5, 2): eyes, nose tip, mouth corners."""
    return np.stack(
        [
            landmarks[:, 36:42].mean(1),
            landmarks[:, 42:48].mean(1),
            landmarks[:, 30],
            landmarks[:, 48],
            landmarks[:, 54],
        ],
        axis=1,
    )


def sampling_grids(landmarks: np.ndarray, size: int) -> np.ndarray:
    """(N, 2, 3) float32 `theta` for affine_grid: from the network's input to the aligned crop.

    landmarks: (N, 68, 2) in crop pixels; size: the crop's side. The similarity that brings the five
    points nearest to where they must lie (least squares), inverted.
    """
    source = five_points(landmarks).astype(np.float64)  # (N, 5, 2)
    mean = source.mean(1, keepdims=True)
    target_mean = FIVE_POINTS.mean(0)
    s, t = source - mean, FIVE_POINTS - target_mean
    # crop = [a -b; b a] (net - target_mean) + mean, in closed form.
    a = (s * t).sum((1, 2)) / np.square(t).sum()
    b = (s[..., 1] * t[:, 0] - s[..., 0] * t[:, 1]).sum(1) / np.square(t).sum()
    linear = np.stack([np.stack([a, -b], 1), np.stack([b, a], 1)], 1)  # (N, 2, 2)
    offset = mean[:, 0] - np.einsum("nij,j->ni", linear, target_mean)
    # To normalised coordinates, pixel centres at integers: p = (u + 1) * side / 2 - 0.5.
    rows, columns = INPUT_SIZE
    half_net = np.array([columns, rows]) / 2
    theta_linear = linear * half_net[None, None, :] * 2 / size
    centre = np.einsum("nij,j->ni", linear, half_net - 0.5) + offset
    theta_offset = (centre + 0.5) * 2 / size - 1
    return np.concatenate([theta_linear, theta_offset[:, :, None]], 2).astype(np.float32)


def align(images: Tensor, theta: Tensor) -> Tensor:
    """Aligned crops (B, 3, S, S) -> (B, 3, 112, 96), the edge repeated beyond the crop."""
    grid = F.affine_grid(theta, [len(images), 3, *INPUT_SIZE], align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
