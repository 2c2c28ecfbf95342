"""How far a picture is from the photo, while its code is sought: pixels, perception, and who it is.

No network that judges the result is in here: the judge of identity is another one than dlib's.
"""

import contextlib
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core.faces.dlib_network import DlibFaceNetwork, chip_grid, chips
from core.models.lpips import Lpips

# iBUG's numbers.
EYES, MOUTH = (slice(36, 42), slice(42, 48)), slice(48, 68)
# The forehead is as high above the eyes as the chin is below, times this.
FOREHEAD = 0.75


@dataclass(frozen=True)
class OpeningWeights:
    """Weights of the terms; a term of weight zero is not computed.

    squared, absolute: of the weighted error of pixels. coarse: of the squared error of means over 4x4 and
    16x16 px. descriptor: of the squared distance of dlib's descriptors; maps: of its maps. mean, equal: of
    the mean square of the coordinates, and of their differences between codes.
    ground, face, part: what a pixel counts everywhere; on the face besides; on eyes and mouth besides.
    """

    squared: float = 3.0
    absolute: float = 1.0
    coarse: float = 3.0
    descriptor: float = 2.5
    maps: float = 0.1
    lpips: float = 2.0
    mean: float = 0.03
    equal: float = 0.2
    ground: float = 0.3
    face: float = 1.0
    part: float = 1.5


class OpeningLoss:
    """The loss of pictures of one photo; what depends on the photo alone is computed once."""

    def __init__(
        self,
        photo: Tensor,
        landmarks: np.ndarray,
        face_network: DlibFaceNetwork,
        lpips: Lpips,
        weights: OpeningWeights = OpeningWeights(),  # frozen
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """photo: (1, 3, S, S) in [-1, 1]; landmarks: (68, 2) in its pixels; dtype: of the networks."""
        self._photo, self._weights, self._dtype = photo.float(), weights, dtype
        self._face_network, self._lpips = face_network, lpips
        side = photo.shape[-1]
        self._pixels = torch.from_numpy(pixel_weights(landmarks, side, weights)).to(photo)[None, None]
        self._theta = chip_grid(landmarks, side).to(photo.device)
        with torch.no_grad(), self._precision():
            if weights.descriptor or weights.maps:
                self._descriptor, self._maps = face_network(chips(self._photo, self._theta))
            if weights.lpips:
                self._features = lpips.features(self._photo)

    @property
    def side(self) -> int:
        """S, of the pictures that it compares, in px."""
        return self._photo.shape[-1]

    def __call__(self, picture: Tensor) -> dict[str, Tensor]:
        """Weighted terms, scalars. picture: (1, 3, S, S), nominally [-1, 1]."""
        weights = self._weights
        difference = picture.float() - self._photo
        weighted = self._pixels * difference
        terms = {
            "squared": weights.squared * (weighted * difference).mean(),
            "absolute": weights.absolute * weighted.abs().mean(),
        }
        if weights.coarse:
            means = [F.avg_pool2d(difference, side).square().mean() for side in (4, 16)]
            terms["coarse"] = weights.coarse * torch.stack(means).sum()
        with self._precision():
            if weights.descriptor or weights.maps:
                terms.update(self._identity(picture))
            if weights.lpips:
                features = self._lpips.features(picture)
                terms["lpips"] = weights.lpips * self._lpips.between(features, self._features).mean()
        return terms

    def pull(self, v: Tensor) -> dict[str, Tensor]:
        """Weighted terms, scalars, of the coordinates v (1, L, K): to the mean, and to equal codes."""
        apart = v - v.mean(1, keepdim=True)
        return {
            "mean": self._weights.mean * v.square().mean(),
            "equal": self._weights.equal * apart.square().mean(),
        }

    def _identity(self, picture: Tensor) -> dict[str, Tensor]:
        weights = self._weights
        descriptor, maps = self._face_network(chips(picture.float(), self._theta))
        # Relative to the photo's maps, so that each of the levels counts alike.
        levels = [
            (a - b).float().square().mean() / b.float().square().mean()
            for a, b in zip(maps, self._maps, strict=True)
        ]
        return {
            "descriptor": weights.descriptor * (descriptor - self._descriptor).square().sum(),
            "maps": weights.maps * torch.stack(levels).sum(),
        }

    def _precision(self) -> contextlib.AbstractContextManager[None]:
        if self._dtype == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self._photo.device.type, self._dtype)


def pixel_weights(landmarks: np.ndarray, side: int, weights: OpeningWeights) -> np.ndarray:
    """(side, side) float32: what each pixel counts, with soft borders. landmarks: (68, 2) in pixels."""
    points = landmarks.astype(np.float64)
    eyes = (points[EYES[0]].mean(0) + points[EYES[1]].mean(0)) / 2
    # The outline ends at the brows: mirror jaw and chin about the eyes, shortened, for a forehead.
    forehead = eyes + FOREHEAD * (eyes - points[4:13])
    unit = float(np.linalg.norm(points[EYES[0]].mean(0) - points[EYES[1]].mean(0)))
    counted = np.full((side, side), weights.ground, np.float32)
    counted += weights.face * _soft_hull(np.vstack([points[:27], forehead]), side, unit * 0.15, 0.0)
    for part in (*EYES, MOUTH):
        counted += weights.part * _soft_hull(points[part], side, unit * 0.1, unit * 0.15)
    return counted


def _soft_hull(points: np.ndarray, side: int, blur: float, margin: float) -> np.ndarray:
    """(side, side) float32 in [0, 1]: the points' hull, grown by `margin` px and blurred by `blur` px."""
    mask = np.zeros((side, side), np.float32)
    hull = cv2.convexHull(np.rint(points).astype(np.int32))
    cv2.fillConvexPoly(mask, hull, 1.0)
    if margin:
        cv2.polylines(mask, [hull], True, 1.0, thickness=max(1, round(2 * margin)))
    return cv2.GaussianBlur(mask, (0, 0), max(blur, 0.5))
