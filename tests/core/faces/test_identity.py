"""core.faces.identity: the descriptor follows the face, not the frame around it."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from core.faces import identity
from core.faces.alignment import find_faces
from core.faces.identity import Identity, descriptor, distance
from core.images import encode_jpeg, open_image

SAME_PERSON = 0.6  # dlib's own threshold


@pytest.fixture(scope="session")
def landmarks(photo: np.ndarray) -> np.ndarray:
    return find_faces(photo)[0].landmarks


@pytest.fixture(scope="session")
def original(photo: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    return descriptor(photo, landmarks)


def test_shape_type_and_determinism(photo: np.ndarray, landmarks: np.ndarray, original: np.ndarray) -> None:
    assert original.shape == (128,)
    assert original.dtype == np.float32
    assert np.isfinite(original).all()
    assert np.array_equal(descriptor(photo, landmarks), original)


def test_distance_is_euclidean() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 128)).astype(np.float32)
    squares = sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True))
    assert distance(a, b) == pytest.approx(squares**0.5)
    assert distance(a, a) == 0.0
    assert isinstance(distance(a, b), float)


def test_moved_enlarged_or_compressed_it_is_the_same_person(
    photo: np.ndarray, landmarks: np.ndarray, original: np.ndarray
) -> None:
    moved = np.pad(photo, ((30, 0), (50, 0), (0, 0)))
    assert distance(descriptor(moved, landmarks + np.array([50, 30])), original) < 0.02
    double = cv2.resize(photo, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    assert distance(descriptor(double, (landmarks + 0.5) * 2 - 0.5), original) < 0.15
    assert distance(descriptor(open_image(encode_jpeg(photo, 60)), landmarks), original) < 0.2


def test_another_face_under_the_same_landmarks_is_another_person(
    photo: np.ndarray, landmarks: np.ndarray, original: np.ndarray
) -> None:
    left, top = np.floor(landmarks.min(0)).astype(int)
    right, bottom = np.ceil(landmarks.max(0)).astype(int)
    stranger = photo.copy()
    face = stranger[top:bottom, left:right]
    # A negative, upside down: nobody she knows.
    stranger[top:bottom, left:right] = 255 - face[::-1]
    assert distance(descriptor(stranger, landmarks), original) > SAME_PERSON


def test_visitors_at_once_get_what_one_gets(
    photo: np.ndarray, landmarks: np.ndarray, original: np.ndarray
) -> None:
    blurred = cv2.GaussianBlur(photo, (0, 0), 3)
    other = descriptor(blurred, landmarks)
    assert distance(other, original) > 0.01
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: descriptor((photo, blurred)[i % 2], landmarks), range(8)))
    for i, result in enumerate(found):
        assert np.array_equal(result, (original, other)[i % 2])


def test_a_face_is_described_once_by_however_many_who_ask(
    photo: np.ndarray, landmarks: np.ndarray, original: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(identity, "descriptor", lambda *given: seen.append(1) or descriptor(*given))
    face = Identity(photo, landmarks)
    assert not seen
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: face.descriptor, range(8)))
    assert len(seen) == 1
    assert all(np.array_equal(one, original) for one in found)
    with pytest.raises(ValueError, match="read-only"):
        face.descriptor[...] = 0


def test_how_far_an_edit_is_does_not_depend_on_its_size(photo: np.ndarray, landmarks: np.ndarray) -> None:
    face = Identity(photo, landmarks)
    assert face.distance(photo) == 0
    double = cv2.resize(photo, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    assert 0 < face.distance(double) < 0.15
    assert face.distance(255 - photo[::-1]) > SAME_PERSON
