"""Up- and downsampling with the [1, 3, 3, 1] binomial filter of StyleGAN2.

`impl="ref"` is the readable twin: zero insertion, padding and a full 2-D convolution.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def binomial_kernel(device: torch.device | None = None, dtype: torch.dtype = torch.float32) -> Tensor:
    """(4, 4), sums to one."""
    row = torch.tensor([1.0, 3.0, 3.0, 1.0], device=device, dtype=dtype) / 8
    return torch.outer(row, row)


def blur(x: Tensor, pad: tuple[int, int], gain: float = 1.0) -> Tensor:
    """Depthwise 4x4 binomial blur.

    x: (B, C, H, W); pad: pixels (before, after) on both axes. Returns (B, C, H + sum(pad) - 3, ...).
    """
    kernel = binomial_kernel(x.device, x.dtype).mul(gain).expand(x.shape[1], 1, 4, 4)  # (C, 1, 4, 4)
    before, after = pad
    if before == after:
        return F.conv2d(x, kernel, padding=before, groups=x.shape[1])
    return F.conv2d(F.pad(x, (before, after, before, after)), kernel, groups=x.shape[1])


def upsample(x: Tensor, impl: str = "fast") -> Tensor:
    """Twice the size, filtered. x: (B, C, H, W) -> (B, C, 2H, 2W)."""
    if impl == "ref":
        b, c, h, w = x.shape
        wide = x.new_zeros(b, c, 2 * h, 2 * w)
        wide[:, :, ::2, ::2] = x
        kernel = (binomial_kernel(x.device, x.dtype) * 4).expand(c, 1, 4, 4)
        return F.conv2d(F.pad(wide, (2, 1, 2, 1)), kernel, groups=c)
    # Each output row mixes two input rows 3:1 or 1:3: exactly bilinear at half-pixel centres, but
    # for the border, where the filter sees zeros and interpolation repeats the edge.
    padded = F.pad(x, (1, 1, 1, 1))
    return F.interpolate(padded, scale_factor=2, mode="bilinear", align_corners=False)[..., 2:-2, 2:-2]


def downsample(x: Tensor) -> Tensor:
    """Half the size, filtered. x: (B, C, 2H, 2W) -> (B, C, H, W)."""
    kernel = binomial_kernel(x.device, x.dtype).expand(x.shape[1], 1, 4, 4)
    return F.conv2d(x, kernel, stride=2, padding=1, groups=x.shape[1])
