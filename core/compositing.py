"""Paste-back: an edited crop returns into the full-resolution photo under a soft mask.

Photos are HWC uint8 RGB; crops are squares of S pixels placed by a `CropTransform`. Where the mask is
zero a photo keeps its pixels bit for bit.

    paste_change(photo, transform, crop, base, edited, region, keep_detail)     start="photo", whole photo
    paste_rendering(photo, transform, crop, base, edited, region, keep_detail)  start="inversion", whole photo
    change_face(crop, base, edited, keep_detail)                                start="photo", the face alone

crop: (S, S, 3) uint8, the aligned photo; base, edited: (S, S, 3) float32, 0..255 and not clipped, the
model's unedited and edited renderings; region: (S, S) in [0, 1], `face_mask`; keep_detail: the toggle "keep
skin detail".
Equal base and edited: paste_change and change_face give back the photo and the crop, bit for bit.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from core.alignment import CropTransform
from core.detail import Bands, bands, smooth_step
from core.motion import mean_square
from core.placing import at_photo, bounds, near_photo_scale

# Lengths of the mask in units of the distance from the eyes to the mouth, so that it fits any template.
FOREHEAD = 0.6
DILATION = 0.12
FEATHER = 0.45
# A tight crop cuts through the face, so the border fades as well: a rounded square (superellipse), since
# the eye finds corners and straight edges at once. Width in units of half the side; a wider one would
# reach an open mouth in the tight crop of portrait128.
ROUNDNESS = 4
BORDER = 0.24

# A crop cuts through the cheeks: nothing new is drawn there. Width in units of half the side.
SIDES = 0.5

# Root mean square change, in grey levels, that nobody notices and that everybody does; and the neighbourhood
# it is measured in, as a share of the crop's side.
UNNOTICED = (4.0, 16.0)
SPREAD = 1 / 64

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
    shape = smooth_step(1 - (beyond - DILATION * unit) / (FEATHER * unit))
    return shape.astype(np.float32) * _window(size)


def paste_change(
    photo: np.ndarray,
    transform: CropTransform,
    crop: np.ndarray,
    base: np.ndarray,
    edited: np.ndarray,
    region: np.ndarray,
    keep_detail: bool = True,
) -> np.ndarray:
    """A copy of the photo with the edit laid on its own pixels, which go where the edit moves them.

    Where the edit shows something that the photo does not (teeth, glasses) the rendering takes over, in the
    photo's colours. Without keep_detail, so it does wherever the edit changed anything.
    """
    mask = reach(base, edited, region)
    parts = bands(crop, base, edited, mask)
    layers = _laid_on(parts, edited - base, edited, keep_detail)
    return _composite(photo, transform, layers, mask * _trusted(parts.kept))


def paste_rendering(
    photo: np.ndarray,
    transform: CropTransform,
    crop: np.ndarray,
    base: np.ndarray,
    edited: np.ndarray,
    region: np.ndarray,
    keep_detail: bool = True,
) -> np.ndarray:
    """A copy of the photo with the edited rendering as its face, in the photo's colours at the rim.

    With keep_detail, the photo's own texture lies on it where rendering and photo agree; beyond the face,
    the edit is laid on the photo as `paste_change` does.
    """
    mask = reach(base, edited, region)
    parts = bands(crop, base, edited, mask)
    outside = _laid_on(parts, edited - base, edited, keep_detail)
    keep = parts.kept * parts.true if keep_detail else np.zeros_like(parts.kept)
    inside = _Layers(
        edited + parts.rim_colour + keep[:, :, None] * (parts.features - parts.low), keep, parts.flow
    )
    return _composite(
        photo,
        transform,
        _mixed(outside, inside, region / np.maximum(mask, 1e-6)),
        mask * _trusted(parts.kept),
    )


def change_face(
    crop: np.ndarray, base: np.ndarray, edited: np.ndarray, keep_detail: bool = True
) -> np.ndarray:
    """The face alone, (S, S, 3) uint8, edited as `paste_change` edits it in the photo."""
    size = crop.shape[0]
    everywhere = np.ones((size, size), np.float32)
    parts = bands(crop, base, edited, everywhere)
    whole = CropTransform(((size - 1) / 2, (size - 1) / 2), (size / 2, 0.0))
    return _composite(crop, whole, _laid_on(parts, edited - base, edited, keep_detail), everywhere)


@dataclass(frozen=True)
class _Layers:
    """An edited face is add + keep * photo(x + flow): (S, S, 3), (S, S) and (S, S, 2) in crop pixels."""

    add: np.ndarray
    keep: np.ndarray
    flow: np.ndarray


def _laid_on(parts: Bands, change: np.ndarray, edited: np.ndarray, keep_detail: bool) -> _Layers:
    keep = parts.kept
    if not keep_detail:
        keep = keep * _step(_size_of(change), *UNNOTICED[::-1])
    kept = parts.kept[:, :, None]
    moved_base = parts.low - parts.colour - parts.features
    gain = 1 - kept * (1 - _room(parts.low, moved_base, edited - moved_base))
    laid = moved_base + gain * (edited - moved_base) + parts.colour + kept * parts.features
    return _Layers(laid - keep[:, :, None] * parts.low, keep, parts.flow)


def _room(photo: np.ndarray, base: np.ndarray, change: np.ndarray) -> np.ndarray:
    """(S, S, 3) in [0, 1]: the photo's share of the base's distance to black or white, whither it changes.

    A brow that is darker in the photo than the model made it must not be driven below black: clipped colours
    turn blue.
    """
    darker = change < 0
    ours, theirs = (np.where(darker, image, 255 - image) for image in (photo, base))
    return np.clip(ours / np.maximum(theirs, 1), 0, 1)


def _mixed(a: _Layers, b: _Layers, share: np.ndarray) -> _Layers:
    """a where share (S, S) is 0, b where it is 1."""
    return _Layers(a.add + share[:, :, None] * (b.add - a.add), a.keep + share * (b.keep - a.keep), a.flow)


def reach(base: np.ndarray, edited: np.ndarray, region: np.ndarray) -> np.ndarray:
    """(S, S): the face's region, and beyond it, as far as the crop goes, what the edit plainly changed."""
    changed = _step(_size_of(edited - base), *UNNOTICED)
    return np.maximum(region, changed * _window(region.shape[0]))


def _trusted(kept: np.ndarray) -> np.ndarray:
    """(S, S): 1 but for new structure near the sides: a turned cheek's outline beside the photo's own."""
    aside = _step(1 - np.abs(np.linspace(-1, 1, kept.shape[1])), 0, SIDES)
    return kept + (1 - kept) * aside


def _size_of(change: np.ndarray) -> np.ndarray:
    """(S, S): root mean square over colours and a neighbourhood, grey levels."""
    sigma = SPREAD * change.shape[0]
    return np.sqrt(cv2.GaussianBlur(mean_square(change), (0, 0), sigma))


def _step(value: np.ndarray, low: float, high: float) -> np.ndarray:
    return smooth_step((value - low) / (high - low)).astype(np.float32)


def _window(size: int) -> np.ndarray:
    """(size, size) float32: 1 inside, exactly 0 along the border of the crop."""
    across = np.linspace(-1, 1, size) ** ROUNDNESS
    radius = (across[:, None] + across) ** (1 / ROUNDNESS)
    return smooth_step((1 - radius) / BORDER).astype(np.float32)


def _composite(photo: np.ndarray, transform: CropTransform, layers: _Layers, mask: np.ndarray) -> np.ndarray:
    result = photo.copy()
    left, top, right, bottom = bounds(transform, photo.shape)
    if left >= right:
        return result
    add = near_photo_scale(layers.add, transform.side)
    # Crop pixels to photo pixels: the displacement has to be in the units of what it moves.
    to_photo = np.linalg.inv(transform.matrix(mask.shape[0])[:, :2]).astype(np.float32)
    fields = np.dstack([layers.flow @ to_photo.T, layers.keep, mask])
    # Enlarged that much already, it holds nothing that a linear kernel could blur.
    kernel = cv2.INTER_LINEAR if add.shape[0] >= 2 * mask.shape[0] else cv2.INTER_CUBIC
    for row in range(top, bottom, STRIP):
        box = (left, row, right, min(row + STRIP, bottom))
        field = at_photo(fields, transform, box, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)
        # Replicating keeps the cubic kernel from mixing in black; the mask alone says where the crop ends.
        fresh = at_photo(add, transform, box, kernel, cv2.BORDER_REPLICATE)
        fresh += field[:, :, 2:3] * _displaced(photo, box, field[:, :, :2])
        old = photo[row : box[3], left:right].astype(np.float32)
        fresh -= old
        fresh *= field[:, :, 3:]
        fresh += old
        result[row : box[3], left:right] = np.clip(np.rint(fresh, out=fresh), 0, 255, out=fresh)
    return result


def _displaced(photo: np.ndarray, box: tuple[int, int, int, int], by: np.ndarray) -> np.ndarray:
    """The photo's pixels at box + by (h, w, 2), uint8."""
    left, top, right, bottom = box
    x = by[:, :, 0] + np.arange(left, right, dtype=np.float32)
    y = by[:, :, 1] + np.arange(top, bottom, dtype=np.float32)[:, None]
    return cv2.remap(photo, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


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


def _blend(
    photo: np.ndarray, transform: CropTransform, layer: np.ndarray, mask: np.ndarray, replace: bool
) -> np.ndarray:
    layer = near_photo_scale(layer, transform.side)
    result = photo.copy()
    left, top, right, bottom = bounds(transform, photo.shape)
    if left >= right:
        return result
    for row in range(top, bottom, STRIP):
        end = min(row + STRIP, bottom)
        box = (left, row, right, end)
        # Replicating keeps the cubic kernel from mixing in black; the mask alone says where the crop ends.
        fresh = at_photo(layer, transform, box, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE)
        alpha = at_photo(mask, transform, box, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)[:, :, None]
        old = photo[row:end, left:right].astype(np.float32)
        if replace:
            fresh -= old
        fresh *= alpha
        fresh += old
        result[row:end, left:right] = np.clip(np.rint(fresh, out=fresh), 0, 255, out=fresh)
    return result
