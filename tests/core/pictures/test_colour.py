"""core.pictures.colour: between a picture's colours and sRGB, against the formulas."""

import numpy as np
import pytest
from picture_files import (
    ADOBE_GAMMA,
    ADOBE_RGB,
    DISPLAY_P3,
    SRGB,
    encoded,
    grey_profile,
    in_profile,
    linear,
    matrix_profile,
    press_profile,
    srgb_of,
)

from core.pictures import colour
from core.pictures.native import ROWS, Native

P3 = matrix_profile(DISPLAY_P3, None, "Display P3")
ADOBE = matrix_profile(ADOBE_RGB, ADOBE_GAMMA, "Adobe RGB (1998)")
WIDE = [(DISPLAY_P3, None, P3), (ADOBE_RGB, ADOBE_GAMMA, ADOBE)]


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize(("primaries", "gamma", "profile"), WIDE)
def test_wide_colours_are_seen_as_they_are_meant(
    primaries: np.ndarray, gamma: float | None, profile: bytes
) -> None:
    srgb = noise(ROWS + 5, 40, 3)
    stored = np.rint(in_profile(srgb, primaries, gamma)).astype(np.uint8)
    seen = colour.to_srgb(stored, profile).astype(int)
    # What 8 bits of the wider space cannot tell apart in the shadows comes back as the same.
    light = primaries @ linear_of(stored, gamma)[..., None]
    exact = 255 * encoded(np.linalg.inv(SRGB) @ light)[..., 0]
    stored_again = colour.from_srgb(srgb, profile, 3)
    for apart in (seen - exact, stored_again - in_profile(srgb, primaries, gamma)):
        assert np.abs(apart).max() <= 1.5
        assert np.abs(apart).mean() < 0.3


def linear_of(stored: np.ndarray, gamma: float | None) -> np.ndarray:
    return linear(stored / 255) if gamma is None else (stored / 255) ** gamma


def test_srgb_by_another_name_is_left_as_it_is() -> None:
    pixels = noise(6, 7, 3)
    for profile in (matrix_profile(SRGB, None), colour.srgb_profile()):
        assert colour.to_srgb(pixels, profile) is pixels
        assert colour.from_srgb(pixels, profile, 3) is pixels


def test_grey_is_seen_by_its_curve_without_a_tint() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    seen = colour.to_srgb(grey, grey_profile(1.8))
    assert np.abs(seen[:, :, 0] - 255 * encoded((grey[:, :, 0] / 255) ** 1.8)).max() <= 1.5
    assert np.ptp(seen, axis=2).max() == 0
    assert np.abs(colour.from_srgb(seen, grey_profile(1.8), 1).astype(int) - grey)[1:].max() <= 2
    assert np.array_equal(colour.to_srgb(grey, None), np.repeat(grey, 3, axis=2))
    assert np.array_equal(colour.from_srgb(np.repeat(grey, 3, axis=2), None, 1), grey)


def test_inks_are_seen_as_imagecms_shows_them() -> None:
    ink, press = noise(20, 20, 4), press_profile()
    assert np.array_equal(colour.to_srgb(ink, press), srgb_of(press, ink, "CMYK"))
    shown = colour.to_srgb(ink, press)
    again = colour.to_srgb(colour.from_srgb(shown, press, 4), press)
    assert np.abs(again.astype(int) - shown).mean() < 3


def test_what_can_be_read_and_written() -> None:
    assert colour.means(P3, "RGB")
    assert not colour.means(P3, "L")
    assert not colour.means(P3[:100], "RGB")
    assert not colour.means(None, "RGB")
    assert not colour.means(P3 + bytes(colour.MAX_PROFILE_BYTES), "RGB")
    assert colour.writable(press_profile(), "CMYK")
    assert not colour.writable(press_profile(both_ways=False), "CMYK")
    assert colour.means(press_profile(both_ways=False), "CMYK")


def test_a_profile_s_name() -> None:
    assert colour.name(P3) == "Display P3"
    assert colour.name(matrix_profile(SRGB, None, "a\nb" + "c" * 100)) == "ab" + "c" * 38
    assert colour.name(b"garbage") == ""


def test_the_profile_of_srgb_is_the_same_bytes_every_time() -> None:
    first = colour.srgb_profile()
    colour.srgb_profile.cache_clear()
    colour._srgb.cache_clear()
    assert colour.srgb_profile() == first


# --- an edit in a picture's own numbers ---------------------------------------------------------------


def edited(before: np.ndarray, by: int) -> np.ndarray:
    """The right half brighter by so many levels, or darker."""
    after = before.copy()
    half = slice(before.shape[1] // 2, None)
    after[:, half] = np.clip(after[:, half].astype(int) + by, 0, 255)
    return after


@pytest.mark.parametrize("profile", [None, P3, ADOBE])
def test_untouched_pixels_keep_every_bit_and_edited_ones_show_the_edit(profile: bytes | None) -> None:
    native = Native(noise(ROWS + 9, 20, 3), profile=profile)
    before = colour.to_srgb(native.values, profile)
    after = edited(before, 40)
    values = colour.changed(native, before, after)
    assert np.array_equal(values[:, :10], native.values[:, :10])
    # Colours that sRGB does not hold stay partly, on purpose.
    inside = ((before > 0) & (before < 255) & (after < 255)).all(2)
    inside[:, :10] = False
    apart = np.abs(colour.to_srgb(values, profile).astype(int) - after)[inside]
    assert apart.mean() < 0.7
    assert np.percentile(apart, 99) <= 3


def test_sixteen_bits_keep_the_bits_below_the_eighth() -> None:
    values = np.random.default_rng(0).integers(0, 50_000, (8, 20, 3)).astype(np.uint16)
    native = Native(values, 65_535)
    before = native.eight_bit()
    found = colour.changed(native, before, edited(before, 3))
    assert found.dtype == np.uint16
    assert np.array_equal(found[:, :10], values[:, :10])
    moved = found[:, 10:].astype(int) - values[:, 10:]
    assert np.abs(moved - 3 * 257).max() <= 8  # of what is new, 3 parts of 64 less is kept


def test_data_of_12_bits_stays_data_of_12_bits() -> None:
    values = np.full((4, 4, 3), 4000, np.uint16)
    native = Native(values, 4095)
    before = native.eight_bit()
    found = colour.changed(native, before, edited(before, 40))
    assert found[:, 2:].max() == 4095
    assert (found[:, :2] == 4000).all()


def test_what_is_half_transparent_shows_the_edit_and_what_is_wholly_so_nothing() -> None:
    values, alpha = np.full((4, 6, 3), 100, np.uint8), np.full((4, 6), 128, np.uint8)
    alpha[:, 5] = 0
    native = Native(values, alpha=alpha)
    before = native.eight_bit()
    after = edited(before, -10)
    found = colour.changed(native, before, after)
    shown = Native(found, alpha=alpha).eight_bit()
    assert np.abs(shown[:, :5].astype(int) - after[:, :5]).max() <= 1
    assert (found[:, 5] == 100).all()


def test_a_grey_picture_stays_one_channel() -> None:
    native = Native(noise(8, 20, 1))
    before = colour.to_srgb(native.values, None)
    after = edited(before, 30)
    assert np.array_equal(colour.changed(native, before, after), after[:, :, :1])


def test_an_edit_in_inks_shows_as_it_was_seen() -> None:
    native = Native(noise(20, 20, 4), profile=press_profile())
    before = colour.to_srgb(native.values, native.profile)
    after = edited(before, 30)
    found = colour.changed(native, before, after)
    assert np.array_equal(found[:, :10], native.values[:, :10])
    shown = colour.to_srgb(found, native.profile)
    assert np.abs(shown.astype(int) - after)[:, 10:].mean() < 4
