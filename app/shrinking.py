"""Photos and portraits with fewer pixels, for a screen that shows no more."""

import cv2
import numpy as np

from core.placing import placed
from core.session import Portrait

# Longest side, in pixels, of the photo that is edited while a slider is being dragged.
PREVIEW_SIDE = 1024


def reduced(portrait: Portrait, side: int) -> Portrait:
    """The same face in a photo whose longest side is at most `side` px; same code, same directions."""
    height, width = portrait.photo.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return portrait
    photo = shrink(portrait.photo, side)
    return placed(portrait, photo, photo.shape[1::-1])


def shrink(image: np.ndarray, side: int) -> np.ndarray:
    """HWC uint8 with its longest side at most `side`; as it is where that already holds."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
