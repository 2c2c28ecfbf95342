"""Faces in a photo: detect, 68 landmarks, cut the oriented square.

Images here are HWC uint8 RGB, [0, 255]; coordinates are (x, y) in photo pixels.
"""

import functools
import importlib.util
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import dlib
import numpy as np

from core.config import AlignmentTemplate

# Detection runs on a copy with this longest side: HOG at 640 px still finds faces of about 80 px
# there, and costs a quarter of what a 1200 px photo would.
DETECTION_SIDE = 640
# The second look, when that found nothing; still bounded, as HOG takes seconds on 40 megapixels.
THOROUGH_SIDE = 2000
MAX_FACES = 20
# Beside a better one, a detection scored lower than this is a pattern in the clothes; alone it is kept,
# since true faces go down to zero.
WEAK_SCORE = 0.2


@dataclass(frozen=True)
class Face:
    """box: (left, top, right, bottom); landmarks: (68, 2) float32, iBUG order; score: HOG's, above 0."""

    box: tuple[int, int, int, int]
    landmarks: np.ndarray
    score: float = 1.0

    @property
    def area(self) -> int:
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top)


@dataclass(frozen=True)
class CropTransform:
    """An oriented square: its centre, and the vector from there to the middle of its right side."""

    center: tuple[float, float]
    half_side: tuple[float, float]

    @property
    def side(self) -> float:
        """Side of the square in photo pixels."""
        return 2 * math.hypot(*self.half_side)

    def matrix(self, size: int) -> np.ndarray:
        """(2, 3) float64 affine map from photo to crop coordinates, for a crop of `size` pixels.

        Pixel centres lie at integers in both images (OpenCV's convention).
        """
        hx, hy = np.asarray(self.half_side) / np.hypot(*self.half_side)
        linear = (size / self.side) * np.array([[hx, hy], [-hy, hx]])
        offset = (size - 1) / 2 - linear @ np.asarray(self.center)
        return np.hstack([linear, offset[:, None]])


@functools.cache
def model_file(name: str) -> str:
    """Path of one of the model files that ship in the face_recognition_models package."""
    # The package's own accessors import pkg_resources, which new setuptools no longer have.
    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("face_recognition_models is not installed; run pip install -r requirements.txt")
    return str(Path(spec.submodule_search_locations[0]) / "models" / name)


@functools.cache
def _detector() -> dlib.fhog_object_detector:
    return dlib.get_frontal_face_detector()


@functools.cache
def _landmark_model() -> dlib.shape_predictor:
    return dlib.shape_predictor(model_file("shape_predictor_68_face_landmarks.dat"))


def read_models() -> None:
    """Read the files that finding faces needs, most of a second, now rather than with the first photo."""
    _detector()
    _landmark_model()


def find_faces(photo: np.ndarray) -> tuple[Face, ...]:
    """All faces that dlib's HOG detector finds, largest first, at most MAX_FACES; `finding` asks further.

    photo: HWC uint8 RGB. A large photo is searched in a reduced copy first, a small one enlarged; (nearly)
    as it is only if nothing was found there, so that neither small faces nor very close ones are lost.
    """
    side = max(photo.shape[:2])
    # Faces under 80 px need one upsampling; it is cheap exactly when the picture is small.
    boxes = _detect(photo, min(1.0, DETECTION_SIDE / side), upsample=int(side <= 400))
    boxes = boxes or _detect(photo, min(1.0, THOROUGH_SIDE / side), upsample=0)
    faces = [Face(box, find_landmarks(photo, box), score) for box, score in boxes]
    return tuple(sorted(faces, key=lambda face: -face.area)[:MAX_FACES])


def _detect(photo: np.ndarray, scale: float, upsample: int) -> list[tuple[tuple[int, int, int, int], float]]:
    if scale < 1.0:
        small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    else:
        small = photo
    found, scores, _ = _detector().run(np.ascontiguousarray(small), upsample)
    return [
        (
            (
                round(r.left() / scale),
                round(r.top() / scale),
                round(r.right() / scale),
                round(r.bottom() / scale),
            ),
            float(score),
        )
        for r, score in zip(found, scores, strict=True)
        if score >= min(WEAK_SCORE, max(scores))
    ]


def find_landmarks(photo: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """(68, 2) float32 landmarks of the face inside `box`; photo: HWC uint8 RGB."""
    shape = _landmark_model()(np.ascontiguousarray(photo), dlib.rectangle(*box))
    return np.array([(p.x, p.y) for p in shape.parts()], dtype=np.float32)


def crop_transform(landmarks: np.ndarray, template: AlignmentTemplate) -> CropTransform:
    """FFHQ's oriented square (Karras et al. 2019), scaled and moved as `template` says.

    landmarks: (68, 2), iBUG order.
    """
    mouth = (landmarks[48] + landmarks[54]) / 2
    return oriented_square(landmarks[36:42].mean(0), landmarks[42:48].mean(0), mouth, template)


def oriented_square(
    eye_left: np.ndarray, eye_right: np.ndarray, mouth: np.ndarray, template: AlignmentTemplate
) -> CropTransform:
    """The same from three points (2,): the eyes' middles, left as the viewer sees them, and the mouth's."""
    eyes = (eye_left + eye_right) / 2
    eye_to_eye = eye_right - eye_left
    eye_to_mouth = mouth - eyes
    axis = eye_to_eye - eye_to_mouth[::-1] * (-1, 1)
    axis = axis / np.hypot(*axis)
    axis = axis * max(np.hypot(*eye_to_eye) * 2.0, np.hypot(*eye_to_mouth) * 1.8) * template.scale
    center = eyes + eye_to_mouth * template.shift
    return CropTransform((float(center[0]), float(center[1])), (float(axis[0]), float(axis[1])))


def crop(
    photo: np.ndarray, transform: CropTransform, size: int, beyond: int = cv2.BORDER_REFLECT
) -> np.ndarray:
    """The square, resampled to (size, size, 3) uint8; beyond the photo's edge it is reflected.

    beyond: what there is otherwise, as OpenCV names it.
    """
    # Warp at an integer multiple near the photo's own resolution, then average: no aliasing.
    factor = max(1, min(8, math.ceil(transform.side / size)))
    matrix = transform.matrix(size * factor)
    warped = cv2.warpAffine(
        photo,
        matrix,
        (size * factor, size * factor),
        flags=cv2.INTER_CUBIC if factor == 1 else cv2.INTER_LINEAR,
        borderMode=beyond,
    )
    return warped if factor == 1 else cv2.resize(warped, (size, size), interpolation=cv2.INTER_AREA)


def to_crop(points: np.ndarray, transform: CropTransform, size: int) -> np.ndarray:
    """Photo coordinates (..., 2) in a crop of `size` pixels."""
    matrix = transform.matrix(size)
    return (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def to_photo(points: np.ndarray, transform: CropTransform, size: int) -> np.ndarray:
    """The way back: coordinates (..., 2) in a crop of `size` pixels, in the photo; float64."""
    matrix = transform.matrix(size)
    back: np.ndarray = (points - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    return back
