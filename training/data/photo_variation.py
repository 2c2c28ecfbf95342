"""What photos vary in and sampled faces do not: light, colour cast, contrast, sharpness, noise."""

import torch
import torch.nn.functional as F
from torch import Tensor


def photo_variation(pictures: Tensor, seed: int) -> Tensor:
    """(B, 3, S, S) in [-1, 1] -> the same, each picture changed in its own way, clipped to [-1, 1]."""
    random = torch.Generator().manual_seed(seed)
    b = len(pictures)

    def uniform(low: float, high: float, channels: int = 1) -> Tensor:
        drawn = torch.rand(b, channels, 1, 1, generator=random) * (high - low) + low
        return drawn.to(pictures.device)

    x = pictures * uniform(0.75, 1.15) * uniform(0.92, 1.08, channels=3)
    x = x + uniform(-0.12, 0.12) + uniform(-0.05, 0.05, channels=3)
    x = torch.lerp(x, _softened(x), uniform(0.0, 1.0))
    x = x + uniform(0.0, 0.06) * torch.randn(x.shape, generator=random).to(x.device)
    return x.clamp(-1, 1)


def _softened(x: Tensor) -> Tensor:
    """Convolved with a binomial of five pixels along each axis, the edge repeated."""
    line = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    channels = x.shape[1]
    kernel = torch.outer(line, line).expand(channels, 1, 5, 5)
    return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="replicate"), kernel, groups=channels)
