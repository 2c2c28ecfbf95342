"""Paste-back: an edited face returns into the full-resolution photo, or into its crop.

    paste_change(photo, transform, crop, base, edited, region, keep_detail)     start="photo", whole photo
    paste_rendering(photo, transform, crop, base, edited, region, keep_detail)  start="inversion", whole photo
    change_face(crop, base, edited, region, keep_detail)                        start="photo", the face alone

photo: (H, W, 3) uint8. crop: (S, S, 3) uint8, the aligned photo; base, edited: (S, S, 3) float32, 0..255 and
not clipped, the model's unedited and edited renderings; region: (S, S) in [0, 1], `face_mask`; keep_detail:
the toggle "keep skin detail"; seen: what a face parser saw; None: where the person is, is guessed.
Results are uint8, the caller's own. Equal base and edited: `paste_change` and `change_face` give back photo
and crop bit for bit. A photo keeps its pixels outside the crop, but for hair that an edit takes away or
colours, and inside it where the edit changed nothing, or what it changed is background. One that is local
(`Seen.local`) leaves all around it bit for bit, but for such hair, unless the rendering is shown.
"""

import dataclasses
import math

import cv2
import numpy as np

from core.faces.alignment import CropTransform
from core.paste.beyond import recoloured
from core.paste.clearing import cleared, goes_on_above, going, let_go_beside
from core.paste.detail import ANALYSIS_SIDE, Bands, bands, enlarged, reduced, smooth_step
from core.paste.ending import crown, ending, window
from core.paste.laying import Layers, lay
from core.paste.letting_go import Fresh, Seen, at_side, fresh
from core.paste.motion import mean_square, scaled
from core.paste.strays import strays

# Lengths of the mask in units of the distance from the eyes to the mouth, so that it fits any template.
FOREHEAD = 0.6
DILATION = 0.12
FEATHER = 0.45
# Root mean square change, in grey levels, that nobody notices and that everybody does; and the neighbourhood
# it is measured in, as a share of the crop's side.
UNNOTICED = (4.0, 16.0)
SPREAD = 1 / 64
# Rows that are computed at a time where many passes go over them.
STRIP = 32


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
    return shape.astype(np.float32) * window(size)


def paste_change(
    photo: np.ndarray,
    transform: CropTransform,
    crop: np.ndarray,
    base: np.ndarray,
    edited: np.ndarray,
    region: np.ndarray,
    keep_detail: bool = True,
    seen: Seen | None = None,
) -> np.ndarray:
    """A copy of the photo with the edit laid on its own pixels, which go where the edit moves them.

    Where the edit shows something that the photo does not (teeth, glasses, hair where wall was, wall where a
    cheek was) the rendering takes over, in the photo's colours; what was background and is stays the photo's.
    Without keep_detail, the rendering takes over wherever the edit changed anything of the person.
    """
    crop, base, edited, region = _at_photo_scale(transform, crop, base, edited, region)
    edited, seen, free = _beside_things(base, edited, seen)
    where = reach(base, edited, region) * free
    if seen is not None:
        where *= seen.within(len(where))
    parts = bands(crop, base, edited, region, where, seen.people if seen else None)
    if seen is None:
        return lay(photo, transform, *_laid_on(parts, edited, where, keep_detail))
    new, gone = _let_go(seen, edited, parts)
    layers, mask = _laid_on(parts, edited, where, keep_detail, new, ending(edited, seen.kinds))
    mask *= _end_above(seen, gone, len(mask)) * free * (seen.within(len(mask)) > 0)
    return _laid_around(photo, transform, layers, mask, edited - base, seen, gone)


def paste_rendering(
    photo: np.ndarray,
    transform: CropTransform,
    crop: np.ndarray,
    base: np.ndarray,
    edited: np.ndarray,
    region: np.ndarray,
    keep_detail: bool = True,
    seen: Seen | None = None,
) -> np.ndarray:
    """A copy of the photo with the edited rendering as its face, in the photo's colours at the rim.

    With keep_detail, the photo's own texture lies on it where rendering and photo agree; beyond the face,
    the edit is laid on the photo as `paste_change` does.
    """
    crop, base, edited, region = _at_photo_scale(transform, crop, base, edited, region)
    edited, seen, free = _beside_things(base, edited, seen)
    where = reach(base, edited, region) * free
    parts = bands(crop, base, edited, region, where, seen.people if seen else None)
    new, gone = (None, None) if seen is None else _let_go(seen, edited, parts)
    end = None if seen is None else ending(edited, seen.kinds)
    outside, mask = _laid_on(parts, edited, where, keep_detail, new, end)
    keep = parts.kept * parts.true if keep_detail else np.zeros_like(parts.kept)
    shown = edited + enlarged(parts.rim_colour, len(edited))
    inside = Layers(shown + scaled(parts.features - parts.low, keep), keep, parts.flow)
    layers = _mixed(outside, inside, region)
    if seen is None:
        return lay(photo, transform, layers, mask)
    mask *= _end_above(seen, gone, len(mask)) * free
    return _laid_around(photo, transform, layers, mask, edited - base, seen, gone)


def change_face(
    crop: np.ndarray,
    base: np.ndarray,
    edited: np.ndarray,
    region: np.ndarray,
    keep_detail: bool = True,
    seen: Seen | None = None,
) -> np.ndarray:
    """The face alone, (S, S, 3) uint8, edited as `paste_change` edits it in the photo, up to its border."""
    size = crop.shape[0]
    edited, seen, free = _beside_things(base, edited, seen)
    where = free if seen is None else free * seen.within(size)
    parts = bands(crop, base, edited, region, where, seen.people if seen else None)
    whole = CropTransform(((size - 1) / 2, (size - 1) / 2), (size / 2, 0.0))
    # The picture ends where the crop does: nothing has to end before.
    new = None if seen is None else fresh(seen, edited, parts)
    layers, mask = _laid_on(parts, edited, where, keep_detail, new, np.ones((size, size), np.float32))
    return lay(crop, whole, layers, mask * free * (where > 0))


def _let_go(seen: Seen, edited: np.ndarray, parts: Bands) -> tuple[Fresh, np.ndarray | None]:
    """What is shown where the photo is let go, and what hair is `going` beyond the crop."""
    new = fresh(seen, edited, parts)
    gone = going(seen, new.bared)
    return new if gone is None else let_go_beside(new, seen, gone), gone


def _end_above(seen: Seen, gone: np.ndarray | None, size: int) -> np.ndarray:
    """(size, size): `crown`, but where the photo's hair goes on beyond the border, and the head with it."""
    on = cv2.resize(goes_on_above(seen, gone)[None], (size, 1), interpolation=cv2.INTER_LINEAR)
    return 1 - (1 - on) * (1 - crown(seen.kinds, size))


def _laid_around(
    photo: np.ndarray,
    transform: CropTransform,
    layers: Layers,
    mask: np.ndarray,
    change: np.ndarray,
    seen: Seen,
    gone: np.ndarray | None,
) -> np.ndarray:
    """The photo with the layers on it, its hair beyond the crop gone or coloured as what they show."""
    bared = None if gone is None else cleared(photo, transform, seen, gone)
    pasted = lay(photo, transform, layers, mask, None if bared is None else bared.copy())
    return recoloured(photo, pasted, transform, change, mask, seen, gone)


def _beside_things(
    base: np.ndarray, edited: np.ndarray, seen: Seen | None
) -> tuple[np.ndarray, Seen | None, np.ndarray]:
    """The edited picture and its kinds as if nothing had changed where a thing lies before the face, nor at
    flecks of hair beside it.

    And (S, S) in [0, 1], 0 where it does.
    """
    size = len(base)
    things = (
        [] if seen is None else [field for field in (seen.covered, strays(seen.kinds)) if field is not None]
    )
    if seen is None or not things:
        return edited, seen, np.ones((size, size), np.float32)
    free = 1 - np.max([enlarged(field, size) for field in things], axis=0)
    ours = at_side(seen.scene.kinds, len(seen.kinds))
    held = np.max([at_side(field, len(seen.kinds)) for field in things], axis=0)
    kinds = np.where(held > 0, ours, seen.kinds)
    return base + scaled(edited - base, free), dataclasses.replace(seen, kinds=kinds), free


def _at_photo_scale(transform: CropTransform, *images: np.ndarray) -> tuple[np.ndarray, ...]:
    """Images of a crop with no more pixels than the photo has for it: it can show no more."""
    size, side = images[0].shape[0], max(ANALYSIS_SIDE, math.ceil(transform.side))
    if side >= size:
        return images
    return tuple(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA) for image in images)


def _laid_on(
    parts: Bands,
    edited: np.ndarray,
    where: np.ndarray,
    keep_detail: bool,
    new: Fresh | None = None,
    end: np.ndarray | None = None,
) -> tuple[Layers, np.ndarray]:
    """The photo with the edit on it where (S, S) it may change, and the mask to lay it by.

    new: what is shown where the photo's pixels are let go; that ends where `end` (S, S) says.
    """
    share = where * parts.person if new is None else where * parts.person * new.person
    # Line by line where the model draws what the photo shows, elsewhere in tone, along the photo's edges.
    change = parts.tone + scaled(edited - parts.here - parts.tone, parts.drawn)
    kept = 1 - share * (1 - parts.kept)
    detail = np.ones_like(share) if keep_detail else 1 - share * _step(_size_of(change), *UNNOTICED)
    for rows in _strips(len(share)):
        part = change[rows]  # a view
        part *= scaled(_room(parts.low[rows], parts.here[rows], part), share[rows])
    add = change if keep_detail else change + scaled(parts.low, 1 - detail)
    on_photo = Layers(add, detail, parts.flow)
    # Where nothing is changed or moved the layers are the photo, so the mask may end at once.
    mask = ((share > 0) | parts.flow.any(2)).astype(np.float32) * (window(len(share)) > 0)
    if new is None or end is None:
        shown = Layers(edited + parts.colour, np.zeros_like(share), parts.flow)
        return _mixed(shown, on_photo, kept), mask
    return _mixed(new.layers, on_photo, kept * (1 - new.share)), mask + new.share * (end - mask)


def _strips(size: int) -> list[slice]:
    """Rows, so many at a time that what is computed of them stays in the processor's cache."""
    return [slice(first, first + STRIP) for first in range(0, size, STRIP)]


def _room(photo: np.ndarray, base: np.ndarray, change: np.ndarray) -> np.ndarray:
    """(S, S, 3) in [0, 1]: the photo's share of the base's distance to black or white, whither it changes.

    A brow that is darker in the photo than the model made it must not be driven below black: clipped colours
    turn blue.
    """
    darker = change < 0
    ours, theirs = (np.where(darker, image, 255 - image) for image in (photo, base))
    return np.clip(ours / np.maximum(theirs, 1), 0, 1)


def _mixed(a: Layers, b: Layers, share: np.ndarray) -> Layers:
    """a where share (S, S) is 0, b where it is 1."""
    return Layers(a.add + scaled(b.add - a.add, share), a.keep + share * (b.keep - a.keep), a.flow)


def reach(base: np.ndarray, edited: np.ndarray, region: np.ndarray) -> np.ndarray:
    """(S, S): the face's region, and beyond it, as far as the crop goes, what the edit plainly changed."""
    changed = _step(_size_of(edited - base), *UNNOTICED)
    return np.maximum(region, changed * window(region.shape[0]))


def _size_of(change: np.ndarray) -> np.ndarray:
    """(S, S): root mean square over colours and a neighbourhood, grey levels."""
    energy = reduced(mean_square(change))
    sigma = SPREAD * energy.shape[0]
    return enlarged(np.sqrt(cv2.GaussianBlur(energy, (0, 0), sigma)), change.shape[0])


def _step(value: np.ndarray, low: float, high: float) -> np.ndarray:
    return smooth_step((value - low) / (high - low)).astype(np.float32)
