"""core.paste.blurring: wide blurs are those of the readable twin, whatever they are computed of."""

import cv2
import numpy as np
import pytest

from core.paste.blurring import blurred

SIZE = 256


def pictures() -> dict[str, np.ndarray]:
    """(SIZE, SIZE) and (SIZE, SIZE, 3) float32 in 0..255, from smooth to noise."""
    ramp = np.linspace(0, 255, SIZE, dtype=np.float32)[:, None].repeat(SIZE, 1)
    noise = np.random.default_rng(0).uniform(0, 255, (SIZE, SIZE, 3)).astype(np.float32)
    step = np.zeros((SIZE, SIZE), np.float32)
    step[:, 101:] = 255
    return {"ramp": ramp, "step": step, "noise": noise, "soft noise": cv2.GaussianBlur(4 * noise, (0, 0), 3)}


@pytest.mark.parametrize(("sigma", "most", "mean"), [(8.0, 0.8, 0.15), (16.0, 0.8, 0.1)])
def test_a_wide_blur_is_the_twin_s_to_less_than_a_level(sigma: float, most: float, mean: float) -> None:
    for name, picture in pictures().items():
        off = np.abs(blurred(picture, sigma) - cv2.GaussianBlur(picture, (0, 0), sigma))
        assert off.shape == picture.shape, name
        # White noise and a step of the whole range: no photo has as much that is finer than two pixels.
        assert off.max() < most * (2 if name == "soft noise" else 1), name
        assert off.mean() < mean * (2 if name == "soft noise" else 1), name


@pytest.mark.parametrize("sigma", [8.0, 16.0])
def test_what_is_even_stays_so(sigma: float) -> None:
    even = np.full((SIZE, SIZE, 3), 97.0, np.float32)
    assert np.abs(blurred(even, sigma) - 97).max() < 1e-3


@pytest.mark.parametrize(
    ("size", "sigma"), [((256, 256), 6.0), ((255, 256), 8.0), ((62, 64), 8.0), ((64, 64), 16.0)]
)
def test_a_narrow_blur_and_a_small_picture_are_the_twin_s_exactly(
    size: tuple[int, int], sigma: float
) -> None:
    picture = np.random.default_rng(1).uniform(0, 255, size).astype(np.float32)
    assert np.array_equal(blurred(picture, sigma), cv2.GaussianBlur(picture, (0, 0), sigma))
