"""Colour labels on pictures painted for them."""

import numpy as np
import pytest

from training.data.colours import COLOUR_LABELS, colour_labels, surround


def lightness(grey: int) -> float:
    """L* of an sRGB grey, by the definitions of sRGB and CIELAB."""
    c = grey / 255
    linear = c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
    return 116 * linear ** (1 / 3) - 16


@pytest.fixture
def points() -> np.ndarray:
    """(478, 2) with the points that the labels look at where the painted face has them."""
    at = np.full((478, 2), 128.0)
    for index, x, y in (
        (50, 80, 150), (205, 90, 160), (280, 176, 150), (425, 166, 160), (9, 128, 100), (151, 128, 85),
        (199, 128, 210), (200, 128, 205), (175, 128, 215), (164, 128, 180), (167, 122, 180), (393, 134, 180),
        (159, 100, 120), (145, 100, 126), (386, 156, 120), (374, 156, 126), (105, 95, 105), (334, 161, 105),
        (10, 128, 60), (468, 100, 123), (473, 156, 123), (0, 128, 188), (37, 122, 188), (267, 134, 188),
        (17, 128, 196), (84, 122, 196), (314, 134, 196),
    ):  # fmt: skip
        at[index] = x, y
    return at


def test_an_even_grey_face_has_its_lightness_and_no_shadow(points: np.ndarray) -> None:
    picture = np.full((256, 256, 3), 119, np.uint8)
    labels = colour_labels(picture, points, np.zeros((256, 256), np.float32))
    assert set(labels) == set(COLOUR_LABELS)
    assert labels["skin_brightness"] == pytest.approx(lightness(119), abs=0.2)
    for name in ("skin_red", "skin_yellow", "side_light", "chin_shadow", "eye_shadow"):
        assert labels[name] == pytest.approx(0, abs=0.2), name
    assert np.isnan(labels["hair_brightness"])


def test_light_from_the_right_a_dark_chin_and_dark_glasses(points: np.ndarray) -> None:
    picture = np.full((256, 256, 3), 119, np.uint8)
    picture[140:170, 128:] = 180
    picture[195:] = 60
    picture[110:136, 90:112] = picture[110:136, 146:168] = 40
    labels = colour_labels(picture, points, np.zeros((256, 256), np.float32))
    cheek = (lightness(180) + lightness(119)) / 2
    assert labels["side_light"] == pytest.approx(lightness(180) - lightness(119), abs=0.3)
    assert labels["chin_shadow"] == pytest.approx(cheek - (lightness(60) + lightness(119)) / 2, abs=0.3)
    assert labels["eye_shadow"] == pytest.approx(cheek - lightness(40), abs=0.3)


def test_hair_has_the_colour_under_its_mask_and_its_place(points: np.ndarray) -> None:
    picture = np.full((256, 256, 3), 119, np.uint8)
    picture[:90] = 40
    hair = np.zeros((256, 256), np.float32)
    hair[:90] = 1
    labels = colour_labels(picture, points, hair)
    assert labels["hair_brightness"] == pytest.approx(lightness(40), abs=0.3)
    assert labels["hair_area"] == pytest.approx(90 / 256)
    assert labels["hair_length"] == 0
    # From the brows (y 105) up to y 80.25, of which hair covers what lies above 90.
    assert labels["bangs"] == pytest.approx(9.75 / 24.75, abs=0.05)


def test_the_rim_does_not_see_the_face() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (256, 256, 3), dtype=np.uint8)
    other = picture.copy()
    other[32:, 48:208] = 7
    np.testing.assert_array_equal(surround(picture), surround(other))
    other[:32] = 7
    assert not np.array_equal(surround(picture), surround(other))


def test_lips_eyes_and_the_whole_picture_have_colours_of_their_own(points: np.ndarray) -> None:
    picture = np.full((256, 256, 3), 119, np.uint8)
    even = colour_labels(picture, points, np.zeros((256, 256), np.float32))
    assert even["contrast"] == pytest.approx(0, abs=1e-3)
    assert even["exposure"] == pytest.approx(lightness(119), abs=0.2)
    for name in ("lip_red", "iris_yellow", "warmth", "saturation"):
        assert even[name] == pytest.approx(0, abs=0.2), name
    picture[184:200, 116:140] = 200, 60, 60
    picture[118:128, 95:105] = picture[118:128, 151:161] = 60, 60, 200
    painted = colour_labels(picture, points, np.zeros((256, 256), np.float32))
    assert painted["lip_red"] > 30
    assert painted["iris_yellow"] < -30
    assert painted["iris_brightness"] < even["iris_brightness"]
    assert painted["saturation"] > 0.5
    assert painted["contrast"] > 0.5
    picture[:] = 140, 119, 90
    assert colour_labels(picture, points, np.zeros((256, 256), np.float32))["warmth"] > 10
