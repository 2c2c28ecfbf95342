"""What of the photo stays in an edited face: its colour, its features, its pores, band by band.

Write photo = base + error, where base is the model's unedited rendering. The error, carried along with the
edit's motion, has three bands: colour (much coarser than a feature), features (which the model lost), and
texture, finer than the model's own pixels. With everything kept,

    edited + colour + features + texture = photo, moved, + what is left of the change

is the photo with the edit laid on it; with nothing kept it is the rendering. Where the edit shows something
else than the base did (teeth, glasses), the photo's features and texture do not belong: they would ghost.

Pictures are (S, S, 3) float32 in 0..255.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from core.paste.motion import mean_square, motion, moved

# Coarser than this (sigma, pixels of a rendering of 128) is colour and light, finer is a feature.
COLOUR = 8.0
# Structure is compared in neighbourhoods of this sigma; below the floor (grey levels) it is noise.
NEIGHBOURHOOD = 2.0
FLOOR = 6.0
# Shares of structure that differ: up to the first it is the same thing, from the second on another.
SAME, OTHER = 0.1, 0.5
# A photo's pixels enlarged in area up to the first look like skin; from the second on they are a smear.
ENLARGED = (1.5, 3.0)
DOUBT = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
# Weight of the places that a mean should leave out, so that it exists where there are no others.
LITTLE = 1e-3
# The analysis runs at this side at most: what it finds is smooth.
ANALYSIS_SIDE = 128


@dataclass(frozen=True)
class Bands:
    """The parts of an edited face, all float32.

    flow: (S, S, 2), pixels: what the edited face shows at x, the photo shows at x + flow.
    rim_colour, colour, features: (S, S, 3), bands of the error; rim_colour is read along the rim alone.
    light: (S, S, 3), the change's own coarse part: light and the tone of the skin.
    low: (S, S, 3), the photo at the model's resolution, moved: photo minus this is texture.
    kept: (S, S), 1 where the edit keeps the base's structure, 0 where it shows something else.
    true: (S, S), likewise 1 where the base shows what the photo shows.
    """

    flow: np.ndarray
    rim_colour: np.ndarray
    colour: np.ndarray
    features: np.ndarray
    light: np.ndarray
    low: np.ndarray
    kept: np.ndarray
    true: np.ndarray


def bands(crop: np.ndarray, base: np.ndarray, edited: np.ndarray, mask: np.ndarray) -> Bands:
    """crop, base, edited: (S, S, 3), the photo and the unedited and edited renderings; mask: (S, S)."""
    size = base.shape[0]
    small_crop, small_base, small_edited, small_mask = (reduced(i) for i in (crop, base, edited, mask))
    # Motion fades with the mask: under its edge the photo's pixels have to stay where they are.
    flow = motion(small_base, small_edited) * small_mask[:, :, None]
    here, error = moved(small_base, flow), moved(small_crop - small_base, flow)
    kept = _soft(_agreement(small_edited, here) * _not_smeared(flow), NEIGHBOURHOOD)
    colour = _mean_around(error, kept + LITTLE)
    # Doubt spreads: half an eye of the photo's and half of the model's would be worse than either.
    true = _soft(cv2.erode(_agreement(here + error, here), DOUBT), 2 * NEIGHBOURHOOD)
    scale = size / flow.shape[0]
    full_flow = enlarged(flow, size) * np.float32(scale)
    colour = enlarged(colour, size)
    full_error = error if scale == 1 else moved(crop - base, full_flow)
    full_here = here if scale == 1 else moved(base, full_flow)
    return Bands(
        flow=full_flow,
        rim_colour=enlarged(_from_rim(error, small_mask), size),
        colour=colour,
        features=full_error - colour,
        light=enlarged(_mean_around(small_edited - here, kept + LITTLE), size),
        low=full_here + full_error,
        kept=enlarged(kept, size),
        true=enlarged(true, size),
    )


def reduced(image: np.ndarray) -> np.ndarray:
    """The image at ANALYSIS_SIDE if it is larger; float32."""
    image = image.astype(np.float32, copy=False)
    if image.shape[0] <= ANALYSIS_SIDE:
        return image
    return cv2.resize(image, (ANALYSIS_SIDE, ANALYSIS_SIDE), interpolation=cv2.INTER_AREA)


def enlarged(field: np.ndarray, size: int) -> np.ndarray:
    """A smooth field back at the side of the picture it was found in."""
    return (
        field if field.shape[0] == size else cv2.resize(field, (size, size), interpolation=cv2.INTER_LINEAR)
    )


def _agreement(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(S, S): 1 where two pictures have the same structure whatever their light, 0 where they do not."""
    a, b = _features(a), _features(b)
    apart = _power(a - b)
    share = apart / (_power(a) + _power(b) + FLOOR**2)
    return smooth_step((OTHER - share) / (OTHER - SAME))


def _not_smeared(flow: np.ndarray) -> np.ndarray:
    """(S, S): 1 where the motion keeps areas about as large as they were, 0 where it smears or folds."""
    (xy, xx), (yy, yx) = (np.gradient(flow[:, :, i]) for i in (0, 1))
    area = (1 + xx) * (1 + yy) - xy * yx
    low, high = 1 / ENLARGED[1], 1 / ENLARGED[0]
    return smooth_step((area - low) / (high - low))


def _soft(weight: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(weight, (0, 0), sigma)


def _features(image: np.ndarray) -> np.ndarray:
    return image - cv2.GaussianBlur(image, (0, 0), COLOUR)


def _power(features: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(mean_square(features), (0, 0), NEIGHBOURHOOD)


def _mean_around(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted mean over a COLOUR wide neighbourhood: teeth get the skin's colour error, not the lips'."""
    weighted = cv2.GaussianBlur(values * weight[:, :, None], (0, 0), COLOUR)
    mean: np.ndarray = weighted / cv2.GaussianBlur(weight, (0, 0), COLOUR)[:, :, None]
    return mean


def _from_rim(error: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The error along the mask's rim, carried inwards smoothly (normalised convolution): (S, S, 3).

    A rendering so corrected meets the photo's colours at the rim and keeps its own shading within.
    """
    weight = (mask * (1 - mask))[:, :, None] + np.float32(LITTLE)
    sigma = mask.shape[0] / 8
    # Far coarser than a pixel, so a quarter of the side is enough to compute it.
    quarter = (max(1, mask.shape[1] // 4), max(1, mask.shape[0] // 4))
    weighted = np.concatenate([error * weight, weight], axis=2, dtype=np.float32)
    summed = cv2.GaussianBlur(cv2.resize(weighted, quarter, interpolation=cv2.INTER_AREA), (0, 0), sigma / 4)
    mean: np.ndarray = summed[:, :, :3] / summed[:, :, 3:]
    return cv2.resize(mean, mask.shape[::-1], interpolation=cv2.INTER_CUBIC)


def smooth_step(t: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, between them 6t^5 - 15t^4 + 10t^3: no corner for the eye to catch on."""
    t = np.clip(t, 0, 1)
    return t * t * t * (t * (6 * t - 15) + 10)
