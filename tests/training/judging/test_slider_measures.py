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
        128, 120), (2, 64, 150), (14, 192, 150), (4, 80, 185), (12, 176, 185),
        (29, 128, 140), (30, 128, 148), (31, 114, 155), (33, 128, 158), (35, 142, 155), (48, 100,
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
    assert measures["jaw"] == pytest.approx(1)
    assert measures["cheekbones"] == pytest.approx(128 / 96)
    assert measures["nose_length"] == pytest.approx(38 / 96)
    assert measures["philtrum"] == pytest.approx(16 / 96)
    assert measures["chin"] == pytest.approx(25 / 96)
    assert measures["eye_size"] == pytest.approx(30 / np.sqrt(96 * 38))
    assert measures["eye_distance"] == pytest.approx(36 / 96)
    assert measures["mouth_corners"] == pytest.approx(2 / 96)
    assert measures["wink"] == measures["brow_tilt"] == 0


def test_winks_frowns_and_tilts_have_their_sign(points: np.ndarray) -> None:
    before = point_measures(points)
    points[[43, 44], 1] += 4  # the upper lid of the person's left eye
    points[[21, 22], 1] -= 6
    points[[48, 54], 1] += 10
    after = point_measures(points)
    assert after["wink"] == pytest.approx(before["wink"] + 4 / 30)
    assert after["brow_tilt"] == pytest.approx(6 / 96)
    assert after["mouth_corners"] == pytest.approx(before["mouth_corners"] - 10 / 96)


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


def test_what_is_red_bright_and_dark(points: np.ndarray) -> None:
    nowhere = np.zeros((256, 256), bool)
    picture = np.full((256, 256, 3), 150, np.uint8)
    grey = colour_measures(picture, points, nowhere)
    assert grey["exposure"] == 150
    for name in ("blush", "lip_red", "eye_shadow", "contrast", "warmth", "saturation"):
        assert grey[name] == pytest.approx(0, abs=0.3), name
    picture[172:192, 110:146] = 200, 80, 90
    picture[112:130, 78:180] = 40
    found = colour_measures(picture, points, nowhere)
    assert found["lip_red"] > 40
    assert found["blush"] == pytest.approx(0, abs=0.3)
    assert found["eye_shadow"] > 30
    assert found["iris"] < grey["iris"] - 30
    assert found["exposure"] < grey["exposure"]
    assert found["contrast"] > 5
    warm = colour_measures(np.full((256, 256, 3), (180, 150, 120), np.uint8), points, nowhere)
    assert warm["warmth"] > 20
    assert warm["saturation"] > 10


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
    def looking(shift: int, rise: int = 0) -> tuple[float, float]:
        picture = np.full((256, 256, 3), 220, np.uint8)
        for centre in (95, 161):
            picture[119 - rise : 122 - rise, centre + shift - 3 : centre + shift + 4] = 20
        found = colour_measures(picture, points, np.zeros((256, 256), bool))
        return found["gaze"], found["gaze_up"]

    assert looking(-6)[0] < looking(0)[0] < looking(6)[0]
    assert looking(0, -2)[1] < looking(0)[1] < looking(0, 2)[1]
    assert looking(0) == pytest.approx((0, 0), abs=0.05)
