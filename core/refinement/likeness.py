"""How far a full picture is from the photo, while "best" is found behind descent (GANI 2023, Equation 1).

Pixels, their differences (edges) and perception at large, besides the loss that opened the photo, in which
identity is told by dlib's network. Of the paper's terms the features of a face-parsing network are left out.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from core.inversion.losses import OpeningLoss, OpeningWeights
from core.models.lpips import Lpips

# Of the small picture, in place of what opens a photo: all of the crop counts, and perception more.
SMALL_WEIGHTS = OpeningWeights(
    squared=5.0, coarse=0.0, descriptor=0.5, maps=0.02, lpips=3.0, ground=1.0, face=0.5, part=1.0
)
# LPIPS sees the picture made this many times smaller: at full size it costs more than the generator.
FOLD = 2


@dataclass(frozen=True)
class LikenessWeights:
    """Weights of the terms at large.

    squared, absolute: of the error of pixels; edges: of the absolute error of differences between neighbours;
    lpips: of the picture at half its size, where skin has pores that the small one lacks.
    """

    squared: float = 5.0
    absolute: float = 1.0
    edges: float = 1.0
    lpips: float = 1.5


class FullLikeness:
    """The loss of pictures (1, 3, R, R) of one photo; what depends on the photo alone is computed once."""

    def __init__(
        self,
        photo: Tensor,
        small: OpeningLoss,
        lpips: Lpips,
        dtype: torch.dtype,
        weights: LikenessWeights = LikenessWeights(),  # frozen
    ) -> None:
        """photo: (1, 3, R, R) in [-1, 1]; small: the loss of the same picture at a whole share of R."""
        self._photo = photo.detach().clone()  # made in inference mode, it could have no part in a gradient
        self._small, self._share = small, photo.shape[-1] // small.side
        self._lpips, self._dtype, self._weights = lpips, dtype, weights
        with torch.no_grad():
            self._features = self._seen(self._photo)

    def __call__(self, picture: Tensor) -> dict[str, Tensor]:
        """Weighted terms, scalars."""
        weights, small = self._weights, F.avg_pool2d(picture, self._share)
        difference = picture - self._photo
        rows, columns = difference.diff(dim=2), difference.diff(dim=3)
        return {
            **{f"small {name}": term for name, term in self._small(small).items()},
            "squared": weights.squared * difference.square().mean(),
            "absolute": weights.absolute * difference.abs().mean(),
            "edges": weights.edges * (rows.abs().mean() + columns.abs().mean()) / 2,
            "lpips": weights.lpips * self._lpips.between(self._seen(picture), self._features).mean(),
        }

    def _seen(self, picture: Tensor) -> list[Tensor]:
        with torch.autocast(picture.device.type, self._dtype, enabled=self._dtype != torch.float32):
            return self._lpips.features(F.avg_pool2d(picture, FOLD))
