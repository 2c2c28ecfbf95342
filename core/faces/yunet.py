"""A second face detector: YuNet (Wu, Peng and Yu 2023), whose file OpenCV runs.

The file is OpenCV's own, face_detection_yunet_2023mar of its model zoo, under the MIT licence that lies
beside it. It knows faces of 10 to 300 px, upright or leaning, and says where their eyes, nose and mouth are.
"""

import functools
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

FILE = Path(__file__).resolve().parents[2] / "assets" / "yunet" / "face_detection_yunet_2023mar.onnx"
# Low, since a face that leans or is small scores little until it is seen upright and near.
LEAST_SCORE = 0.6
OVERLAP = 0.3
MOST_FACES = 100


@dataclass(frozen=True, eq=False)
class Sighting:
    """A face as YuNet sees it.

    points: (5, 2) float64, (x, y): the eye at the viewer's left of an upright face, the other one, the nose's
    tip, the mouth's corners in the same order. score: in [0, 1].
    """

    points: np.ndarray
    score: float

    @property
    def eyes(self) -> np.ndarray:
        """(2,): the middle between the eyes."""
        return self.points[:2].mean(0)

    @property
    def mouth(self) -> np.ndarray:
        """(2,): the middle of the mouth."""
        return self.points[3:].mean(0)


@functools.cache
def _detector() -> cv2.FaceDetectorYN:
    # By content, not by name: OpenCV opens no path with letters beyond ASCII on some platforms.
    content = np.frombuffer(FILE.read_bytes(), np.uint8)
    log = cv2.utils.logging
    level = log.setLogLevel(log.LOG_LEVEL_ERROR)  # OpenCV 5 warns of a target that nobody chose
    try:
        return cv2.FaceDetectorYN.create(
            "onnx", content, np.empty(0, np.uint8), (320, 320), LEAST_SCORE, OVERLAP, MOST_FACES
        )
    finally:
        log.setLogLevel(level)


def look(picture: np.ndarray) -> list[Sighting]:
    """Faces in (H, W, 3) uint8 RGB, in its pixels, the surest first. One thread at a time."""
    detector = _detector()
    detector.setInputSize((picture.shape[1], picture.shape[0]))
    _, rows = detector.detect(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if rows is None:
        return []
    # A row is left, top, width, height, five times x and y, score.
    found = [Sighting(row[4:14].reshape(5, 2).astype(np.float64), float(row[14])) for row in rows]
    return sorted(found, key=lambda sighting: -sighting.score)
