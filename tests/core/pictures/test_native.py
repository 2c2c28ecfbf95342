"""core.pictures.native: a picture's own numbers, and what is shown of them."""

import numpy as np
import pytest

from core.pictures.native import ROWS, Native, shrink, strips, turned_box


def noise(*shape: int, white: int = 255) -> np.ndarray:
    kind = np.uint8 if white == 255 else np.uint16
    return np.random.default_rng(0).integers(0, white, shape, dtype=kind, endpoint=True)


@pytest.mark.parametrize("white", [4095, 65535])
def test_more_than_eight_bits_are_rounded_by_their_own_white(white: int) -> None:
    values = noise(ROWS + 3, 5, 3, white=white)
    shown = Native(values, white).eight_bit()
    assert shown.dtype == np.uint8
    assert np.abs(shown - values * (255 / white)).max() <= 0.5001


@pytest.mark.parametrize("white", [255, 65535])
def test_what_is_transparent_lies_over_white(white: int) -> None:
    values, alpha = noise(ROWS + 3, 5, 3, white=white), noise(ROWS + 3, 5, white=white)
    share = alpha[:, :, None] / white
    expected = 255 * (share * values / white + 1 - share)
    assert np.abs(Native(values, white, alpha).eight_bit() - expected).max() <= 0.501


def test_eight_bits_without_alpha_are_shown_as_they_are() -> None:
    values = noise(4, 5, 1)
    assert Native(values).eight_bit() is values


def test_a_part_has_the_pixels_of_its_box_and_means_the_same() -> None:
    native = Native(noise(8, 9, 4), 255, noise(8, 9), b"profile")
    part = native.part((2, 1, 7, 5))
    assert np.array_equal(part.values, native.values[1:5, 2:7])
    assert np.array_equal(part.alpha, native.alpha[1:5, 2:7])
    assert (part.size, part.mode, part.profile) == ((5, 4), "CMYK", b"profile")


def test_alpha_turns_with_the_pixels() -> None:
    values = noise(8, 9, 3)
    turned = Native(values, alpha=values[:, :, 0]).upright(6)
    assert turned.size == (8, 9)
    assert np.array_equal(turned.values, np.rot90(values, -1))
    assert np.array_equal(turned.alpha, turned.values[:, :, 0])


def test_strips_are_all_rows_once() -> None:
    rows = [row for part in strips(2 * ROWS + 1) for row in range(2 * ROWS + 1)[part]]
    assert rows == list(range(2 * ROWS + 1))


def test_shrinking_averages_and_keeps_a_single_channel() -> None:
    image = noise(8, 12, 1)
    small = shrink(image, (3, 2))
    assert small.shape == (2, 3, 1)
    assert np.abs(small[:, :, 0] - image.reshape(2, 4, 3, 4).mean((1, 3))).max() <= 0.5001


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_turned_it_is_what_orientations_say(turns: int) -> None:
    """Against EXIF's own table: 6, 3 and 8 show a picture one, two and three quarters further, clockwise."""
    native = Native(noise(8, 9, 4), 255, noise(8, 9), b"profile")
    found, wanted = native.turned(turns), native.upright((1, 6, 3, 8)[turns])
    assert np.array_equal(found.values, wanted.values)
    assert np.array_equal(found.alpha, wanted.alpha)
    assert found.profile == b"profile"
    back = found.turned(4 - turns)
    assert np.array_equal(back.values, native.values)


@pytest.mark.parametrize("turns", [-3, -1, 0, 1, 2, 3, 4])
def test_a_box_turns_with_its_pixels(turns: int) -> None:
    marked = np.zeros((5, 9), bool)
    marked[1:4, 2:8] = True
    left, top, right, bottom = turned_box((2, 1, 8, 4), (9, 5), turns)
    found = np.zeros_like(np.rot90(marked, -turns))
    found[top:bottom, left:right] = True
    assert np.array_equal(found, np.rot90(marked, -turns))
