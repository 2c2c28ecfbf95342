"""Where hair lies and how it falls, on pictures drawn for it."""

import numpy as np
import pytest

from training.data.hair_shapes import SHAPE, SQUARES, hair_shape, textures

SIDE = 64


def striped(angle: float) -> np.ndarray:
    """(SIDE, SIDE, 3) uint8: soft stripes; at 0 they stand upright."""
    y, x = np.mgrid[:SIDE, :SIDE]
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 0.8)
    return np.repeat((128 + 60 * wave).astype(np.uint8)[:, :, None], 3, 2)


def test_an_outline_is_each_squares_share_of_hair() -> None:
    hair = np.zeros((SIDE, SIDE), np.float32)
    hair[: SIDE // 2, : SIDE // 4] = 1
    hair[-2:, -4:] = 1  # half of the last square
    found = hair_shape(striped(0), hair)
    assert (found.shape, found.dtype) == ((SHAPE,), np.float32)
    outline = found[: SQUARES**2].reshape(SQUARES, SQUARES)
    expected = np.zeros((SQUARES, SQUARES))
    expected[: SQUARES // 2, : SQUARES // 4] = 1
    expected[-1, -1] = 0.5
    np.testing.assert_allclose(outline, expected, atol=1e-6)


def test_strands_have_a_direction_and_curls_have_none() -> None:
    everywhere = np.ones((SIDE, SIDE))
    (_, straight, upright), (_, lying, across), (_, _, slanted) = (
        textures(striped(angle), everywhere) for angle in (0, np.pi / 2, np.pi / 4)
    )
    assert min(straight, lying) > 0.9
    assert upright > 0.9
    assert across < -0.9
    assert slanted == pytest.approx(0, abs=0.1)
    noise = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
    rough, curly, _ = textures(noise, everywhere)
    assert curly < 0.5
    assert rough > textures(striped(0), everywhere)[0]


def test_too_little_hair_says_nothing() -> None:
    assert np.isnan(textures(striped(0), np.zeros((SIDE, SIDE)))).all()
