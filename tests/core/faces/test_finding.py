"""core.faces.finding: how faces are numbered, and what the second look finds that HOG does not."""

import itertools

import cv2
import numpy as np
import pytest

from core.faces import alignment, finding, yunet
from core.faces.alignment import MAX_FACES, Face, find_faces
from core.faces.finding import LARGEST_VIEW, is_dark, numbered, search, second_look


def face(left: float, top: float, width: float) -> Face:
    edges = round(left), round(top), round(left + width), round(top + width)
    return Face(edges, np.zeros((68, 2), np.float32))


def apart(found: np.ndarray, wanted: np.ndarray) -> float:
    """Mean distance over that between the eyes."""
    eyes = np.hypot(*(wanted[36:42].mean(0) - wanted[42:48].mean(0)))
    return float(np.hypot(*(found - wanted).T).mean() / eyes)


@pytest.fixture(scope="module")
def landmarks(photo: np.ndarray) -> np.ndarray:
    return find_faces(photo)[0].landmarks


# --- numbers -----------------------------------------------------------------------------------------


def test_faces_of_about_one_size_are_numbered_as_one_reads() -> None:
    rows = [
        [face(20, 110, 100), face(200, 90, 95), face(400, 125, 110)],
        [face(10, 300, 90), face(210, 280, 104), face(390, 310, 98)],
    ]
    reading = tuple(itertools.chain(*rows))
    for order in itertools.islice(itertools.permutations(reading), 0, None, 97):
        assert numbered(order) == reading


def test_the_largest_come_first_wherever_they_are() -> None:
    large, middle, small = face(500, 500, 200), face(300, 300, 120), face(0, 0, 60)
    assert numbered((small, middle, large)) == (large, middle, small)


def test_of_many_faces_the_largest_are_kept() -> None:
    faces = tuple(face(0, 300 * i, 100 + i) for i in range(MAX_FACES + 5))
    assert {face.box for face in numbered(faces)} == {face.box for face in faces[5:]}


def test_a_photo_of_several_is_numbered_left_to_right(photo: np.ndarray) -> None:
    # HOG's boxes of equal faces differ by a pixel or two, and their order with them.
    group = np.concatenate([photo[10:210, 124:324], photo[10:210, 124:324][:, ::-1]] * 2, axis=1)
    middles = [f.landmarks[30, 0] for f in search(group)]
    assert len(middles) == 4
    assert middles == sorted(middles)


# --- the second look ---------------------------------------------------------------------------------


def test_where_the_first_detector_finds_upright_faces_they_stay_as_they_are(
    photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = find_faces(photo)
    monkeypatch.setattr(finding, "second_look", lambda _: pytest.fail("is asked"))
    (found,) = search(photo)
    assert found.box == first.box
    assert np.array_equal(found.landmarks, first.landmarks)


def test_where_the_first_detector_is_doubtful_the_second_one_decides(
    photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    sure, doubtful = (Face((0, 0, 90, 90), np.zeros((68, 2), np.float32), score) for score in (0.9, 0.1))
    wall = np.full((300, 200, 3), 180, np.uint8)
    for found, wanted in (((sure, doubtful), 2), ((doubtful,), 1)):
        monkeypatch.setattr(alignment, "find_faces", lambda _, found=found: found)
        assert len(search(wall)) == wanted  # nothing else is seen
    (face,) = search(photo)
    assert 120 < face.box[0] < 224 < face.box[2] < 330


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_photo(photo: np.ndarray, landmarks: np.ndarray, turns: int) -> None:
    turned, wanted = photo[:, :400], landmarks
    for _ in range(turns):
        # np.rot90 takes (x, y) to (y, width - 1 - x).
        wanted = np.stack([wanted[:, 1], turned.shape[1] - 1 - wanted[:, 0]], 1)
        turned = np.rot90(turned)
    assert find_faces(turned) == ()
    (found,) = search(turned)
    assert apart(found.landmarks, wanted) < 0.1
    left, top, right, bottom = found.box
    x, y = wanted.mean(0)
    assert left < x < right
    assert top < y < bottom


@pytest.mark.parametrize("degrees", [-60, -45, 60, 135])
def test_a_leaning_head(photo: np.ndarray, landmarks: np.ndarray, degrees: int) -> None:
    matrix = cv2.getRotationMatrix2D((225, 115), degrees, 1.0)
    turned = cv2.warpAffine(photo, matrix, (460, 400), borderMode=cv2.BORDER_REPLICATE)
    assert find_faces(turned) == ()
    (found,) = search(turned)
    assert apart(found.landmarks, landmarks @ matrix[:, :2].T + matrix[:, 2]) < 0.1


def test_a_leaning_head_that_the_first_detector_finds(photo: np.ndarray, landmarks: np.ndarray) -> None:
    matrix = cv2.getRotationMatrix2D((225, 115), -30, 1.0)  # hers leans by 15 degrees that way already
    turned = cv2.warpAffine(photo, matrix, (460, 400), borderMode=cv2.BORDER_REPLICATE)
    wanted = landmarks @ matrix[:, :2].T + matrix[:, 2]
    (first,), (found,) = find_faces(turned), search(turned)
    assert found.box == first.box
    assert apart(found.landmarks, wanted) < 0.04 < apart(first.landmarks, wanted)


@pytest.mark.parametrize("left", [True, False])
def test_a_face_that_the_frame_cuts_and_the_first_detector_finds(
    photo: np.ndarray, landmarks: np.ndarray, left: bool
) -> None:
    columns = slice(200, 512) if left else slice(100, round(landmarks[42:48, 0].mean()) + 3)
    picture, wanted = np.ascontiguousarray(photo[:, columns]), landmarks - (columns.start, 0)
    (first,), (found,) = find_faces(picture), search(picture)
    inside = (wanted[:, 0] >= 0) & (wanted[:, 0] < picture.shape[1])
    before, after = (np.hypot(*(f.landmarks - wanted)[inside].T).mean() for f in (first, found))
    assert found.box == first.box
    assert after < 0.8 * before


def test_a_small_face_in_a_large_photo(photo: np.ndarray, landmarks: np.ndarray) -> None:
    wall = np.full((700, 900, 3), 170, np.uint8)
    wall[300:428, 400:528] = cv2.resize(photo, (128, 128), interpolation=cv2.INTER_AREA)
    assert find_faces(wall) == ()
    (found,) = search(wall)
    assert apart(found.landmarks, (landmarks + 0.5) / 4 - 0.5 + (400, 300)) < 0.15


@pytest.mark.parametrize("divisor", [16, 24])
def test_a_photo_that_is_nearly_black(photo: np.ndarray, landmarks: np.ndarray, divisor: int) -> None:
    dark = photo // divisor
    assert is_dark(dark)
    assert not is_dark(photo)
    assert apart(second_look(dark)[0].landmarks, landmarks) < 0.1


def test_the_box_is_about_hog_s(photo: np.ndarray) -> None:
    (first,), (second,) = find_faces(photo), second_look(photo)
    assert np.abs(np.subtract(first.box, second.box)).max() < 0.2 * (first.box[2] - first.box[0])
    assert apart(second.landmarks, first.landmarks) < 0.05


def test_a_face_that_fills_the_frame_or_is_cut_by_it(photo: np.ndarray, landmarks: np.ndarray) -> None:
    (left, top), (right, bottom) = landmarks.min(0).astype(int), landmarks.max(0).astype(int)
    for cut in (
        (slice(top, bottom - 4), slice(left + 4, right - 4)),
        (slice(0, 300), slice(round(landmarks[27, 0]) - 12, 400)),
        (slice(0, round(landmarks[48:68, 1].max())), slice(100, 350)),
    ):
        picture = np.ascontiguousarray(photo[cut])
        (found,) = search(picture)
        wanted = landmarks - (cut[1].start, cut[0].start)
        inside = ((wanted >= 0) & (wanted < picture.shape[1::-1])).all(1)
        eyes = np.hypot(*(landmarks[36:42].mean(0) - landmarks[42:48].mean(0)))
        assert np.hypot(*(found.landmarks - wanted)[inside].T).mean() < 0.2 * eyes


def test_what_is_cut_too_closely_is_no_other_face(photo: np.ndarray) -> None:
    """With the edges reflected, eyes and their mirror images were one, upside down or beside it."""
    large = cv2.resize(photo, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    landmarks = find_faces(large)[0].landmarks
    (left, top), (right, bottom) = landmarks.min(0), landmarks.max(0)
    x, y = 0.2 * (right - left), 0.1 * (bottom - top)
    close = large[int(top + y) : int(bottom - 2 * y), int(left + x) : int(right - x)]
    for found in search(np.ascontiguousarray(close)):
        wanted = landmarks - (int(left + x), int(top + y))
        assert np.hypot(*(found.landmarks[17:] - wanted[17:]).T).mean() < 0.3 * x


def test_reflections_beyond_the_edge_are_no_faces(photo: np.ndarray) -> None:
    assert len(second_look(photo[:200, 150:300])) == 1


def test_the_second_look_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = []
    monkeypatch.setattr(yunet, "look", lambda picture: shapes.append(picture.shape) or [])
    assert second_look(np.full((400, 1000, 3), 128, np.uint8)) == ()
    # Four ways round, twice, at two sizes.
    assert sorted(shapes) == [(320, 320, 3)] * 8 + [(LARGEST_VIEW, LARGEST_VIEW, 3)] * 8


@pytest.mark.parametrize("level", [0, 3, 180, 255])
def test_a_plain_wall_has_no_face(level: int) -> None:
    assert search(np.full((300, 200, 3), level, np.uint8)) == ()


@pytest.mark.parametrize("scale", [1, 12])
def test_noise_has_no_face(scale: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8) // scale
    assert alignment.find_faces(noise) == finding.search(noise) == ()
