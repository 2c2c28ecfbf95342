"""core.faces.yunet: the file is the published one, and the points are where they are said to be."""

import hashlib

import cv2
import numpy as np

from core.faces import yunet

# Of face_detection_yunet_2023mar.onnx in OpenCV's model zoo.
SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
# Irises and mouth of the astronaut, read off an enlargement.
EYES, MOUTH = ((203.7, 101.5), (246.5, 103.5)), (225.3, 139.3)


def test_the_file_is_the_published_one() -> None:
    assert hashlib.sha256(yunet.FILE.read_bytes()).hexdigest() == SHA256
    assert "Shiqi Yu" in (yunet.FILE.parent / "LICENSE").read_text()


def test_the_astronaut_is_seen(photo: np.ndarray) -> None:
    (sighting,) = yunet.look(photo)
    assert yunet.LEAST_SCORE < sighting.score <= 1
    assert np.hypot(*(sighting.points[:2] - EYES).T).max() < 5
    assert np.hypot(*(sighting.mouth - MOUTH)) < 10  # it is no more exact; landmarks come from dlib
    assert np.allclose(sighting.eyes, np.mean(EYES, 0), atol=5)
    left, right = sighting.points[3:, 0]
    assert left < sighting.points[2, 0] < right


def test_pictures_of_any_size_come_in_any_order(photo: np.ndarray) -> None:
    small = cv2.resize(photo[:400], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    for picture, scale in ((photo, 1.0), (small, 0.5), (photo, 1.0)):
        (sighting,) = yunet.look(picture)
        assert np.allclose(sighting.mouth, np.multiply(MOUTH, scale), atol=10 * scale)


def test_the_surest_comes_first(photo: np.ndarray) -> None:
    blurred = cv2.GaussianBlur(photo, (0, 0), 4)
    seen = yunet.look(np.concatenate([blurred, photo], axis=1))
    assert len(seen) == 2
    assert seen[0].score > seen[1].score
    assert seen[0].mouth[0] > 512


def test_nothing_is_seen_in_noise() -> None:
    assert yunet.look(np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)) == []
