"""A part of a photo, and which of its faces are in it."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import BadRequest
from core.faces.alignment import Face
from core.images import Photo
from core.pictures.native import Box

# Of the shorter side, in pixels of the file: a smaller part holds no face that is worth an edit.
MIN_SIDE = 64


@dataclass(frozen=True, eq=False)
class Crop:
    """photo: the part; faces: those in it, in its pixels; numbers: theirs in the photo, None: it had none."""

    photo: Photo
    faces: tuple[Face, ...]
    numbers: tuple[int | None, ...]

    def as_found(self, found: Sequence[Face]) -> "Crop":
        """Its faces numbered as a detector finds them in the part, those of the photo as they are known.

        Who opens one of them by its number then gets that face; one that is not found comes last.
        """
        left, faces, numbers = [*range(len(self.faces))], [], []
        for face in found:
            same = next((known for known in left if _same(self.faces[known], face)), None)
            faces.append(face if same is None else self.faces[same])
            numbers.append(None if same is None else self.numbers[same])
            if same is not None:
                left.remove(same)
        faces += [self.faces[known] for known in left]
        numbers += [self.numbers[known] for known in left]
        return Crop(self.photo, tuple(faces), tuple(numbers))


def _same(one: Face, other: Face) -> bool:
    """Whether each has the other's middle in its box."""
    left, top, right, bottom = np.transpose([one.box, other.box])  # (2,) each
    x, y = ((left + right) / 2)[::-1], ((top + bottom) / 2)[::-1]
    return bool(((left <= x) & (x <= right) & (top <= y) & (y <= bottom)).all())


def cropped(photo: Photo, faces: Sequence[Face], box: Box) -> Crop:
    """The part in a box of `photo.size`; faces: of the photo, in its pixels.

    A face that is cut is none of the part's: of its 68 landmarks, none that the photo shows may be outside.
    Raises: BadRequest where the box is not in the photo, is too small, or holds no face.
    """
    left, top, right, bottom = box
    width, height = photo.size
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise BadRequest("That crop does not lie in the photo; draw it anew.")
    if min(right - left, bottom - top) < MIN_SIDE:
        raise BadRequest(f"A crop has at least {MIN_SIDE} pixels on each side; make it larger.")
    part = photo.cropped(box)
    moved = [_moved(face, photo, part, (left, top)) for face in faces]
    whole = [
        number
        for number, (before, after) in enumerate(zip(faces, moved, strict=True))
        if not (_shown(before, photo) & ~_shown(after, part)).any()
    ]
    if not whole:
        raise BadRequest("No face is whole in this crop; leave at least one of them in it.")
    return Crop(part, tuple(moved[number] for number in whole), tuple(whole))


def _moved(face: Face, photo: Photo, part: Photo, corner: tuple[int, int]) -> Face:
    """In pixels of the part's, which begins at `corner` of the original."""
    # What is worked on may be smaller than the file, the part less so. Pixel centres lie at integers, so a
    # picture's corner is at -1/2.
    smaller, larger = _scale(photo), _scale(part)
    landmarks = ((face.landmarks + 0.5) / smaller - corner) * larger - 0.5
    left, top, right, bottom = (
        round(float((edge / scale - start) * again))
        for edge, scale, start, again in zip(face.box, [*smaller] * 2, corner * 2, [*larger] * 2, strict=True)
    )
    return dataclasses.replace(face, box=(left, top, right, bottom), landmarks=landmarks.astype(np.float32))


def _scale(photo: Photo) -> np.ndarray:
    """(2,): how large it is worked on, across and down, for its original."""
    return np.divide(photo.pixels.shape[1::-1], photo.size)


def _shown(face: Face, photo: Photo) -> np.ndarray:
    """(68,) bool: which landmarks lie in the photo."""
    inside = (face.landmarks >= -0.5) & (face.landmarks < np.subtract(photo.pixels.shape[1::-1], 0.5))
    return np.all(inside, axis=1)
