"""Beyond the crop the photo's hair goes on: what colour an edit gives it inside, it has there, too.

Else fair hair that a crop cuts above keeps a dark cap. Pictures and fields are of the square around the crop
that a `Scene` knows, (SIDE, SIDE).
"""

import cv2
import numpy as np

from core.faces.alignment import CropTransform, crop
from core.faces.kinds import Kind
from core.paste.detail import reduced, smooth_step, soft
from core.paste.ending import window
from core.paste.laying import Layers, lay
from core.paste.letting_go import ALIKE, RIM, SOFT, Seen, at_side
from core.paste.motion import mean_around, mean_square
from core.paste.scene import SIDE, WIDE, spread, wider

# Root mean square change of hair, in grey levels, that nobody notices, and that everybody does.
UNNOTICED = (3.0, 9.0)
# Hair shows its new colour where the paste is that much of what is seen.
SURE = 0.9
# Where more than that is missing, all of it is laid on.
FADES = 0.3
# It goes on from there to what lies that near; an outline is not sure of its colour.
NEAR, INNER = (cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)) for side in (25, 3))
# Sigma of what is colour there, not strands.
LOCAL = 4.0
# Strands become so much more or less distinct, as they become lighter or darker.
CONTRAST = (0.6, 1.6)


def recoloured(
    photo: np.ndarray,
    pasted: np.ndarray,
    transform: CropTransform,
    change: np.ndarray,
    mask: np.ndarray,
    seen: Seen,
    gone: np.ndarray | None,
) -> np.ndarray:
    """The pasted photo (H, W, 3) uint8, the hair around the crop in the colour that it has inside.

    change: (S, S, 3), grey levels, of the model's pictures; mask: (S, S), how much of them is seen.
    gone: (SIDE, SIDE), 0 but where the edit takes hair away (`clearing.going`); None: it takes none.
    """
    edge = round(SIDE * (1 - 1 / WIDE) / 2)
    inside, side = np.s_[edge:-edge, edge:-edge], SIDE - 2 * edge
    hair, theirs, shown = seen.scene.around == Kind.HAIR, np.ones((SIDE, SIDE), bool), np.zeros((SIDE, SIDE))
    hair[inside] &= seen.within(side) > 0
    theirs[inside] = at_side(seen.kinds, side) == Kind.HAIR
    # The paste lays a change on that fades towards the border.
    shown[inside] = cv2.resize(mask * window(len(mask)), (side, side), interpolation=cv2.INTER_AREA)
    sure = cv2.erode((hair & theirs & (shown > SURE)).astype(np.uint8), INNER)
    if (hair & (shown <= SURE)).sum() == 0 or not _changed(change, sure[inside]):
        return pasted
    around = wider(transform)
    before, after = (crop(picture, around, SIDE).astype(np.float32) for picture in (photo, pasted))
    shift = after - before
    # Hair is hair after the edit, too, or it is the photo's that the paste left.
    goes_on = hair & (shown <= SURE) & (theirs | (np.sqrt(mean_square(shift)) < UNNOTICED[1]))
    if gone is not None:
        goes_on &= gone == 0
    goes_on = _joined(goes_on, sure)
    shift = spread(shift, sure.astype(np.float32))
    here = mean_around(np.dstack([before, after]), goes_on.astype(np.float32), LOCAL)
    old = here[:, :, 3:]
    lacks = shift - (old - here[:, :, :3])
    layers = _coloured(old, lacks, seen.scene.wall, cv2.erode(goes_on.astype(np.uint8), RIM))
    weight = soft(cv2.dilate(goes_on.astype(np.float32), RIM), SOFT) * smooth_step((1 - shown) / FADES)
    weight *= smooth_step((np.sqrt(mean_square(shift)) - UNNOTICED[0]) / (UNNOTICED[1] - UNNOTICED[0]))
    weight[inside] *= seen.within(side)
    return lay(pasted, around, layers, weight.astype(np.float32))


def _joined(hair: np.ndarray, sure: np.ndarray) -> np.ndarray:
    """(SIDE, SIDE) bool: of hair the parts that lie near to where its new colour is sure."""
    parts = cv2.connectedComponents(hair.astype(np.uint8))[1]
    joined = np.unique(parts[cv2.dilate(sure, NEAR) > 0])
    found: np.ndarray = np.isin(parts, joined[joined > 0])
    return found


def _coloured(old: np.ndarray, lacks: np.ndarray, wall: np.ndarray, within: np.ndarray) -> Layers:
    """Hair of the mean colour `old` with that of old + lacks, and the wall as it is.

    Along its outline, outside `within`, a pixel is hair and wall, so what the wall has must stay.
    """
    ours, theirs, behind = (field.mean(2) for field in (old, old + lacks, wall))
    apart = np.copysign(np.maximum(np.abs(ours - behind), ALIKE), ours - behind)
    mixed = np.clip(1 + (theirs - ours) / apart, -CONTRAST[1], CONTRAST[1])
    deep = soft(within.astype(np.float32), SOFT)
    keep = mixed + deep * (np.clip(theirs / np.maximum(ours, 1), *CONTRAST) - mixed)
    add = old + lacks - keep[:, :, None] * old
    return Layers(add, keep, np.zeros((*keep.shape, 2), np.float32))


def _changed(change: np.ndarray, sure: np.ndarray) -> bool:
    """Whether hair (s, s) changed its colour at all, by the model's own pictures."""
    moved = cv2.resize(reduced(change), sure.shape[::-1], interpolation=cv2.INTER_AREA)[sure > 0]
    return len(moved) > 0 and bool(np.abs(moved.mean(0)).max() > UNNOTICED[0])
