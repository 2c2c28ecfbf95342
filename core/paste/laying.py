"""Layers of a crop, laid on the photo it was cut from, at the photo's own resolution.

Photos are HWC uint8 RGB; crops are squares of S pixels placed by a `CropTransform`. Boxes are (left, top,
right, bottom) in photo pixels, the last two excluded.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from core.faces.alignment import CropTransform, to_photo
from core.paste.motion import scaled

# A crop is enlarged with Lanczos up to this side; the warp does what is left of a giant face.
ENLARGED_SIDE = 1024
# Rows blended at a time: bounds the memory of a giant face, and stays near the processor's cache.
STRIP = 256
# So many columns between two parts of a strip are left out.
GAP = 32


@dataclass(frozen=True)
class Layers:
    """A face as add + keep * photo(x + flow), all float32.

    add: (S, S, 3), 0..255 units; keep: (S, S), the share of the photo's own pixels; flow: (S, S, 2), crop
    pixels, where they come from.
    """

    add: np.ndarray
    keep: np.ndarray
    flow: np.ndarray


def lay(
    photo: np.ndarray,
    transform: CropTransform,
    layers: Layers,
    mask: np.ndarray,
    onto: np.ndarray | None = None,
) -> np.ndarray:
    """A copy of the photo that shows the layers where `mask` (S, S) is 1, and is untouched where it is 0.

    onto: the photo as it is to be there, where that is not the one whose pixels are moved; the
    caller's own, since it becomes the result.
    """
    result = photo.copy() if onto is None else onto
    left, top, right, bottom = _touched(transform, photo.shape, mask)
    if left >= right:
        return result
    add = near_photo_scale(layers.add, transform.side)
    # Enlarged that much already, it holds nothing that a linear kernel could blur.
    kernel = cv2.INTER_LINEAR if add.shape[0] >= 2 * mask.shape[0] else cv2.INTER_CUBIC
    # Crop pixels to photo pixels: a displacement has to be in the units of what it moves.
    to_pixels = np.linalg.inv(transform.matrix(mask.shape[0])[:, :2]).astype(np.float32)
    own = layers.keep.any()
    fields = cv2.merge([cv2.transform(layers.flow, to_pixels), layers.keep, mask]) if own else mask
    for row in range(top, bottom, STRIP):
        end = min(row + STRIP, bottom)
        field = at_photo(fields, transform, (left, row, right, end), cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)
        *moves, share = cv2.split(field)  # x, y and keep, where there are
        for first, last in _runs(np.flatnonzero(share.any(0))):
            box, part = (left + first, row, left + last, end), slice(first, last)
            old = result[row:end, box[0] : box[2]]
            # Replicating keeps the cubic kernel from mixing in black; the mask says where the crop ends.
            fresh = at_photo(add, transform, box, kernel, cv2.BORDER_REPLICATE)
            if own:
                x, y, keep = (plane[:, part] for plane in moves)
                pixels = _displaced(photo, box, x, y).astype(np.float32)
                fresh += scaled(pixels, keep)
            cv2.subtract(fresh, old, dst=fresh, dtype=cv2.CV_32F)
            # Adding into 8 bits rounds and saturates.
            fresh = scaled(fresh, share[:, part])
            result[row:end, box[0] : box[2]] = cv2.add(fresh, old, dtype=cv2.CV_8U)
    return result


def _runs(found: np.ndarray) -> list[tuple[int, int]]:
    """Columns (N,), ascending, as from and to: most of a crop is wall, which nothing is laid on."""
    if not len(found):
        return []
    gaps = np.flatnonzero(np.diff(found) > GAP)
    firsts, lasts = found[np.r_[0, gaps + 1]], found[np.r_[gaps, -1]]
    return [(int(first), int(last) + 1) for first, last in zip(firsts, lasts, strict=True)]


def _touched(transform: CropTransform, shape: tuple[int, ...], mask: np.ndarray) -> tuple[int, int, int, int]:
    """Of `bounds` what shows any of the mask (S, S)."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return 0, 0, 0, 0
    # A pixel more on every side, for the kernel that enlarges it.
    x, y = (np.array([found[0] - 1, found[-1] + 1], np.float64) for found in (columns, rows))
    corners = to_photo(np.stack(np.meshgrid(x, y), -1).reshape(4, 2), transform, len(mask))
    left, top, right, bottom = bounds(transform, shape)
    (from_x, from_y), (to_x, to_y) = np.floor(corners.min(0)), np.ceil(corners.max(0)) + 1
    left, top = max(left, int(from_x)), max(top, int(from_y))
    right, bottom = min(right, int(to_x)), min(bottom, int(to_y))
    return (left, top, right, bottom) if left < right and top < bottom else (0, 0, 0, 0)


def _displaced(photo: np.ndarray, box: tuple[int, int, int, int], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The photo's pixels at box + (x, y), (h, w) each, uint8; beyond its edge reflected, as in
    `alignment.crop`."""
    left, top, right, bottom = box
    x = x + np.arange(left, right, dtype=np.float32)
    y = y + np.arange(top, bottom, dtype=np.float32)[:, None]
    return cv2.remap(photo, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


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
