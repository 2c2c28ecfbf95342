"""Does a paste show? The photo's gradient across the rim of the mask, before and after."""

import cv2
import numpy as np

from core.faces.alignment import CropTransform
from core.paste.laying import at_photo, bounds

# The rim: where the mask is neither (almost) nothing nor (almost) everything.
RIM = (0.02, 0.98)


def seam(
    photo: np.ndarray, result: np.ndarray, transform: CropTransform, mask: np.ndarray, blur: float = 0
) -> float:
    """Mean gradient magnitude across the mask's rim in `result` over the same in `photo`.

    photo, result: (H, W, 3) uint8; mask: (S, S) in [0, 1], what was pasted. 1: the paste added nothing to
    see there; a visible edge is well above, a blurred rim below. blur: sigma in photo pixels that both are
    seen through: a step of colour that hides among pores shows from further away. NaN if no rim lies in the
    photo.
    """
    left, top, right, bottom = bounds(transform, photo.shape)
    if left >= right:
        return float("nan")
    alpha = at_photo(mask, transform, (left, top, right, bottom), cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)
    rim = (alpha > RIM[0]) & (alpha < RIM[1])
    across = np.dstack(_slopes(alpha))
    across /= np.maximum(np.linalg.norm(across, axis=2, keepdims=True), 1e-12)
    inside = (slice(top, bottom), slice(left, right))
    before, after = (float(_steepness(i[inside], across, blur)[rim].mean()) for i in (photo, result))
    return after / before


def _steepness(image: np.ndarray, across: np.ndarray, blur: float) -> np.ndarray:
    """(H, W): size of the luminance's derivative in the direction `across` (H, W, 2), levels a pixel."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    x, y = _slopes(cv2.GaussianBlur(grey, (0, 0), blur) if blur else grey)
    return np.abs(x * across[:, :, 0] + y * across[:, :, 1])


def _slopes(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives of (H, W) float32 along x and y (Sobel, per pixel)."""
    x, y = (cv2.Sobel(image, cv2.CV_32F, dx, 1 - dx, scale=1 / 8) for dx in (1, 0))
    return x, y
