"""Safety for edits: a refinement made for the unedited face gives way where an edit moved the picture."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from core.models.refine_style import resize

# Deviation of the Gaussian window, in picture sides; half as much did no better on validation faces.
WINDOW = 0.03
# Variance below which structure counts for little: that of a deviation of 0.1 on [-1, 1].
CONTRAST = 0.01
# A weight this smooth needs no more pixels.
SIDE = 128


def fade(plain: Tensor, refined: Tensor, reference: Tensor) -> Tensor:
    """plain + m * (refined - plain), with a weight m for every pixel: how much the edit left in place.

    m = max(0, 1 - var(p - r) / (var(p) + var(r) + CONTRAST)) for p = plain and r = reference, which is SSIM's
    contrast and structure (Wang et al. 2004). The variances, summed over colours, are local: under a Gaussian
    of deviation WINDOW * R, on pictures averaged down to SIDE px, so that neither cost nor measure depends on
    the resolution. Where only light or colour changed m is near 1, where an edge moved or came up it falls to
    0; without an edit it is 1 exactly, and `refined` comes back bit for bit.

    plain: the edited face without the refinement, refined: with it, reference: the unedited face without it;
    (B, 3, R, R) in [-1, 1] each. Returns the same shape.
    """
    return torch.lerp(plain, refined, unmoved(plain, reference))


def unmoved(plain: Tensor, reference: Tensor) -> Tensor:
    """The weight m of `fade`: (B, 3, R, R) twice -> (B, 1, R, R) in [0, 1]."""
    size = plain.shape[-1]
    p, r = (resize(x, min(size, SIDE)) for x in (plain, reference))
    moved = _local_variance(p - r)
    kept = 1 - moved / (_local_variance(p) + _local_variance(r) + CONTRAST)
    return resize(kept.clamp(0, 1), size)


def _local_variance(x: Tensor) -> Tensor:
    """(B, C, S, S) -> (B, 1, S, S), summed over channels."""
    means = _local_mean(torch.cat([x, x.square().sum(1, keepdim=True)], 1))
    return (means[:, -1:] - means[:, :-1].square().sum(1, keepdim=True)).clamp(min=0)


def _local_mean(x: Tensor) -> Tensor:
    """Mean under the window, rows and columns apart; the edge is repeated beyond the picture."""
    sigma = WINDOW * x.shape[-1]
    reach = math.ceil(2.5 * sigma)
    offsets = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
    row = torch.exp(-offsets.square() / (2 * sigma**2))
    kernel = (row / row.sum()).expand(x.shape[1], 1, 1, -1)  # (C, 1, 1, 2 reach + 1)
    x = F.pad(x, (reach,) * 4, mode="replicate")
    x = F.conv2d(x, kernel, groups=x.shape[1])
    return F.conv2d(x, kernel.transpose(2, 3), groups=x.shape[1])
