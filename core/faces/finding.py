"""The faces of a photo, numbered: what HOG finds; where that is nothing, what a second, slower look finds.

The second look asks YuNet: of the photo as it lies and turned by 90, 180 and 270 degrees, and then once more
with its edges continued, for faces that the frame cuts or that fill it. A dark photo is brightened for it.
Images here are HWC uint8 RGB, [0, 255]; coordinates are (x, y) in photo pixels.
"""

import dataclasses
import math

import cv2
import numpy as np

from core.config import AlignmentTemplate
from core.faces import alignment, yunet
from core.faces.alignment import MAX_FACES, CropTransform, Face, crop, oriented_square
from core.faces.yunet import Sighting

# The second look is at squares of these sides: in the larger one YuNet sees small faces, in the smaller one
# those that are too large for it there.
LARGEST_VIEW, SMALLEST_VIEW = 960, 320
# How far the views reach beyond the photo, as a share of its longest side: first not at all.
BORDERS = (0.0, 0.5)
# To the right, down, to the left, up: where a view's right side lies in the photo.
TURNS = ((1, 0), (0, 1), (-1, 0), (0, -1))
# A photo whose brightest hundredth is darker than this is multiplied until that reaches the second number.
DARK, LIT = 128, 220
# Where HOG's box lies around eyes and mouth, as dlib's landmarks expect it: fitted to what both find in
# upright faces.
HOG_BOX = AlignmentTemplate(scale=0.55, shift=0.35)
# dlib sees a face, and as much again on all sides, in a patch of this side.
PATCH = 400
# YuNet sees it again in the same patch, of such sides, as its points of a face that leans are rough.
SMALLEST_PATCH, LARGEST_PATCH = 96, 320
# Upright, faces that were covered, small or cut score above .86, patterns without one up to .75.
SURE = 0.8
# Finds of HOG that all score less may be chins of faces upside down; they stay where YuNet sees nothing.
DOUBTFUL = 0.3
# From how far on HOG's finds get landmarks of an upright patch: those of its own are right up to there.
LEANING = math.radians(20)
# And how much of HOG's box, as a share of its side, may lie beyond the photo before they do: dlib's of a face
# that the frame cuts slip into the half that is left.
CUT = 0.03
# Faces are about as large as the largest of them down to this share of its width: HOG's sizes lie 6/5 apart.
ALIKE = 0.75


def search(photo: np.ndarray) -> tuple[Face, ...]:
    """All faces, at most MAX_FACES, as `numbered`."""
    found = alignment.find_faces(photo)
    if all(face.score < DOUBTFUL for face in found):
        return numbered(second_look(photo) or found)
    return numbered(tuple(_put_right(photo, face) for face in found))


def _put_right(photo: np.ndarray, face: Face) -> Face:
    """A face of HOG's; its landmarks are found in an upright patch where dlib's do not follow it.

    That is where it leans, or the frame cuts it.
    """
    left, top, right, bottom = face.box
    height, width = photo.shape[:2]
    cut = max(-left, -top, right - width, bottom - height) > CUT * (right - left)
    around = CropTransform(((left + right) / 2, (top + bottom) / 2), (float(right - left), 0.0))
    seen = _look_at(photo, around)
    seen = None if seen is None else _seen_again(photo, seen)
    if seen is None or not (cut or abs(math.atan2(*_around(seen.points).half_side[::-1])) >= LEANING):
        return face
    return dataclasses.replace(face, landmarks=_face(photo, seen.points, 1.0).landmarks)


def numbered(faces: tuple[Face, ...]) -> tuple[Face, ...]:
    """The largest MAX_FACES, from large to small; those of about one size in reading order."""
    rest = sorted(faces, key=lambda face: -face.area)[:MAX_FACES]
    ordered: list[Face] = []
    while rest:
        alike = [face for face in rest if face.area >= ALIKE**2 * rest[0].area]
        ordered += _as_read(alike)
        rest = rest[len(alike) :]
    return tuple(ordered)


def _as_read(faces: list[Face]) -> list[Face]:
    """Rows from the top, each from left to right: what lies less than half a face below its first."""
    rest = sorted(faces, key=lambda face: _middle(face)[1])
    ordered: list[Face] = []
    while rest:
        _, top, _, bottom = rest[0].box
        row = [face for face in rest if _middle(face)[1] - _middle(rest[0])[1] < (bottom - top) / 2]
        ordered += sorted(row, key=lambda face: _middle(face)[0])
        rest = rest[len(row) :]
    return ordered


def _middle(face: Face) -> tuple[float, float]:
    left, top, right, bottom = face.box
    return (left + right) / 2, (top + bottom) / 2


def is_dark(photo: np.ndarray) -> bool:
    """Whether the second look has to brighten it."""
    return _gain(_reduced(photo)) > 1


def second_look(photo: np.ndarray) -> tuple[Face, ...]:
    """Faces that YuNet sees in the photo the way round in which it is surest of one, in no order."""
    copy = _reduced(photo)
    gain = _gain(copy)
    copy = _brightened(copy, gain)
    seen: list[Sighting] = []
    for border in BORDERS:
        seen = max((_seen(copy, turn, border) for turn in TURNS), key=_surest)
        if seen:
            break
    # Pixel centres lie at integers, so a picture's corner is at -1/2.
    ratio = np.array(photo.shape[1::-1]) / copy.shape[1::-1]
    return tuple(_face(photo, (sighting.points + 0.5) * ratio - 0.5, gain) for sighting in seen)


def _square(photo: np.ndarray, view: CropTransform, size: int) -> np.ndarray:
    """(size, size, 3): beyond the photo its edge goes on; a reflected face would be two."""
    return crop(photo, view, size, cv2.BORDER_REPLICATE)


def _reduced(photo: np.ndarray) -> np.ndarray:
    scale = LARGEST_VIEW / max(photo.shape[:2])
    return cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else photo


def _gain(photo: np.ndarray) -> float:
    """What a dark photo is multiplied by; 1 of any other."""
    light = float(np.percentile(photo.max(axis=2), 99))
    return LIT / max(light, 1.0) if light < DARK else 1.0


def _brightened(picture: np.ndarray, gain: float) -> np.ndarray:
    return cv2.convertScaleAbs(picture, alpha=gain) if gain > 1 else picture


def _surest(seen: list[Sighting]) -> float:
    return max((sighting.score for sighting in seen), default=0.0)


def _seen(copy: np.ndarray, turn: tuple[int, int], border: float) -> list[Sighting]:
    """Different faces in a view of the copy, in its pixels; without what continues beyond its edges."""
    height, width = copy.shape[:2]
    longest = max(height, width)
    half = longest * (1 + 2 * border) / 2
    view = CropTransform(((width - 1) / 2, (height - 1) / 2), (half * turn[0], half * turn[1]))
    found: list[Sighting] = []
    for size in sorted({max(SMALLEST_VIEW, min(longest, LARGEST_VIEW)), SMALLEST_VIEW}):
        for sighting in yunet.look(_square(copy, view, size)):
            points = alignment.to_photo(sighting.points, view, size)
            if ((points >= -0.5) & (points <= (width - 0.5, height - 0.5))).all(1).sum() >= 2:
                found.append(dataclasses.replace(sighting, points=points))
    again = (_seen_again(copy, sighting) for sighting in _different(found))
    return _different([sighting for sighting in again if sighting is not None])


def _around(points: np.ndarray) -> CropTransform:
    """The square of twice the side of HOG's box around YuNet's points (5, 2), turned as the face is."""
    box = oriented_square(points[0], points[1], points[3:].mean(0), HOG_BOX)
    return CropTransform(box.center, (2 * box.half_side[0], 2 * box.half_side[1]))


def _seen_again(copy: np.ndarray, sighting: Sighting) -> Sighting | None:
    """The face as YuNet sees it upright by its points, and again by those; None: it is hardly seen then."""
    for _ in range(2):
        again = _look_at(copy, _around(sighting.points))
        if again is None:
            return None
        sighting = again
    return sighting if sighting.score >= SURE else None


def _look_at(photo: np.ndarray, around: CropTransform) -> Sighting | None:
    """The surest face whose nose is in the middle half of a square, in the photo's pixels."""
    size = int(np.clip(around.side, SMALLEST_PATCH, LARGEST_PATCH))
    for seen in yunet.look(_square(photo, around, size)):
        if np.abs(seen.points[2] - (size - 1) / 2).max() < size / 4:
            return dataclasses.replace(seen, points=alignment.to_photo(seen.points, around, size))
    return None


def _different(found: list[Sighting]) -> list[Sighting]:
    """The surest sighting of each face: of the same face are noses less than eye to mouth apart."""
    kept: list[Sighting] = []
    for sighting in sorted(found, key=lambda sighting: -sighting.score):
        nose = sighting.points[2]
        if all(np.hypot(*(nose - k.points[2])) > np.hypot(*(k.eyes - k.mouth)) for k in kept):
            kept.append(sighting)
    return kept


def _face(photo: np.ndarray, points: np.ndarray, gain: float) -> Face:
    """dlib's landmarks in an upright patch around YuNet's points (5, 2), and an upright box in the photo."""
    around = _around(points)
    patch = _brightened(_square(photo, around, PATCH), gain)
    inner = (PATCH // 4, PATCH // 4, PATCH * 3 // 4, PATCH * 3 // 4)
    landmarks = alignment.to_photo(alignment.find_landmarks(patch, inner), around, PATCH)
    (x, y), half = around.center, around.side / 4
    edges = round(x - half), round(y - half), round(x + half), round(y + half)
    return Face(edges, landmarks.astype(np.float32))
