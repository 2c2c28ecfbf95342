"""Where a paste ends inside its crop: its border fades, and what is cut there ends as such things do."""

import functools

import cv2
import numpy as np

from core.faces.kinds import PERSON, Kind
from core.paste.detail import enlarged, smooth_step, soft
from core.paste.letting_go import at_side

# A crop cuts through hair and neck, so its border fades as well: a rounded square (superellipse), since the
# eye finds corners and straight edges at once. Width in units of half the side.
ROUNDNESS = 8
BORDER = 0.2
# Where the photo is let go anyway, what is cut is the rendering, and it may come closer.
NARROW = 0.04
# Where locks end in the border's fade, by how much they differ in that, and over how much of it each ends.
TIPS = (0.35, 0.25, 0.2)
# Side at which the edited picture's kinds are looked at; pixels below are of it.
SIDE = 256
# A crown ends in an arc, that high for its width, which goes on sinking so many half widths from its middle.
ARC, ARC_ENDS, ARC_SOFT = 0.08, 1.3, 4.0
# Its outline goes along, that far beyond.
BESIDE = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (13, 13))


@functools.lru_cache(maxsize=8)
def window(size: int, border: float = BORDER) -> np.ndarray:
    """(size, size) float32: 1 inside, exactly 0 along the border of the crop."""
    across = np.linspace(-1, 1, size) ** ROUNDNESS
    radius = (across[:, None] + across) ** (1 / ROUNDNESS)
    found: np.ndarray = smooth_step((1 - radius) / border).astype(np.float32)
    found.setflags(write=False)
    return found


def crown(kinds: np.ndarray, size: int) -> np.ndarray:
    """(size, size) float32: 1; 0 where a head that is cut above, by its kinds (S, S), goes beyond an arc."""
    kinds = at_side(kinds, SIDE)
    columns = np.flatnonzero(kinds[0] >= PERSON)
    if not len(columns):
        return np.ones((size, size), np.float32)
    middle, half = (columns[0] + columns[-1]) / 2, (columns[-1] - columns[0] + 1) / 2
    y, x = np.ogrid[:SIDE, :SIDE]
    above = 2 * half * ARC * np.minimum(np.abs(x - middle) / half, ARC_ENDS) ** 2
    head = soft(cv2.dilate((kinds >= PERSON).astype(np.float32), BESIDE), 2)
    beyond = (1 - smooth_step((y - above) / ARC_SOFT)) * head
    return enlarged((1 - beyond).astype(np.float32), size)


def ending(edited: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """(S, S) float32: how far a rendering (S, S, 3) goes where it is all that is shown; kinds: what it shows.

    Close to the border: a crown that fades is a ghost. But below, a neck fades into a neck, and hair ends in
    tips, lock by lock.
    """
    size = len(edited)
    below = size - size // 8
    wide, narrow = window(size), window(size, NARROW)
    locks = cv2.GaussianBlur(edited[-size // 4 :].mean((0, 2))[None], (0, 0), max(size / 512, 0.5))[0]
    locks = locks - cv2.GaussianBlur(locks[None], (0, 0), size / 32)[0]
    locks = TIPS[0] + TIPS[1] * np.tanh(locks / max(float(locks.std()), 1e-3))
    tips = np.minimum(narrow[below:], smooth_step((wide[below:] - locks) / TIPS[2]))
    hair = enlarged(soft((at_side(kinds, SIDE) == Kind.HAIR).astype(np.float32), 2), size)[below:]
    return np.vstack([narrow[:below], wide[below:] + hair * (tips - wide[below:])]).astype(np.float32)
