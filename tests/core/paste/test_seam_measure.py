"""core.paste.seam_measure: an edge shows in the figure, a soft or empty paste does not."""

import math

import cv2
import numpy as np
import pytest

from core.faces.alignment import CropTransform
from core.paste.laying import Layers, lay
from core.paste.seam_measure import seam

SIZE = 64
INSIDE = CropTransform((150.0, 130.0), (80.0, 20.0))


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    smooth = cv2.GaussianBlur(np.random.default_rng(0).uniform(0, 255, (260, 300, 3)), (0, 0), 1)
    return smooth.astype(np.uint8)


def disc(feather: float) -> np.ndarray:
    v, u = np.mgrid[:SIZE, :SIZE]
    return np.clip((24 - np.hypot(u - 31.5, v - 31.5)) / feather, 0, 1).astype(np.float32)


def brighter(photo: np.ndarray, transform: CropTransform, mask: np.ndarray, by: float) -> np.ndarray:
    layers = Layers(
        np.full((SIZE, SIZE, 3), by, np.float32),
        np.ones((SIZE, SIZE), np.float32),
        np.zeros((SIZE, SIZE, 2), np.float32),
    )
    return lay(photo, transform, layers, mask)


def test_the_photo_itself_scores_one(noise: np.ndarray) -> None:
    assert seam(noise, noise.copy(), INSIDE, disc(8)) == 1


def test_a_hard_edge_shows_and_a_feathered_one_does_not(noise: np.ndarray) -> None:
    hard, soft = disc(1), disc(16)
    assert seam(noise, brighter(noise, INSIDE, hard, 60), INSIDE, hard) > 1.3
    assert seam(noise, brighter(noise, INSIDE, soft, 20), INSIDE, soft) < 1.1


def test_it_is_the_slope_across_the_rim_over_the_photo_s_own() -> None:
    """A ramp of 2 levels a pixel, and a paste that makes it 4 within the rim: the ratio is 2 to the right."""
    photo = np.repeat((2 * np.arange(120, dtype=np.uint8))[None, :, None], 120, 0).repeat(3, 2)
    steeper = photo.copy()
    steeper[:, 40:80] = np.clip(photo[:, 40:80].astype(int) + 2 * (np.arange(40) - 20)[None, :, None], 0, 255)
    mask = np.clip((np.arange(SIZE) - 24) / 16, 0, 1).astype(np.float32)[None].repeat(SIZE, 0)
    # Photo pixels 24 to 40 of a square of 64 that begins at 30: columns 54 to 70.
    inside = CropTransform((30 + 31.5, 30 + 31.5), (32.0, 0.0))
    assert seam(photo, steeper, inside, mask) == pytest.approx(2, abs=0.05)


def test_a_gradient_along_the_rim_does_not_count(noise: np.ndarray) -> None:
    photo = np.repeat((2 * np.arange(120, dtype=np.uint8))[None, :, None], 120, 0).repeat(3, 2)
    waves = photo.copy()
    waves[::8] = np.clip(waves[::8].astype(int) + 20, 0, 255)
    mask = np.clip((np.arange(SIZE) - 24) / 16, 0, 1).astype(np.float32)[None].repeat(SIZE, 0)
    inside = CropTransform((30 + 31.5, 30 + 31.5), (32.0, 0.0))
    assert seam(photo, waves, inside, mask) == pytest.approx(1, abs=0.02)


def test_from_afar_a_step_shows_that_noise_hides(noise: np.ndarray) -> None:
    mask = disc(8)
    pasted = brighter(noise, INSIDE, mask, 30)
    near, far = (seam(noise, pasted, INSIDE, mask, blur) for blur in (0, 4))
    assert far > near + 0.3
    assert seam(noise, noise, INSIDE, mask, 4) == 1


def test_without_a_rim_in_the_photo_there_is_no_figure(noise: np.ndarray) -> None:
    assert math.isnan(seam(noise, noise, CropTransform((900.0, 900.0), (40.0, 0.0)), disc(8)))
