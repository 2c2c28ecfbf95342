"""A photo that is out of focus, or was blurred: what an edit adds to it is as soft as the rest of it.

The model draws every face sharply. How soft a photo is follows from the energy of its face in octaves of
detail. In faces that are in focus that falls with frequency in much the same way, and a Gaussian takes from
each octave what it must; grain is told from detail, as it has energy in the finest octave above all. (The
model's own picture is no measure: descent teaches it the blur, and an edit is sharp all the same.) Photos in
focus are none of this module's business: there it says 0, and nothing is computed.
"""

import math

import cv2
import numpy as np
import torch
from torch import Tensor

from core.paste.blurring import blurred
from core.paste.colourless import LUMA

# The face is looked at in a copy of this side, or of fewer pixels where the photo has fewer, as it cannot be
# softer than they are; with fewer than the second nothing is told. In octaves between these sigmas.
SIDE, LEAST_SIDE = 256, 64
OCTAVES = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)
# Power of detail falls as its frequency by this power, which was looked up in 40 portraits in focus, and ends
# as if they were blurred by this variance, in pixels: their raster.
FALL, RASTER = 3.1, 0.2
# Sigmas that are tried, in pixels of the copy; at the first a photo may be in focus all the same.
SIGMAS = np.geomspace(0.6, 12.0, 60)
# Squared error of the octaves' energies, natural logarithms: how much nearer a blur must come than none (in
# photos in focus it comes by 0.8, blurred by 4 px of 950 by 1.6 and more), and how near.
NEARER, NEAR = 1.2, 0.5
# A grain that nobody sees, in levels: what rounding leaves.
ROUNDING = 0.05


def blur_of(crop: np.ndarray, region: np.ndarray, side: float) -> float:
    """Sigma of the Gaussian, in pixels of the crop, that took the detail from a photo; 0: it is in focus.

    crop: (S, S, 3) uint8; region: where its face is, (S, S) in [0, 1]; side: how many of the photo's pixels
    it lies across. Nor is it a blur that a photo has few pixels, or is not simply soft.
    """
    size = min(SIDE, len(crop), math.ceil(side))
    inside = _at(region, size) > 0.5
    if size < LEAST_SIDE or not inside.any():
        return 0.0
    grey = _at(crop, size).astype(np.float32) @ np.array(LUMA, np.float32)
    found = _energies(grey, inside)
    grain = _energies(_point(), np.ones((SIDE, SIDE), bool)) * SIDE**2  # of noise of variance 1
    in_focus, *soft = (_unlike(found, _faces(sigma), grain) for sigma in (0.0, *SIGMAS))
    best = int(np.argmin(soft))
    is_soft = best > 0 and soft[best] < min(NEAR, in_focus - NEARER)
    return float(SIGMAS[best]) * len(crop) / size if is_soft else 0.0


def out_of_focus(pictures: Tensor, sigma: float) -> Tensor:
    """(N, 3, H, W) by a Gaussian of so many pixels; themselves where that is 0."""
    if sigma == 0:
        return pictures
    soft = [blurred(picture.permute(1, 2, 0).float().cpu().numpy(), sigma) for picture in pictures]
    return torch.from_numpy(np.stack(soft)).permute(0, 3, 1, 2).to(pictures.device)


def _at(field: np.ndarray, side: int) -> np.ndarray:
    """A field (S, S) or a picture (S, S, 3) with so many pixels, at most S."""
    return cv2.resize(field, (side, side), interpolation=cv2.INTER_AREA)


def _point() -> np.ndarray:
    point = np.zeros((SIDE, SIDE), np.float32)
    point[SIDE // 2, SIDE // 2] = 1
    return point


def _energies(grey: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Mean squares of each octave of (S, S), in levels."""
    steps = [blurred(grey, sigma) if sigma else grey for sigma in OCTAVES]
    bands = (fine - coarse for fine, coarse in zip(steps, steps[1:], strict=False))
    return np.array([float((band[inside] ** 2).mean()) for band in bands])


def _faces(sigma: float) -> np.ndarray:
    """Energies of each octave of faces in focus after a Gaussian, but for a factor.

    Of power f^-FALL what is left between Gaussians of variances a and b: the integral over the plane of
    (exp(-a f^2 / 2) - exp(-b f^2 / 2))^2 f^-FALL, a Gamma function times what is returned.
    """
    variances = np.maximum(np.square(OCTAVES), RASTER) + sigma**2
    a, b, power = variances[:-1], variances[1:], FALL / 2 - 1
    return np.asarray(2 * ((a + b) / 2) ** power - a**power - b**power)


def _unlike(found: np.ndarray, faces: np.ndarray, grain: np.ndarray) -> float:
    """Squared error of a face's energies, as the photo has contrast and grain; all by octave."""
    found = found + ROUNDING**2
    faces = faces * (found[-1] / faces[-1])
    # As much as the finest octave has beyond what is the face's there.
    noise = max(found[0] - faces[0], 0.0) / grain[0]
    return float((np.log(found / (faces + noise * grain)) ** 2).sum())
