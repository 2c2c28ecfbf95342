"""Beyond the crop the photo's hair goes on: where an edit takes it away, no tuft may stay above a bald head.

Lengths are in pixels of the analysis, fields (s, s) of the crop or (SIDE, SIDE) of the square around it.
"""

import dataclasses

import cv2
import numpy as np

from core.faces.alignment import CropTransform
from core.faces.kinds import Kind
from core.paste.detail import enlarged, smooth_step, soft
from core.paste.ending import BORDER
from core.paste.laying import Layers, lay
from core.paste.letting_go import FRIZZ, RIM, SOFT, Fresh, Seen, at_side, loose, off
from core.paste.scene import SIDE, WIDE, wider

# Hair beyond the crop goes with what is bared that near to it.
NEAR = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (21, 21))
# It goes as a whole where so much of its roots does: above the crop, and on all of its border.
CROWN, LOCK = (0.31, 0.35), (0.55, 0.65)
# The crop begins there in the wider square; what is left without it and without its fading border.
EDGE, INSIDE = (round(SIDE * (1 - share / WIDE) / 2) for share in (1.0, 0.7))
# Over so much of the crop's border a change of the photo's own pixels fades.
FADING = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * round(BORDER * SIDE / WIDE / 2) + 1,) * 2)
# Less of it nobody sees.
SEEN = 0.05


def going(seen: Seen, bared: np.ndarray) -> np.ndarray | None:
    """(SIDE, SIDE) float32 in [0, 1]: hair that went on beyond the crop from where an edit `bared` (s, s) it.

    None: there is none.
    """
    if not bared.any():
        return None
    hair = loose(seen.scene.around)
    gone = _beyond(soft(_gone(seen.kinds, bared), SOFT))
    strands = cv2.dilate(hair.astype(np.float32), FRIZZ) * (seen.scene.around != Kind.CLOTHES)
    strands = soft(np.maximum(strands, cv2.dilate(hair.astype(np.float32), RIM)), SOFT)
    mask = strands * np.maximum(gone, _cut_off(hair, gone))
    # Inside the crop the paste sees to it.
    mask[INSIDE:-INSIDE, INSIDE:-INSIDE] = 0
    mask[mask < SEEN] = 0
    return mask if mask.any() else None


def cleared(photo: np.ndarray, transform: CropTransform, seen: Seen, gone: np.ndarray) -> np.ndarray:
    """A copy of the photo, the wall where its hair is `going`."""
    nothing = np.zeros((SIDE, SIDE, 2), np.float32)
    return lay(photo, wider(transform), Layers(seen.scene.wall, nothing[:, :, 0], nothing), gone)


def let_go_beside(new: Fresh, seen: Seen, gone: np.ndarray) -> Fresh:
    """What is shown where the photo is let go, and that it is where its hair is `going` beyond the border.

    A change of the photo's own hair fades towards the border: a rim of the old colour would stay there.
    """
    beside = cv2.dilate(gone, FADING)[EDGE:-EDGE, EDGE:-EDGE]
    share = enlarged(soft(beside, SOFT), len(new.share)) * seen.within(len(new.share))
    return dataclasses.replace(new, share=np.maximum(new.share, share))


def goes_on_above(seen: Seen, gone: np.ndarray | None) -> np.ndarray:
    """(N,) float32 in [0, 1] along the crop's upper border: 1 where the photo's hair goes on beyond it.

    gone: hair that is `going`; None: none is. Of hair that stays for the most part all goes on.
    """
    row = np.s_[EDGE - 1, EDGE:-EDGE]
    hair = loose(seen.scene.around)[row].astype(np.float32)
    stays = hair if gone is None else hair * (1 - gone[row])
    share = float(np.clip(2 * stays.sum() / max(hair.sum(), 1), 0, 1))
    found: np.ndarray = cv2.GaussianBlur(share * hair[None], (0, 0), SOFT)[0]
    return found


def _gone(kinds: np.ndarray, bared: np.ndarray) -> np.ndarray:
    """(s, s): 1 by what was bared, unless the edited picture has hair there that may go on."""
    theirs = at_side(kinds, len(bared))
    hair = cv2.dilate((theirs == Kind.HAIR).astype(np.uint8), RIM)
    return cv2.dilate(bared.astype(np.float32), NEAR) * ((hair == 0) & off(theirs))


def _beyond(field: np.ndarray) -> np.ndarray:
    """(SIDE, SIDE): a field (s, s) of the crop in the wider square; the crop's border holds on beyond it."""
    scale = len(field) * WIDE / SIDE
    middle = (len(field) - 1) / 2 - scale * (SIDE - 1) / 2
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    matrix = np.array([[scale, 0, middle], [0, scale, middle]])
    return cv2.warpAffine(field, matrix, (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _cut_off(hair: np.ndarray, gone: np.ndarray) -> np.ndarray:
    """(SIDE, SIDE): 1 on tufts of hair beyond the crop whose roots, on its border, are mostly gone."""
    beyond = hair.astype(np.uint8)
    beyond[EDGE:-EDGE, EDGE:-EDGE] = 0
    tufts = cv2.connectedComponents(beyond)[1]
    ring = np.zeros_like(hair)
    ring[EDGE - 1 : 1 - EDGE, EDGE - 1 : 1 - EDGE] = True
    above = ring & (np.arange(SIDE)[:, None] == EDGE - 1)
    goes = np.zeros(tufts.max() + 1)
    for border, (some, most) in ((above, CROWN), (ring, LOCK)):
        roots = np.where(border, tufts, 0).ravel()
        count = np.bincount(roots, minlength=len(goes))
        share = np.bincount(roots, gone.ravel(), minlength=len(goes)) / np.maximum(count, 1)
        goes = np.maximum(goes, smooth_step((share - some) / (most - some)))
    goes[0] = 0  # no tuft
    return cv2.dilate(goes[tufts].astype(np.float32), FRIZZ)
