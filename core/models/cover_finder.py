"""What of an aligned face's picture lies before it: hands, arms, cups, other people.

A face parser's classes have no word for such things. The same U-Net joins its trunk's features anew (see
`core.models.face_parser`); one score a pixel says how likely a thing is.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.face_parser import WIDTHS, Join
from core.models.mobilenet import CHANNELS


class CoverFinder(nn.Module):
    """Features of a `FaceParser`'s trunk -> scores."""

    def __init__(self) -> None:
        super().__init__()
        inputs = (CHANNELS[-1], *WIDTHS[:-1])
        self.joins = nn.ModuleList(
            Join(*sizes) for sizes in zip(inputs, CHANNELS[-2::-1], WIDTHS, strict=True)
        )
        self.score = nn.Conv2d(WIDTHS[-1], 1, 3, padding=1)

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        """Finest first, of pictures (B, 3, S, S) -> (B, S, S), logits."""
        *fine, x = features
        for join, part in zip(self.joins, fine[::-1], strict=True):
            x = join(x, part)
        return F.interpolate(self.score(x), scale_factor=2, mode="bilinear", align_corners=False)[:, 0]

    @torch.no_grad()
    def likely(self, features: tuple[Tensor, ...]) -> Tensor:
        """(B, S, S) in [0, 1]: how likely each pixel is of a thing."""
        return self(features).sigmoid()
