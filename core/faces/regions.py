"""Where in a face something belongs, as a face parser sees it: what is taken there leaves the rest."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np

from core.models.face_parser import CLASSES, SIDE
from core.paste.detail import smooth_step

# Their names are `core.network_config.REGION_NAMES`.
_EYES, _BROWS = ("left eye", "right eye"), ("left brow", "right brow")
_LIPS = ("mouth", "upper lip", "lower lip")
# In shares of the nose's height above its end: where what is below a nose begins, and where it is all there.
BELOW = (0.35, 0.05)
# The stairs of an outline, and creases between two of its parts, are that soft, in pixels of SIDE.
SOFT = 1.5
# Where a region borders on what it spares it gives way over so many.
EDGE = 4


@dataclass(frozen=True)
class Region:
    """classes: of the parser, whose places together are it. grown: so many pixels of SIDE around them are its
    own as well, over another `feather` it gives way. spares: classes beside it whose places it leaves.
    below_nose: only of what is there. feature: it is a shape in the skin, which keeps its light and tone."""

    classes: tuple[str, ...]
    grown: float
    feather: float
    spares: tuple[str, ...] = ()
    below_nose: bool = False
    feature: bool = True


REGIONS: Mapping[str, Region] = MappingProxyType(
    {
        # A wide rim takes the old hairline along; an ear stays whole, unless hair falls over it.
        "hair": Region(("hair", "hat"), 4, 10, spares=("left ear", "right ear", *_BROWS), feature=False),
        # Hair that only changes its colour ends where it did; a rim would take the new light to the forehead.
        "tint": Region(("hair", "hat"), 0, 4, spares=("left ear", "right ear", *_BROWS), feature=False),
        "eyes": Region((*_EYES, "glasses"), 6, 9),
        "brows": Region(_BROWS, 12, 14),
        # How long and broad it is one sees against the eyes, which go along.
        "nose": Region(("nose", *_EYES), 12, 12, spares=_LIPS, feature=False),
        "mouth": Region(_LIPS, 14, 14),
        "jaw": Region(("skin", "neck", *_LIPS), 3, 8, below_nose=True),
        "glasses": Region(("glasses", *_EYES, *_BROWS), 7, 8),
        "skin": Region(
            ("skin", "nose", *_EYES, *_BROWS, *_LIPS, "left ear", "right ear", "neck", "glasses"),
            0,
            5,
            feature=False,
        ),
    }
)


def region_mask(names: Iterable[str], pictures: Iterable[np.ndarray]) -> np.ndarray:
    """(SIDE, SIDE) float32 in [0, 1]: 1 where any of the regions is in any of the pictures, smoothly to 0.

    pictures: (SIDE, SIDE) uint8 each, numbers of CLASSES, of one face before and after an edit.
    """
    pictures, mask = tuple(pictures), np.zeros((SIDE, SIDE), np.float32)
    for region in (REGIONS[name] for name in names):
        part = _around(region.classes, pictures, region.grown, region.feather)
        if region.below_nose:
            part = part * _below_nose(pictures)
        if region.spares:
            beside = part * (1 - _around(region.spares, pictures, 0, EDGE))
            part = np.maximum(beside, _around(region.classes, pictures, 0, EDGE))
        mask = np.maximum(mask, part)
    # Rounding takes a smooth step a hair beyond 1.
    return np.clip(mask, 0, 1).astype(np.float32, copy=False)


def _around(
    names: tuple[str, ...], pictures: tuple[np.ndarray, ...], grown: float, feather: float
) -> np.ndarray:
    """(SIDE, SIDE): 1 as far as `grown` from these classes in any of the pictures, 0 from a feather on."""
    numbers = [CLASSES.index(name) for name in names]
    there = np.any([np.isin(classes, numbers) for classes in pictures], axis=0)
    if not there.any():
        return np.zeros((SIDE, SIDE), np.float32)
    away = cv2.distanceTransform((~there).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return smooth_step(1 - (cv2.GaussianBlur(away, (0, 0), SOFT) - grown) / feather)


def _below_nose(pictures: tuple[np.ndarray, ...]) -> np.ndarray:
    """(SIDE, 1): 1 below every nose, 0 above; without a nose, 1."""
    rows = [np.flatnonzero((classes == CLASSES.index("nose")).any(1)) for classes in pictures]
    noses = [(found[0], found[-1]) for found in rows if len(found)]
    if not noses:
        return np.ones((SIDE, 1))
    high, low = np.mean(noses, axis=0)
    start, end = (low - share * (low - high) for share in BELOW)
    return smooth_step((np.arange(SIDE)[:, None] - start) / max(end - start, 1.0))
