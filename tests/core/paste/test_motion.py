"""core.paste.motion: what moved is followed, what only changed colour stays where it is."""

import cv2
import numpy as np
import pytest

from core.paste.motion import mean_around, mean_square, motion, moved, scaled

SIZE = 128


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """(SIZE, SIZE, 3) float32 in 0..255 with structure everywhere, as smooth as a rendering."""
    noise = np.random.default_rng(0).uniform(0, 255, (SIZE, SIZE, 3))
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return (128 + 6 * (smooth - smooth.mean())).clip(0, 255).astype(np.float32)


def bump(x: float, y: float, radius: float) -> np.ndarray:
    v, u = np.mgrid[:SIZE, :SIZE]
    return np.exp(-((u - x) ** 2 + (v - y) ** 2) / (2 * radius**2)).astype(np.float32)


def test_moved_reads_where_the_flow_points(picture: np.ndarray) -> None:
    flow = np.full((SIZE, SIZE, 2), (3, -2), np.float32)
    shifted = moved(picture, flow)
    assert np.allclose(shifted[2:, :-3], picture[:-2, 3:])
    assert np.allclose(shifted[2:, -1], picture[:-2, -1])
    half = moved(picture, np.full((SIZE, SIZE, 2), (0.5, 0), np.float32))
    assert np.allclose(half[:, :-1], (picture[:, :-1] + picture[:, 1:]) / 2, atol=0.01)


def test_a_smooth_motion_is_found(picture: np.ndarray) -> None:
    true = bump(64, 64, 18)[:, :, None] * np.array([4.0, -2.5], np.float32)
    found = motion(picture, moved(picture, true))
    middle = (slice(52, 77), slice(52, 77))
    assert np.abs(found[middle] - true[middle]).max() < 0.7
    assert np.abs(found[:16]).max() < 0.3


def test_a_motion_is_found_under_another_light(picture: np.ndarray) -> None:
    true = bump(64, 64, 18)[:, :, None] * np.array([4.0, -2.5], np.float32)
    found = motion(picture, moved(picture, true) * 0.8 + 20)
    middle = (slice(56, 73), slice(56, 73))
    assert np.abs(found[middle] - true[middle]).max() < 1.2


def test_equal_pictures_and_other_colours_do_not_move(picture: np.ndarray) -> None:
    assert np.abs(motion(picture, picture.copy())).max() < 1e-3
    for other in (picture * 0.7, picture + 30, picture * np.array([1.1, 0.9, 1.0], np.float32)):
        assert np.abs(motion(picture, other)).max() < 0.5


def test_something_new_is_no_motion(picture: np.ndarray) -> None:
    calm = 128 + 0.1 * (picture - 128)
    appeared = calm + 90 * bump(64, 64, 6)[:, :, None]
    explained = (
        1
        - mean_square(appeared - moved(calm, motion(calm, appeared))).mean()
        / mean_square(appeared - calm).mean()
    )
    assert explained < 0.1
    assert np.abs(motion(calm, appeared)).max() < 4


def test_mean_square_is_over_the_colours() -> None:
    image = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
    assert np.allclose(mean_square(image), (image**2).mean(2))


def test_a_weight_scales_every_channel() -> None:
    rng = np.random.default_rng(3)
    for channels in (2, 3):
        picture = rng.normal(0, 9, (5, 7, channels)).astype(np.float32)
        weight = rng.uniform(0, 1, (5, 7)).astype(np.float32)
        assert np.array_equal(scaled(picture, weight), picture * weight[:, :, None])


def test_a_mean_goes_by_weight_and_asks_further_away_where_there_is_little() -> None:
    values = np.random.default_rng(4).normal(0, 30, (SIZE, SIZE, 3)).astype(np.float32)
    weight = np.zeros((SIZE, SIZE), np.float32)
    weight[:40] = 1
    found = mean_around(values, weight, 3.0)

    def around(field: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(field, (0, 0), 3.0)

    near = around(values * weight[:, :, None])[:30] / around(weight)[:30, :, None]
    assert np.abs(found[:30] - near).max() < 0.05 * np.abs(near).max() + 0.3
    assert np.abs(found[-20:] - values[:40].mean((0, 1))).max() < 12  # as far away as there are any
