"""Paste-back: an edited crop returns into the full-resolution photo under a soft mask.

Photos are HWC uint8 RGB; crops are squares of S pixels placed by a `CropTransform`. Where the mask is
zero a photo keeps its pixels bit for bit.
"""

import math

import cv2
import numpy as np

from core.alignment import CropTransform

# Lengths of the mask in units of the distance from the eyes to the mouth, so that it fits any template.
FOREHEAD = 0.6
DILATION = 0.12
FEATHER = 0.45
# A tight crop cuts through the face, so the border fades as well: a rounded square (superellipse), since
# the eye finds corners and straight edges at once. Width in units of half the side; a wider one would
# reach an open mouth in the tight crop of portrait128.
ROUNDNESS = 4
BORDER = 0.24

# A crop is enlarged with Lanczos up to this side; the warp does what is left of a giant face.
ENLARGED_SIDE = 1024
# Rows blended at a time: bounds the memory of a giant face, and stays near the processor's cache.
STRIP = 256


def face_mask(landmarks: np.ndarray, size: int) -> np.ndarray:
    """(size, size) float32 in [0, 1]: 1 on the face, falling off smoothly, exactly 0 along the border.

    landmarks: (68, 2) in crop pixels, iBUG order; they may lie outside the crop.
    """
    eyes = landmarks[36:48].mean(0)
    up = eyes - (landmarks[48] + landmarks[54]) / 2
    unit = float(np.hypot(*up))
    # Landmarks end at the brows: the forehead lies above them, along the face's own axis.
    outline = np.concatenate([landmarks, landmarks[17:27] + FOREHEAD * up])
    hull = cv2.convexHull(outline.astype(np.float32))
    outside = np.ones((size, size), np.uint8)
    cv2.fillConvexPoly(outside, np.rint(hull * 16).astype(np.int32), 0, shift=4)
    # The distance from a convex shape has no creases; the blur takes the stairs of its drawn outline away.
    beyond = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    beyond = cv2.GaussianBlur(beyond, (0, 0), 0.06 * unit)
    shape = _smooth_step(1 - (beyond - DILATION * unit) / (FEATHER * unit))
    across = np.linspace(-1, 1, size) ** ROUNDNESS
    radius = (across[:, None] + across) ** (1 / ROUNDNESS)
    return (shape * _smooth_step((1 - radius) / BORDER)).astype(np.float32)


def paste(photo: np.ndarray, transform: CropTransform, face: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A copy of the photo in which `face` (S, S, 3) uint8 replaces what lies under `mask` (S, S)."""
    return _blend(photo, transform, face.astype(np.float32), mask, replace=True)


def paste_difference(
    photo: np.ndarray, transform: CropTransform, difference: np.ndarray, mask: np.ndarray
) -> np.ndarray:
    """A copy of the photo with `difference` (S, S, 3) float32, in 0..255 units, added under `mask` (S, S).

    The photo's own pixels stay beneath, so detail finer than the crop survives.
    """
    return _blend(photo, transform, difference.astype(np.float32), mask, replace=False)


def _smooth_step(t: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, between them 6t^5 - 15t^4 + 10t^3: no corner for the eye to catch on."""
    t = np.clip(t, 0, 1)
    return t * t * t * (t * (6 * t - 15) + 10)


def _blend(
    photo: np.ndarray, transform: CropTransform, layer: np.ndarray, mask: np.ndarray, replace: bool
) -> np.ndarray:
    layer = _near_photo_scale(layer, transform.side)
    result = photo.copy()
    left, top, right, bottom = _bounds(transform, photo.shape)
    if left >= right:
        return result
    for row in range(top, bottom, STRIP):
        end = min(row + STRIP, bottom)
        box = (left, row, right, end)
        # Replicating keeps the cubic kernel from mixing in black; the mask alone says where the crop ends.
        fresh = _warp(layer, transform, box, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE)
        alpha = _warp(mask, transform, box, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)[:, :, None]
        old = photo[row:end, left:right].astype(np.float32)
        if replace:
            fresh -= old
        fresh *= alpha
        fresh += old
        result[row:end, left:right] = np.clip(np.rint(fresh, out=fresh), 0, 255, out=fresh)
    return result


def _near_photo_scale(layer: np.ndarray, side: float) -> np.ndarray:
    """The layer resized to about `side` pixels, so that the warp itself neither aliases nor shows a grid."""
    size = layer.shape[0]
    if side < size:
        target = max(1, round(side))
        return cv2.resize(layer, (target, target), interpolation=cv2.INTER_AREA)
    target = max(size, min(round(side), ENLARGED_SIDE))
    return cv2.resize(layer, (target, target), interpolation=cv2.INTER_LANCZOS4)


def _warp(
    layer: np.ndarray, transform: CropTransform, box: tuple[int, int, int, int], flags: int, border: int
) -> np.ndarray:
    """The crop's layer as seen by the photo's pixels in box (left, top, right, bottom)."""
    left, top, right, bottom = box
    matrix = transform.matrix(layer.shape[0])
    matrix[:, 2] += matrix[:, :2] @ (left, top)
    return cv2.warpAffine(
        layer, matrix, (right - left, bottom - top), flags=flags | cv2.WARP_INVERSE_MAP, borderMode=border
    )


def _bounds(transform: CropTransform, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Photo pixels the crop can touch: (left, top, right, bottom), or nothing where it lies outside."""
    (x, y), (hx, hy) = transform.center, transform.half_side
    reach = abs(hx) + abs(hy)
    left, top = max(0, math.floor(x - reach)), max(0, math.floor(y - reach))
    right, bottom = min(shape[1], math.ceil(x + reach) + 1), min(shape[0], math.ceil(y + reach) + 1)
    return (left, top, right, bottom) if left < right and top < bottom else (0, 0, 0, 0)
