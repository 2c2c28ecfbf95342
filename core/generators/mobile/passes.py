"""The synthesizer's passes over large maps, readable: what a CPU computes. `fused.py` has a GPU's."""

from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from core.generators.mobile.layers import SLOPE


class Rows(NamedTuple):
    """Rows [first, last) of a picture of so many."""

    first: int
    last: int
    of: int

    def wider(self, by: int) -> "Rows":
        """With so many more before and after, where there are."""
        return Rows(max(self.first - by, 0), min(self.last + by, self.of), self.of)

    @property
    def missing(self) -> tuple[int, int]:
        """How many rows a 3x3 kernel needs before and after that the picture does not have."""
        return int(self.first == 0), int(self.last == self.of)


class Passes(Protocol):
    """What is worth doing in one pass over memory. Maps: channels last, of one picture."""

    def spread(self, x: Tensor, style: Tensor, taps: Tensor, rows: Rows) -> Tensor:
        """Times a style, inverse Haar transform, depthwise 3x3.

        x: (1, 4C, H, W) in four blocks of one band each; style: (4C,), with the transform's half; taps:
        (C, 1, 3, 3); rows: those to be made of a picture, x being all that their kernels see
        -> (1, C, rows, 2W) in x's dtype.
        """

    def mixed(self, x: Tensor, kernel: Tensor, bias: Tensor, noise: Tensor) -> Tensor:
        """Convolution, + noise + bias, leaky ReLU.

        x: (1, I, h, W), kernel: (O, I, k, k), k odd, bias: (O,), noise: (1, 1, h, W), one dtype
        -> (1, O, h, W).
        """


class Plain:
    """The readable twins: what a CPU computes."""

    def spread(self, x: Tensor, style: Tensor, taps: Tensor, rows: Rows) -> Tensor:
        """See `Passes.spread`."""
        return depthwise(banded_inverse_haar(x, style), taps, rows)

    def mixed(self, x: Tensor, kernel: Tensor, bias: Tensor, noise: Tensor) -> Tensor:
        """See `Passes.mixed`."""
        x = F.conv2d(x, kernel, bias, padding=kernel.shape[-1] // 2)
        # In place: both results are nobody else's.
        return F.leaky_relu_(x.add_(noise), SLOPE)


PLAIN = Plain()


def depthwise(x: Tensor, taps: Tensor, rows: Rows) -> Tensor:
    """x: (1, C, h, W), the rows that a 3x3 kernel sees of `rows`; taps: (C, 1, 3, 3) -> (1, C, rows, W)."""
    kernel = taps.to(x.dtype)
    above, below = rows.missing
    if above and below:
        if x.dtype == torch.float64:
            return _shifted(x, kernel)
        return F.conv2d(x, kernel, padding=1, groups=x.shape[1])
    if above or below:
        x = F.pad(x, (0, 0, above, below))
    return F.conv2d(x, kernel, padding=(0, 1), groups=x.shape[1])


def _shifted(x: Tensor, kernel: Tensor) -> Tensor:
    """The same of a whole picture in float64, where torch goes from channel to channel."""
    height, width = x.shape[2:]
    padded, out = F.pad(x, (1, 1, 1, 1)), torch.zeros_like(x)
    for r in range(3):
        for c in range(3):
            out.addcmul_(padded[:, :, r : r + height, c : c + width], kernel[:, 0, r, c, None, None])
    return out


def banded_inverse_haar(x: Tensor, style: Tensor) -> Tensor:
    """(1, 4C, H, W) in four blocks, times the style (4C,) -> (1, C, 2H, 2W), not halved."""
    x = (x * style[:, None, None].to(x.dtype)).permute(0, 2, 3, 1)  # (1, H, W, 4C)
    _, height, width, channels = x.shape
    a, h, v, d = x.chunk(4, 3)  # (1, H, W, C) each
    top, bottom, left, right = a + h, a - h, v + d, v - d
    out = x.new_empty(1, height, 2, width, 2, channels // 4)
    torch.add(top, left, out=out[:, :, 0, :, 0])
    torch.sub(top, left, out=out[:, :, 0, :, 1])
    torch.add(bottom, right, out=out[:, :, 1, :, 0])
    torch.sub(bottom, right, out=out[:, :, 1, :, 1])
    return out.view(1, 2 * height, 2 * width, channels // 4).permute(0, 3, 1, 2)
