"""Wide Gaussian blurs of pictures and fields, in less time than their windows are wide.

What such a blur leaves needs few pixels: it is computed of means of two or four in a row, and enlarged.
`cv2.GaussianBlur` is the readable twin; of a face the two are a twentieth of a level apart on average, at its
border up to two levels, and a paste by either at most three levels.
"""

import cv2
import numpy as np

# From which sigma on, in pixels, one of so many in a row is enough, where a side is so many sigmas.
COARSER = ((16.0, 4), (8.0, 2))
LEAST_SIDE = 8
# So many of them are mirrored beyond the border, as in the twin; what lies further out counts for little.
BEYOND = 8


def blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    """(H, W) or (H, W, C) float32 by a Gaussian of so many pixels, mirrored beyond its border."""
    height, width = picture.shape[:2]
    step = next((step for wide, step in COARSER if sigma >= wide), 1)
    if step == 1 or height % step or width % step or min(height, width) < LEAST_SIDE * sigma:
        return cv2.GaussianBlur(picture, (0, 0), sigma)
    return _coarser(picture, sigma, step)


def _coarser(picture: np.ndarray, sigma: float, step: int) -> np.ndarray:
    by = BEYOND * step
    wider = cv2.copyMakeBorder(picture, by, by, by, by, cv2.BORDER_REFLECT_101)
    height, width = wider.shape[:2]
    small = cv2.resize(wider, (width // step, height // step), interpolation=cv2.INTER_AREA)
    # What is blurred without it, as variances: by a mean of `step` pixels, and by linear interpolation.
    done = (step**2 - 1) / 12 + (step**2 - 1) / 6
    blur = cv2.GaussianBlur(small, (0, 0), np.sqrt(sigma**2 - done) / step)
    return cv2.resize(blur, (width, height), interpolation=cv2.INTER_LINEAR)[by:-by, by:-by]
