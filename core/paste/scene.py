"""What a photo shows in a crop and around it, and what may be behind: found once, when it is opened."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from core.faces.alignment import CropTransform, crop
from core.faces.kinds import PERSON, Kind
from core.faces.parsing import kinds_in
from core.paste.covering import Covers
from core.paste.motion import scaled

# Hair goes on beyond the crop: a square that many times as wide is looked at as well, with the same middle.
WIDE = 1.5
# Side of that square's pictures: as the parser's, and enough for what is smooth.
SIDE = 256
# An outline is no wall yet: strands and shadows lie that far beyond it, in pixels of SIDE.
BESIDE = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (13, 13))
# What clothes count beside a wall, which is sooner what hair hides.
CLOTHES = 0.1
# Smaller than that, a picture is its own mean.
LEAST_SIDE = 4
# Of four pixels one that is known is enough.
ENOUGH = 4.0


@dataclass(frozen=True, eq=False)
class Scene:
    """kinds: (SIDE, SIDE) uint8, numbers of `Kind`, of the crop; around: the same of the square WIDE as wide.

    classes: (SIDE, SIDE) uint8, of the crop all that the parser tells apart.
    wall: (SIDE, SIDE, 3) float32, 0..255, of that square: the photo without the person. covers: what may lie
    before the face; None: nobody looked.
    """

    kinds: np.ndarray
    around: np.ndarray
    wall: np.ndarray
    classes: np.ndarray
    covers: Covers | None = None

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """All that it holds."""
        return self.kinds, self.around, self.wall, self.classes, *(self.covers.arrays if self.covers else ())


def wider(transform: CropTransform) -> CropTransform:
    """The square around a crop that a `Scene` knows."""
    x, y = transform.half_side
    return CropTransform(transform.center, (WIDE * x, WIDE * y))


def scene(
    photo: np.ndarray, transform: CropTransform, classes_of: Callable[[np.ndarray], np.ndarray]
) -> Scene:
    """Of (H, W, 3) uint8, the crop placed by `transform`.

    classes_of: a picture (SIDE, SIDE, 3) uint8 to what a face parser tells of it, (SIDE, SIDE) uint8, asked
    for crop and wide square.
    """
    around_it = wider(transform)
    classes, picture = classes_of(crop(photo, transform, SIDE)), crop(photo, around_it, SIDE)
    around = kinds_in(classes_of(picture))
    somebody = cv2.dilate((around >= PERSON).astype(np.uint8), BESIDE)
    known = np.where(around == Kind.CLOTHES, CLOTHES, 1.0) * (somebody == 0)
    # What `crop` reflects beyond the photo's edge is the person again.
    everywhere, matrix = np.ones(photo.shape[:2], np.uint8), around_it.matrix(SIDE)
    inside = cv2.warpAffine(everywhere, matrix, (SIDE, SIDE), flags=cv2.INTER_NEAREST)
    return Scene(kinds_in(classes), around, spread(picture.astype(np.float32), known * inside), classes)


def spread(picture: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(S, S, 3) float32: the picture where it is known (S, S), in [0, 1]; elsewhere what is around, smoothly.

    A pyramid of means (Gortler et al. 1996, pull and push). Where nothing is known at all, black.
    """
    known = known.astype(np.float32, copy=False)
    return _pushed(cv2.merge([scaled(picture, known), known]))


def _pushed(weighted: np.ndarray) -> np.ndarray:
    """weighted: (S, S', 4), colours times weight, and weight -> (S, S', 3)."""
    height, width = weighted.shape[:2]
    weight = weighted[:, :, 3]
    if min(height, width) <= LEAST_SIDE:
        total = weighted.sum((0, 1))
        mean = total[:3] / max(float(total[3]), 1e-6)
        return weighted[:, :, :3] + (1 - weight)[:, :, None] * mean
    half = cv2.pyrDown(weighted)
    # Full weight where enough is known, less below.
    half = cv2.divide(half, cv2.merge(4 * [np.maximum(1 / ENOUGH, half[:, :, 3])]))
    coarse = cv2.pyrUp(_pushed(half), dstsize=(width, height))
    return cv2.add(np.ascontiguousarray(weighted[:, :, :3]), scaled(coarse, 1 - weight))
