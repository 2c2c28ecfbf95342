"""What repeats from cell to cell of a Haar pyramid is no part of a face: taken out of the finished picture.

Each block's inverse Haar transform leaves faint dots at fixed places of every 2x2 pixels, which the next ones
spread to 4x4 and 8x8. On skin and sky they are seen at 100 %.
"""

import torch
from torch import Tensor

CELL = 8
# Cells to either side whose dots are averaged: fewer follow the dots better, more spare what is no dot.
REACH = 2
# Of detail that may be a dot, in the picture's range of 2: a lash or a glint must not count for more.
LIMIT = 0.05


def remove_grid(picture: Tensor) -> Tensor:
    """(B, 3, H, W) in [-1, 1] -> the same without what repeats at 2, 4 and 8 px; H and W divisible by 8.

    Of each colour's fine detail, within +-LIMIT: the mean over each pixel's place in the cells around, less
    the mean over all places, is subtracted. The dots are coloured: those of the grey picture alone leave a
    grid where a colour ends at black or white.
    """
    planes = picture.flatten(0, 1)  # (B * 3, H, W)
    # One colour at a time is nearer to a processor's cache; a GPU would only have to be told more often.
    parts = planes.split(1) if planes.device.type == "cpu" else (planes,)
    cleaned = [part - _repeating((part - _smooth(part)).clamp_(-LIMIT, LIMIT)) for part in parts]
    return torch.cat(cleaned).view_as(picture)


def _smooth(x: Tensor) -> Tensor:
    """(B, H, W): weights 1/16, seven times 1/8, 1/16 both ways, which see no period of 2, 4 or 8 px."""
    for dim in (1, 2):
        x = _padded(x, dim, 4)
        for step in (1, 2, 4, 1):  # doubles the number of equal weights thrice, then sums two neighbours
            x = _sum_with_next(x, dim, step)
    return x / 256


def _repeating(detail: Tensor) -> Tensor:
    """(B, H, W): the mean over the same place of (2 REACH + 1)^2 cells, less that over all places."""
    b, height, width = detail.shape
    x = detail.view(b, height // CELL, CELL, width // CELL, CELL)
    for dim in (1, 3):
        cells = _padded(x, dim, REACH)
        count = x.shape[dim]
        x = cells.narrow(dim, 0, count).clone()
        for offset in range(1, 2 * REACH + 1):
            x += cells.narrow(dim, offset, count)
    x /= (2 * REACH + 1) ** 2
    return x.sub_(x.mean((2, 4), keepdim=True)).view(b, height, width)


def _sum_with_next(x: Tensor, dim: int, step: int) -> Tensor:
    count = x.shape[dim] - step
    return x.narrow(dim, 0, count) + x.narrow(dim, step, count)


def _padded(x: Tensor, dim: int, by: int) -> Tensor:
    """With the first and the last of a dimension repeated so many times."""
    count, shape = x.shape[dim], list(x.shape)
    shape[dim] += 2 * by
    # Copied in three: joining as many tensors takes several times as long where rows are short.
    out = x.new_empty(shape)
    out.narrow(dim, 0, by).copy_(x.narrow(dim, 0, 1).expand_as(out.narrow(dim, 0, by)))
    out.narrow(dim, by, count).copy_(x)
    out.narrow(dim, by + count, by).copy_(x.narrow(dim, count - 1, 1).expand_as(out.narrow(dim, 0, by)))
    return out
