"""Differentiable augmentation (Zhao et al. 2020): the discriminator sees only changed pictures."""

import torch
import torch.nn.functional as F
from torch import Tensor


def augment(images: Tensor) -> Tensor:
    """Colour, translation by up to an eighth, and a quarter-area cutout; (B, 3, S, S) -> the same shape."""
    b, _, size, _ = images.shape

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(b, 1, 1, 1, device=images.device) * (high - low) + low

    x = images + uniform(-0.5, 0.5)
    grey = x.mean(1, keepdim=True)
    x = (x - grey) * uniform(0.0, 2.0) + grey
    mean = x.mean((1, 2, 3), keepdim=True)
    x = (x - mean) * uniform(0.5, 1.5) + mean

    identity = torch.eye(2, 3, device=images.device).repeat(b, 1, 1)  # (B, 2, 3)
    # Whole pixels, so that translation does not soften the picture.
    shift = (torch.rand(b, 2, device=images.device) * 2 - 1) * size / 8
    identity[:, :, 2] = shift.round() * 2 / size
    grid = F.affine_grid(identity, list(x.shape), align_corners=False)
    x = F.grid_sample(x, grid, mode="nearest", padding_mode="zeros", align_corners=False)

    # A square of half the side, anywhere, becomes black.
    centre = torch.rand(b, 2, 1, 1, device=images.device) * size
    axis = torch.arange(size, device=images.device)
    rows = (axis[None, :, None] - centre[:, 0]).abs() < size / 4  # (B, S, 1)
    columns = (axis[None, None, :] - centre[:, 1]).abs() < size / 4  # (B, 1, S)
    return x * ~(rows & columns)[:, None]
