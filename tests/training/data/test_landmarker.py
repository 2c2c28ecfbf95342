"""Labels of pose, expression and proportions: what turning the head must not change."""

import numpy as np
import pytest

from training.data.landmarker import SHAPE_LABELS, FacePoints, shape_labels, upright

POSE = ("yaw", "pitch", "roll")


def turned(yaw: float = 0, pitch: float = 0, roll: float = 0) -> np.ndarray:
    """(3, 3) of angles in degrees: R_y(yaw) R_x(-pitch) R_z(roll); x right, y up, z to the viewer."""
    a, b, c = np.radians((yaw, -pitch, roll))
    y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return y @ x @ z


def blendshapes(**scores: float) -> dict[str, float]:
    names = (
        "mouthSmile", "eyeSquint", "eyeLookUp", "eyeLookDown", "browDown", "browOuterUp", "eyeWide",
        "mouthFrown", "noseSneer", "eyeBlink",
    )  # fmt: skip
    sides = {f"{name}{side}": 0.0 for name in names for side in ("Left", "Right")}
    return {**sides, "mouthPucker": 0.0, "browInnerUp": 0.0, **scores}


@pytest.fixture
def head() -> np.ndarray:
    """(478, 3) of an upright head: x right, y up, z to the viewer. Random where no formula looks."""
    points = np.random.default_rng(0).normal(size=(478, 3)) * 20
    for index, x, y in (
        (10, 0, 60), (2, 0, -20), (168, 0, 20), (33, -45, 20), (133, -15, 20), (362, 15, 20), (263, 45, 20),
        (160, -35, 24), (144, -35, 16), (159, -30, 25), (145, -30, 15), (158, -25, 24), (153, -25, 16),
        (385, 25, 24), (380, 25, 16), (386, 30, 25), (374, 30, 15), (387, 35, 24), (373, 35, 16),
        (468, -30, 20), (473, 30, 20), (13, 0, -40), (14, 0, -48), (0, 0, -34), (17, 0, -56), (61, -24, -44),
        (291, 24, -44), (234, -70, 0), (454, 70, 0), (172, -50, -50), (397, 50, -50), (129, -18, -15),
        (107, -12, 36), (336, 12, 36), (70, -52, 30), (300, 52, 30), (123, -62, -20), (352, 62, -20),
        (152, 0, -76), (358, 18, -15), (105, -35, 40), (66, -25, 40), (334, 35, 40), (296, 25, 40),
    ):  # fmt: skip
        points[index] = x, y, 0
    return points


def seen(head: np.ndarray, rotation: np.ndarray, **scores: float) -> FacePoints:
    """The head as FaceLandmarker would say: turned, moved, in a picture's axes."""
    camera = head @ rotation.T * 1.3 + (120, -130, 4)
    return FacePoints(camera * (1, -1, -1), blendshapes(**scores), rotation)


def test_lengths_are_those_of_the_head_that_was_drawn(head: np.ndarray) -> None:
    labels = shape_labels(seen(head, turned()))
    assert set(labels) == set(SHAPE_LABELS)
    assert labels["eyes_open"] == pytest.approx((8 + 10 + 8) / 3 / 30)
    assert labels["mouth_open"] == pytest.approx(8 / 80)
    assert labels["mouth_width"] == pytest.approx(48 / 90)
    assert labels["lips"] == pytest.approx((6 + 8) / 80)
    assert labels["brows"] == pytest.approx(20 / 80)
    assert labels["face_width"] == pytest.approx(140 / np.sqrt(90 * 80))
    assert labels["gaze"] == pytest.approx(0)
    assert labels["eye_size"] == pytest.approx(30 / 80)
    assert labels["eye_distance"] == pytest.approx(30 / 90)
    assert labels["brow_tilt"] == pytest.approx(6 / 80)
    assert labels["cheekbones"] == pytest.approx(124 / 100)
    assert labels["chin"] == pytest.approx(20 / 80)
    assert labels["philtrum"] == pytest.approx(14 / 80)


def test_expressions_are_those_of_the_blendshapes(head: np.ndarray) -> None:
    scores = {"browInnerUp": 0.9, "browOuterUpLeft": 0.3, "eyeWideLeft": 0.2, "eyeWideRight": 0.4}
    scores |= {"mouthFrownLeft": 0.5, "noseSneerRight": 0.6, "eyeBlinkLeft": 0.7, "eyeBlinkRight": 0.1}
    labels = shape_labels(seen(head, turned(), **scores))
    assert labels["surprise"] == pytest.approx((0.9 + 0.15 + 0.3) / 3)
    assert labels["sad"] == pytest.approx(0.25)
    assert labels["sneer"] == pytest.approx(0.3)
    assert labels["wink"] == pytest.approx(0.6)


@pytest.mark.parametrize("angles", [(25, 0, 0), (0, -18, 0), (-30, 12, 6)])
def test_turning_the_head_changes_pose_alone(head: np.ndarray, angles: tuple[float, float, float]) -> None:
    straight, there = shape_labels(seen(head, turned())), shape_labels(seen(head, turned(*angles)))
    for name in set(SHAPE_LABELS) - set(POSE):
        assert there[name] == pytest.approx(straight[name], abs=1e-9), name
    if angles[1:] == (0, 0):
        assert there["yaw"] == pytest.approx(angles[0])
    if angles[0] == 0:
        assert there["pitch"] == pytest.approx(angles[1])


def test_signs_are_those_of_the_picture(head: np.ndarray) -> None:
    nose = np.array([0.0, 0.0, 1.0])  # points to the viewer
    right, up = turned(yaw=20), turned(pitch=20)
    assert (right @ nose)[0] > 0
    assert shape_labels(seen(head, right))["yaw"] > 0
    assert (up @ nose)[1] > 0
    assert shape_labels(seen(head, up))["pitch"] > 0
    looking = head.copy()
    looking[[468, 473], 0] += 4
    assert shape_labels(seen(looking, turned()))["gaze"] == pytest.approx(4 / 30)


def test_upright_undoes_the_rotation(head: np.ndarray) -> None:
    back = upright(seen(head, turned(30, -10, 5)))
    np.testing.assert_allclose(back - back.mean(0), (head - head.mean(0)) * 1.3, atol=1e-9)


def test_blendshapes_are_means_of_both_sides(head: np.ndarray) -> None:
    scores = {"mouthSmileLeft": 0.2, "mouthSmileRight": 0.6, "eyeLookUpLeft": 0.5, "eyeLookDownRight": 0.1}
    labels = shape_labels(seen(head, turned(), **scores))
    assert labels["smile"] == pytest.approx(0.4)
    assert labels["gaze_up"] == pytest.approx(0.2)
