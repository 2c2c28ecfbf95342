"""What dlib's points and the colours between them say, on faces drawn for it."""

import numpy as np
import pytest

from training.judging.slider_measures import colour_measures, hair_place, point_measures


@pytest.fixture
def points() -> np.ndarray:
    """(68, 2): a face in a 256 px picture, eyes 96 px apart from corner to corner."""
    at = np.full((68, 2), 128.0)
    for index, x, y in (
        (1, 60, 130), (15, 196, 130), (3, 70, 170), (13, 186, 170), (8, 128, 215), (19, 95, 98), (24, 161,
        98), (36, 80, 120), (37, 90, 116), (38, 100, 116), (39, 110, 120), (40, 100, 124), (41, 90, 124),
        (42, 146, 120), (43, 156, 116), (44, 166, 116), (45, 176, 120), (46, 166, 124), (47, 156, 124), (27,
        128, 120), (29, 128, 140), (30, 128, 148), (31, 114, 155), (33, 128, 158), (35, 142, 155), (48, 100,
        180), (54, 156, 180), (51, 128, 174), (62, 128, 178), (66, 128, 184), (57, 128, 190),
    ):  # fmt: skip
        at[index] = x, y
    at[17:27, 1] = 100
    return at


def test_lengths_are_shares_of_the_eyes_distance(points: np.ndarray) -> None:
    measures = point_measures(points)
    assert measures["smile"] == pytest.approx(56 / 96)
    assert measures["mouth_open"] == pytest.approx(6 / 96)
    assert measures["eyes_open"] == pytest.approx(8 / 30)
    assert measures["brows"] == pytest.approx(20 / 96)
    assert measures["lips"] == pytest.approx((4 + 6) / 96)
    assert measures["nose_width"] == pytest.approx(28 / 96)
    assert measures["face_width"] == pytest.approx((136 + 116) / 2 / np.sqrt(96 * 38))


def test_size_and_tilt_of_the_face_do_not_matter(points: np.ndarray) -> None:
    turn = np.array([[np.cos(0.2), -np.sin(0.2)], [np.sin(0.2), np.cos(0.2)]])
    there = point_measures(points @ turn.T * 1.7 + 9)
    for name, value in point_measures(points).items():
        assert there[name] == pytest.approx(value), name


def test_brightness_and_light_are_those_of_the_cheeks(points: np.ndarray) -> None:
    picture = np.full((256, 256, 3), 119, np.uint8)
    picture[:, 128:] = 188
    measures = colour_measures(picture, points, np.zeros((256, 256), bool))
    dark, light = 50.03, 76.2  # L* of sRGB 119 and 188
    assert measures["skin_brightness"] == pytest.approx((dark + light) / 2, abs=0.5)
    assert measures["side_light"] == pytest.approx(light - dark, abs=0.5)
    assert np.isnan(measures["hair_brightness"])


def test_hair_is_found_above_the_forehead_and_looked_at_in_one_place(points: np.ndarray) -> None:
    picture = np.full((256, 256, 3), 200, np.uint8)
    picture[:70] = 30
    place = hair_place(picture, points)
    assert place.any()
    assert np.nonzero(place)[0].max() < 70
    before = colour_measures(picture, points, place)["hair_brightness"]
    picture[:70] = 90
    assert colour_measures(picture, points, place)["hair_brightness"] > before + 20


def test_gaze_follows_the_dark_of_the_eyes(points: np.ndarray) -> None:
    def looking(shift: int) -> float:
        picture = np.full((256, 256, 3), 220, np.uint8)
        for centre in (95, 161):
            picture[116:125, centre + shift - 3 : centre + shift + 4] = 20
        return colour_measures(picture, points, np.zeros((256, 256), bool))["gaze"]

    assert looking(-6) < looking(0) < looking(6)
    assert looking(0) == pytest.approx(0, abs=0.05)
