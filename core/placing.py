"""Where a crop lies in its photo: the crop's layers as the photo's pixels see them.

Boxes are (left, top, right, bottom) in photo pixels, the last two excluded.
"""

import math

import cv2
import numpy as np

from core.alignment import CropTransform

# A crop is enlarged with Lanczos up to this side; the warp does what is left of a giant face.
ENLARGED_SIDE = 1024


def near_photo_scale(layer: np.ndarray, side: float) -> np.ndarray:
    """The layer resized to about `side` pixels, so that the warp itself neither aliases nor shows a grid."""
    size = layer.shape[0]
    if side < size:
        target = max(1, round(side))
        return cv2.resize(layer, (target, target), interpolation=cv2.INTER_AREA)
    target = max(size, min(round(side), ENLARGED_SIDE))
    return cv2.resize(layer, (target, target), interpolation=cv2.INTER_LANCZOS4)


def at_photo(
    layer: np.ndarray, transform: CropTransform, box: tuple[int, int, int, int], flags: int, border: int
) -> np.ndarray:
    """The crop's layer as seen by the photo's pixels in box (left, top, right, bottom)."""
    left, top, right, bottom = box
    matrix = transform.matrix(layer.shape[0])
    matrix[:, 2] += matrix[:, :2] @ (left, top)
    return cv2.warpAffine(
        layer, matrix, (right - left, bottom - top), flags=flags | cv2.WARP_INVERSE_MAP, borderMode=border
    )


def bounds(transform: CropTransform, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Photo pixels the crop can touch: (left, top, right, bottom), or nothing where it lies outside."""
    (x, y), (hx, hy) = transform.center, transform.half_side
    reach = abs(hx) + abs(hy)
    left, top = max(0, math.floor(x - reach)), max(0, math.floor(y - reach))
    right, bottom = min(shape[1], math.ceil(x + reach) + 1), min(shape[0], math.ceil(y + reach) + 1)
    return (left, top, right, bottom) if left < right and top < bottom else (0, 0, 0, 0)
