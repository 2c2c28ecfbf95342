"""What MediaPipe's FaceLandmarker says of a face, and the labels made of it: pose, expression, proportions.

A training aid. The network (`face_landmarker.task`, Apache-2.0) is given by path and runs in PyPI
`mediapipe`, which is no requirement of the product; the formulas need numpy alone.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# Points of the face mesh: (upper, lower) lid pairs, then the eye's two corners.
LIDS = {
    "right": (((160, 144), (159, 145), (158, 153)), (33, 133)),
    "left": (((385, 380), (386, 374), (387, 373)), (362, 263)),
}
IRISES = {"right": 468, "left": 473}
BROWS, EYE_CORNERS = (105, 66, 334, 296), (33, 133, 362, 263)
BROW_ENDS = {"inner": (107, 336), "outer": (70, 300)}
FOREHEAD, NOSE_BASE = 10, 2
SHAPE_LABELS = (
    "yaw",
    "pitch",
    "roll",
    "smile",
    "squint",
    "pucker",
    "eyes_open",
    "mouth_open",
    "mouth_width",
    "lips",
    "gaze",
    "gaze_up",
    "brows",
    "frown",
    "face_width",
    "jaw_width",
    "nose_width",
    "nose_length",
    "surprise",
    "sad",
    "sneer",
    "wink",
    "eye_size",
    "eye_distance",
    "brow_tilt",
    "cheekbones",
    "chin",
    "philtrum",
)


@dataclass(frozen=True)
class FacePoints:
    """One face. `points`: (478, 3) x right, y down, z away from the viewer, one unit for all three (pixels);
    `blendshapes`: 52 scores in [0, 1] by name; `rotation`: (3, 3) from the upright head to the camera, whose
    axes are x right, y up, z towards the viewer."""

    points: np.ndarray
    blendshapes: dict[str, float]
    rotation: np.ndarray


class Landmarker:
    """FaceLandmarker for single pictures. Raises ImportError without mediapipe, ValueError for another
    file."""

    def __init__(self, task: Path) -> None:
        from mediapipe import Image, ImageFormat
        from mediapipe.tasks.python import BaseOptions, vision

        self._image, self._format = Image, ImageFormat.SRGB
        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(task)),
            output_face_blendshapes=True,
            output_facial_transformation_matrixes=True,
        )
        self._network: Any = vision.FaceLandmarker.create_from_options(options)

    def __call__(self, picture: np.ndarray) -> FacePoints | None:
        """picture: HWC uint8 RGB. None where it finds no face."""
        found = self._network.detect(
            self._image(image_format=self._format, data=np.ascontiguousarray(picture))
        )
        if not found.face_landmarks:
            return None
        height, width = picture.shape[:2]
        points = np.array([(p.x * width, p.y * height, p.z * width) for p in found.face_landmarks[0]])
        matrix = np.asarray(found.facial_transformation_matrixes[0], np.float64)[:3, :3]  # rotation * scale
        return FacePoints(
            points=points,
            blendshapes={b.category_name: b.score for b in found.face_blendshapes[0]},
            rotation=matrix / np.cbrt(np.linalg.det(matrix)),
        )


def upright(face: FacePoints) -> np.ndarray:
    """(478, 3) points turned back to an upright head that looks at the viewer: x right, y up, z to the
    viewer."""
    camera = face.points * (1.0, -1.0, -1.0)
    return camera @ face.rotation  # rows: R^T p


def shape_labels(face: FacePoints) -> dict[str, float]:
    """The numbers of `SHAPE_LABELS`: degrees, blendshape scores, and lengths as shares of other lengths.

    Lengths are taken on the upright head, so that turning it changes none. yaw is positive where the head
    turns to the picture's right, pitch where it looks up, roll where it tilts to the picture's left; gaze is
    positive to the picture's right, wink where the person's left eye is shut, brow_tilt where the inner ends
    are up.
    """
    q = upright(face)
    r = face.rotation
    height, eyes = _length(q, FOREHEAD, NOSE_BASE), _length(q, 33, 263)
    both = face.blendshapes
    return {
        "yaw": float(np.degrees(np.arctan2(r[0, 2], r[2, 2]))),
        "pitch": float(np.degrees(np.arcsin(np.clip(r[1, 2], -1, 1)))),
        "roll": float(np.degrees(np.arctan2(r[1, 0], r[1, 1]))),
        "smile": _mean(both, "mouthSmile"),
        "squint": _mean(both, "eyeSquint"),
        "pucker": both["mouthPucker"],
        "eyes_open": float(np.mean([_opening(q, *LIDS[side]) for side in LIDS])),
        "mouth_open": _length(q, 13, 14) / height,
        "mouth_width": _length(q, 61, 291) / eyes,
        "lips": (_length(q, 0, 13) + _length(q, 14, 17)) / height,
        "gaze": float(np.mean([_gaze(q, side) for side in LIDS])),
        "gaze_up": _mean(both, "eyeLookUp") - _mean(both, "eyeLookDown"),
        "brows": float(q[BROWS, 1].mean() - q[EYE_CORNERS, 1].mean()) / height,
        "frown": _mean(both, "browDown"),
        # Against breadth and height at once: neither wide-set eyes nor a high forehead is a narrow face.
        "face_width": _length(q, 234, 454) / float(np.sqrt(eyes * height)),
        "jaw_width": _length(q, 172, 397) / eyes,
        "nose_width": _length(q, 129, 358) / eyes,
        "nose_length": _length(q, 168, NOSE_BASE) / height,
        "surprise": (both["browInnerUp"] + _mean(both, "browOuterUp") + _mean(both, "eyeWide")) / 3,
        "sad": _mean(both, "mouthFrown"),
        "sneer": _mean(both, "noseSneer"),
        "wink": both["eyeBlinkLeft"] - both["eyeBlinkRight"],
        "eye_size": (_length(q, 33, 133) + _length(q, 362, 263)) / 2 / height,
        "eye_distance": _length(q, 133, 362) / eyes,
        "brow_tilt": _rise(q, BROW_ENDS["outer"], BROW_ENDS["inner"]) / height,
        "cheekbones": _length(q, 123, 352) / _length(q, 172, 397),
        "chin": _length(q, 17, 152) / height,
        "philtrum": _length(q, NOSE_BASE, 0) / height,
    }


def _mean(blendshapes: dict[str, float], name: str) -> float:
    return (blendshapes[f"{name}Left"] + blendshapes[f"{name}Right"]) / 2


def _rise(points: np.ndarray, low: tuple[int, ...], high: tuple[int, ...]) -> float:
    """How far the second points' middle is above the first ones'."""
    return float(points[list(high), 1].mean() - points[list(low), 1].mean())


def _length(points: np.ndarray, a: int, b: int) -> float:
    return float(np.linalg.norm(points[a] - points[b]))


def _opening(points: np.ndarray, lids: tuple[tuple[int, int], ...], corners: tuple[int, int]) -> float:
    """The eye aspect ratio (Soukupova and Cech 2016): mean opening as a share of the eye's width."""
    return float(np.mean([_length(points, *pair) for pair in lids])) / _length(points, *corners)


def _gaze(points: np.ndarray, side: str) -> float:
    """Where the iris stands between the corners of its eye: -.5 at the picture's left, .5 at its right."""
    left, right = points[list(LIDS[side][1])]
    iris = points[IRISES[side]]
    along = right - left
    return float((iris - left) @ along / (along @ along) - 0.5)
