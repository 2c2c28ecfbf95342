"""Where the parts of a face went: dense motion from an unedited rendering to an edited one.

A smile moves the lips; laid onto the photo as a difference of colours alone, it leaves the photo's own lips
beneath (a ghost). Moved first, the photo's lips, pores and beard go where the model's went.
"""

import cv2
import numpy as np

from core.paste.blurring import blurred

# Structure is compared after its surroundings' light is divided out: a brighter face has not moved. Sigma in
# pixels of the rendering; the floor (grey levels) keeps noise on smooth skin from becoming structure.
SURROUND = 6.0
CONTRAST_FLOOR = 8.0
# Motion counts where it explains this share of the change; the floor (levels squared) is noise.
EXPLAINED = 0.4
ENERGY_FLOOR = 6.0
SMOOTHING = 1.5
# Structure that changed by less than this share of itself stands still.
STILL = 0.5
# Motion is a mean (sigma in pixels) over what speaks for it and against it; NOTHING does so everywhere.
REACH = 3.0
NOTHING = 0.02
# A mean asks further away where its weights come to less than FEW; LEAST keeps it finite.
FEW, LEAST = 0.05, 1e-6
THIRDS = np.full((1, 3), 1 / 3)


def motion(base: np.ndarray, edited: np.ndarray) -> np.ndarray:
    """(S, S, 2) float32, pixels: what `edited` shows at x, `base` shows at x + motion.

    base, edited: (S, S, 3) float32 in 0..255. Zero where moving does not explain the change: a change of
    colour, or something that `base` does not show, such as teeth.
    """
    start = np.zeros((*base.shape[:2], 2), np.float32)
    flow = _estimator().calc(_structure(edited), _structure(base), start)
    flow = cv2.GaussianBlur(flow, (0, 0), SMOOTHING)
    before = _energy(edited - base)
    after = _energy(edited - moved(base, flow))
    gained = np.clip((before - after) / (EXPLAINED * before + ENERGY_FLOOR), 0, 1)
    # What has structure and did not change stands still; skin without any goes with what is around it.
    detail = _energy(base - cv2.GaussianBlur(base, (0, 0), SURROUND))
    still = np.clip(1 - before / (STILL * detail + 1), 0, 1) * detail / (detail + CONTRAST_FLOOR**2)
    evidence = gained + still + NOTHING
    return mean_around(flow * (gained / evidence)[:, :, None], evidence, REACH)


def mean_around(values: np.ndarray, weight: np.ndarray, sigma: float) -> np.ndarray:
    """(S, S, C): the mean of values (S, S, C) by weight (S, S) over a neighbourhood.

    Where little counts there, one four times as wide is asked, computed at a quarter of the side.
    """
    # Plane by plane, as in `scaled`.
    weight = weight.astype(np.float32, copy=False)
    weighted = cv2.merge([scaled(values, weight), weight])
    quarter = (max(1, weight.shape[1] // 4), max(1, weight.shape[0] // 4))
    *sums, total = cv2.split(
        cv2.GaussianBlur(cv2.resize(weighted, quarter, interpolation=cv2.INTER_AREA), (0, 0), sigma)
    )
    far = cv2.merge([plane / np.maximum(total, LEAST) for plane in sums])
    far = cv2.resize(far, weight.shape[::-1], interpolation=cv2.INTER_LINEAR)
    *sums, total = cv2.split(blurred(weighted, sigma))
    return cv2.merge([(near + FEW * f) / (total + FEW) for near, f in zip(sums, cv2.split(far), strict=True)])


def moved(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """image (S, S, C) float32 read at x + flow (S, S, 2), bilinear; beyond the border the border repeats."""
    return _read(image, flow, cv2.INTER_LINEAR)


def moved_nearest(kinds: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """The same of numbers that cannot be mixed, (S, S) uint8: the nearest."""
    return _read(kinds, flow, cv2.INTER_NEAREST)


def _read(image: np.ndarray, flow: np.ndarray, how: int) -> np.ndarray:
    height, width = flow.shape[:2]
    x, y = cv2.split(flow)
    x += np.arange(width, dtype=np.float32)
    y += np.arange(height, dtype=np.float32)[:, None]
    return cv2.remap(image, x, y, how, borderMode=cv2.BORDER_REPLICATE)


def scaled(picture: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(S, S, C) times (S, S), C at most 4: what numpy does too, but slowly where the last axis is short."""
    weight = weight.astype(picture.dtype, copy=False)
    return cv2.multiply(picture, cv2.merge(picture.shape[2] * [weight]))


def mean_square(image: np.ndarray, other: np.ndarray | None = None) -> np.ndarray:
    """(S, S, 3) -> (S, S), over the colours; with another picture the mean product."""
    return cv2.transform(cv2.multiply(image, image if other is None else other), THIRDS)


def _estimator() -> cv2.DISOpticalFlow:
    """Dense inverse search (Kroeger et al. 2016); one for each call, since it keeps scratch memory.

    The preset ends at half the resolution: the whole explains 4 % more of a change in three times the time.
    """
    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)


def _structure(image: np.ndarray) -> np.ndarray:
    """(S, S, 3) in 0..255 -> (S, S) uint8, locally normalised luminance."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    detail = grey - cv2.GaussianBlur(grey, (0, 0), SURROUND)
    contrast = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), SURROUND) + CONTRAST_FLOOR**2)
    return np.clip(128 + 40 * detail / contrast, 0, 255).astype(np.uint8)


def _energy(difference: np.ndarray) -> np.ndarray:
    """(S, S, 3) -> (S, S): mean square over colours and a small neighbourhood."""
    return cv2.GaussianBlur(mean_square(difference), (0, 0), 2 * SMOOTHING)
