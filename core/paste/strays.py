"""Flecks of hair that float beside a head: a model draws them, nobody has them."""

import cv2
import numpy as np

from core.faces.kinds import PERSON
from core.paste.detail import soft

# Of the picture, what is larger is no fleck.
LARGEST = 0.01
# Its outline, which no parser sees, reaches that much farther, in pixels of 256.
AROUND, SOFT = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (11, 11)), 1.5


def strays(kinds: np.ndarray) -> np.ndarray | None:
    """(S, S) float32 in [0, 1]: 1 on flecks that touch nobody, by an edit's kinds (S, S).

    A parser takes some of them for skin. None: there are none.
    """
    parts, numbers = cv2.connectedComponentsWithStats((kinds >= PERSON).astype(np.uint8))[1:3]
    areas = numbers[1:, cv2.CC_STAT_AREA]  # the first is nobody
    flecks = 1 + np.flatnonzero(areas < LARGEST * kinds.size)
    if not len(flecks):
        return None
    return soft(cv2.dilate(np.isin(parts, flecks).astype(np.float32), AROUND), SOFT)
