"""core.paste.detail: the bands add up to the photo, and know what the edit kept."""

import cv2
import numpy as np
import pytest

from core.paste.detail import Bands, bands, beside_border, reduced, smooth_step
from core.paste.motion import moved

SIZE = 128
EVERYWHERE = np.ones((SIZE, SIZE), np.float32)


@pytest.fixture(scope="module")
def pictures() -> tuple[np.ndarray, np.ndarray]:
    """A photo's crop (uint8) and a rendering (float32) that is alike, its colours off and a bit smoother."""
    noise = cv2.GaussianBlur(np.random.default_rng(1).uniform(0, 255, (SIZE, SIZE, 3)), (0, 0), 3)
    crop = (128 + 6 * (noise - noise.mean())).clip(0, 255).astype(np.uint8)
    base = cv2.GaussianBlur(crop, (0, 0), 0.7).astype(np.float32) + np.array([12, -8, 5], np.float32)
    return crop, base


def spot(x: float, y: float, radius: float, size: int = SIZE) -> np.ndarray:
    v, u = np.mgrid[:size, :size]
    return np.exp(-((u - x) ** 2 + (v - y) ** 2) / (2 * radius**2)).astype(np.float32)[:, :, None]


def split(pictures: tuple[np.ndarray, np.ndarray], edited: np.ndarray) -> Bands:
    return bands(*pictures, edited, EVERYWHERE, EVERYWHERE)


def test_the_bands_are_the_photo_moved(pictures: tuple[np.ndarray, np.ndarray]) -> None:
    crop, base = pictures
    edited = moved(base, spot(64, 64, 18) * np.array([4, 2], np.float32))
    parts = split(pictures, edited)
    assert np.abs(parts.flow).max() > 2
    assert np.allclose(parts.low, moved(crop.astype(np.float32), parts.flow), atol=0.1)
    assert np.allclose(parts.low, moved(base, parts.flow) + parts.colour + parts.features, atol=0.1)


def test_the_colour_is_the_coarse_part_of_what_the_model_missed(
    pictures: tuple[np.ndarray, np.ndarray],
) -> None:
    parts = split(pictures, pictures[1].copy())
    for coarse in (parts.colour, parts.rim_colour):
        assert np.abs(coarse.mean((0, 1)) - (-12, 8, -5)).max() < 1
        assert coarse.std((0, 1)).max() < 3
    assert np.abs(parts.features.mean((0, 1))).max() < 1


def test_the_rim_s_colour_is_read_at_the_rim_alone() -> None:
    base = np.full((SIZE, SIZE, 3), 100, np.float32)
    crop = (base + 60 * (spot(64, 64, 8) > 0.5)).astype(np.uint8)
    v, u = np.mgrid[:SIZE, :SIZE]
    mask = smooth_step((50 - np.hypot(u - 63.5, v - 63.5)) / 12).astype(np.float32)
    parts = bands(crop, base, base.copy(), EVERYWHERE, mask)
    assert parts.colour[64, 64].min() > 20
    assert np.abs(parts.rim_colour).max() < 3


def test_a_change_of_light_keeps_everything_and_is_its_tone(
    pictures: tuple[np.ndarray, np.ndarray],
) -> None:
    parts = split(pictures, pictures[1] + 35)
    assert parts.kept.min() > 0.99
    assert np.allclose(parts.tone, 35, atol=0.5)
    assert parts.true.mean() > 0.9


def test_what_the_edit_replaces_is_not_kept(pictures: tuple[np.ndarray, np.ndarray]) -> None:
    other = 255 - pictures[1]
    where = spot(64, 64, 12)
    parts = split(pictures, pictures[1] + (where > 0.3) * (other - pictures[1]))
    assert parts.kept[58:71, 58:71].max() < 0.2
    assert parts.kept[:24].min() > 0.95


def test_what_the_model_got_wrong_is_not_true(pictures: tuple[np.ndarray, np.ndarray]) -> None:
    crop, base = pictures
    wrong = base + (spot(64, 64, 12) > 0.3) * (255 - 2 * base)
    parts = bands(crop, wrong, wrong.copy(), EVERYWHERE, EVERYWHERE)
    assert parts.true[58:71, 58:71].max() < 0.2
    assert parts.true[:24].min() > 0.8
    assert parts.kept.min() > 0.99


def test_what_is_drawn_out_is_not_kept(pictures: tuple[np.ndarray, np.ndarray]) -> None:
    """Enlarged fourfold, a lip is no tooth: the photo's pixels there would be a smear."""
    v, u = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    toward = -0.6 * spot(64, 64, 16) * np.dstack([u - 64, v - 64])
    parts = split(pictures, moved(pictures[1], toward))
    assert parts.kept[62:67, 62:67].max() < 0.4


def test_motion_ends_where_the_mask_does(pictures: tuple[np.ndarray, np.ndarray]) -> None:
    crop, base = pictures
    mask = np.zeros((SIZE, SIZE), np.float32)
    mask[:, 64:] = 1
    parts = bands(crop, base, np.roll(base, 2, axis=0), EVERYWHERE, mask)
    assert not parts.flow[:, :64].any()
    assert np.abs(parts.flow[20:-20, 70:-10, 1] + 2).mean() < 0.5


def test_a_larger_rendering_is_split_alike(pictures: tuple[np.ndarray, np.ndarray]) -> None:
    crop, base = pictures
    edited = moved(base, spot(64, 64, 18) * np.array([4, 2], np.float32)) + 20
    everywhere = np.ones((512, 512), np.float32)
    crop, base, edited = (
        cv2.resize(i, (256, 256), interpolation=cv2.INTER_CUBIC) for i in (crop, base, edited)
    )
    small = bands(crop, base, edited, everywhere[:256, :256], everywhere[:256, :256])
    crop, base, edited = (
        cv2.resize(i, (512, 512), interpolation=cv2.INTER_CUBIC) for i in (crop, base, edited)
    )
    large = bands(crop, base, edited, everywhere, everywhere)
    assert large.low.shape == (512, 512, 3)
    assert np.abs(reduced(large.flow) - 2 * small.flow).mean() < 0.3
    assert np.abs(reduced(large.low) - small.low).mean() < 3
    assert np.abs(reduced(large.kept) - small.kept).mean() < 0.05


def test_smooth_step() -> None:
    t = np.linspace(-1, 2, 301)
    s = smooth_step(t)
    assert s[t <= 0].max() == 0
    assert s[t >= 1].min() == 1
    assert smooth_step(np.array(0.5)) == 0.5
    assert np.abs(np.diff(s, n=2)).max() < 1e-3


def test_walls_beside_a_person_that_is_told_do_not_turn_with_a_head(
    pictures: tuple[np.ndarray, np.ndarray],
) -> None:
    """A guess may be further off, so that motion goes on beyond it; a parser is right to a pixel or two."""
    v, u = np.mgrid[:SIZE, :SIZE]
    distance = np.hypot(u - 64, v - 64)
    person = (distance < 30).astype(np.float32)
    edited = np.roll(pictures[1], 2, axis=0)
    parts = bands(*pictures, edited, EVERYWHERE, EVERYWHERE, (person, person))
    assert np.abs(parts.flow[distance < 26]).max() > 1.5
    assert not parts.flow[distance > 38].any()


def test_what_grows_from_the_border_is_what_dilation_says() -> None:
    field = np.random.default_rng(2).uniform(0, 1, (90, 90)).astype(np.float32)
    field[0, :30] = field[:, -1] = 0
    rim = field.copy()
    rim[1:-1, 1:-1] = 0
    for side in (5, 31, 73):
        element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
        assert np.array_equal(beside_border(field, element), cv2.dilate(rim, element))
