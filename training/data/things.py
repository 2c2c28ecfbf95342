"""Things drawn before aligned faces: hands, arms, cups, telephones, masks, other people; and where they are.

What they look like matters less than that they are no part of the face they cover: they take their colours
from its skin, from another's, or from anywhere, their grain from other photos, and their light and shadow
from chance.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from core.models.face_parser import CLASSES
from training.data.aligned import AlignedFace

# Landmarks: outline, all of the mouth, nose; what a thing's middle is close to.
OUTLINE, MOUTH, NOSE = range(17), range(48, 68), range(27, 36)
SOMEBODY = tuple(CLASSES.index(name) for name in ("skin", "nose", "hair", "neck", "left ear", "right ear"))
# How often another head is the thing, where its mask is known; and how often a thing casts a shadow.
SOMEBODY_SHARE, SHADOWS = 0.12, 0.6

# A face to a shape before it, (S, S) float32 in [0, 1].
Shape = Callable[[np.random.Generator, AlignedFace], np.ndarray]


@dataclass(frozen=True, eq=False)
class Other:
    """Another face, and what a parser's mask (S, S) says of it, where there is one."""

    face: AlignedFace
    mask: np.ndarray | None


def covered(face: AlignedFace, other: Other, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The face's crop with a thing before it, (S, S, 3) uint8, and where that is, (S, S) bool."""
    crop = face.crop.astype(np.float32)
    if other.mask is not None and random.random() < SOMEBODY_SHARE:
        shape, colours = somebody(other, random)
    else:
        draw = SHAPES[int(random.choice(len(SHAPES), p=CHANCES))]
        shape = draw(random, face)
        skin = random.random() < (0.8 if draw in (hand, arm) else 0.25)
        colours = _colours(shape, face, other.face, skin, random)
    if random.random() < SHADOWS:
        shift = np.array([[1, 0, random.uniform(-8, 8)], [0, 1, random.uniform(-4, 10)]])
        fallen = cv2.warpAffine(shape, shift, shape.shape[::-1])
        fallen = cv2.GaussianBlur(fallen, (0, 0), random.uniform(2, 9))
        crop *= 1 - random.uniform(0.05, 0.4) * fallen[:, :, None]
    alpha = cv2.GaussianBlur(shape, (0, 0), random.uniform(0.4, 1.3))[:, :, None]
    return np.rint(crop + alpha * (colours - crop)).clip(0, 255).astype(np.uint8), shape > 0.5


def hand(random: np.random.Generator, face: AlignedFace) -> np.ndarray:
    """A palm with fingers, spread or closed, from anywhere."""
    shape, unit = _canvas(face)
    along, across = _axes(random)
    middle, size = _place(random, face), unit * random.uniform(0.35, 0.8)
    width = size * random.uniform(0.75, 1.1)
    palm = ((-1, -0.8), (-1, 0.8), (0.6, 1), (0.6, -1))
    corners = [middle + a * size * along + b * width * across for a, b in palm]
    shape = np.maximum(shape, _rounded(np.array(corners), size * 0.3, shape.shape))
    count, spread = int(random.integers(2, 6)), random.uniform(0, 0.25)
    for i in range(count):
        at = -0.8 + 1.6 * (i / max(count - 1, 1))
        lean = along + at * spread * across
        begin = middle + 0.4 * size * along + at * width * across
        bent = random.uniform(0.6, 1.5) * size
        _line(shape, begin, begin + bent * lean, size * random.uniform(0.2, 0.28))
    if random.random() < 0.6:
        side = random.choice([-1, 1])
        begin = middle - 0.4 * size * along + side * width * across
        _line(
            shape, begin, begin + size * (0.5 * along + side * random.uniform(0.2, 0.8) * across), size * 0.24
        )
    if random.random() < 0.4:
        _line(shape, middle - 0.8 * size * along, middle - 6 * size * along, width * random.uniform(0.6, 0.8))
    return shape


def arm(random: np.random.Generator, face: AlignedFace) -> np.ndarray:
    """One or two thick strokes through a place of the face."""
    shape, unit = _canvas(face)
    along, across = _axes(random)
    middle, width = _place(random, face), unit * random.uniform(0.12, 0.6)
    for i in range(int(random.integers(1, 4))):
        begin = middle + 2 * i * width * across
        _line(shape, begin + unit * random.uniform(0, 0.8) * along, begin - unit * 4 * along, width)
    return shape


def plain(random: np.random.Generator, face: AlignedFace) -> np.ndarray:
    """An ellipse, a box, a cup, or any polygon; some with a handle."""
    shape, unit = _canvas(face)
    along, across = _axes(random)
    middle, size = _place(random, face), unit * random.uniform(0.2, 1.0)
    count = int(random.integers(3, 9))
    if random.random() < 0.5:
        angle = np.sort(random.uniform(0, 2 * np.pi, count))
        rays = np.stack([np.cos(angle), np.sin(angle)], 1)
        corners = middle + size * rays * random.uniform(0.6, 1.2, (count, 1))
    else:
        wide, narrow = random.uniform(0.4, 1, 2)
        cup = ((-1, -wide), (-1, wide), (1, narrow), (1, -narrow))
        corners = np.array([middle + size * (a * along + b * across) for a, b in cup])
    shape = np.maximum(shape, _rounded(corners, size * random.uniform(0.01, 0.5), shape.shape))
    if random.random() < 0.4:
        _line(shape, middle, middle + 5 * size * along, size * random.uniform(0.15, 0.5))
    return shape


def mask(random: np.random.Generator, face: AlignedFace) -> np.ndarray:
    """Before mouth and nose, along the jaw."""
    shape, unit = _canvas(face)
    first = int(random.integers(2, 6))
    points = [*face.landmarks[first : 17 - first], face.landmarks[int(random.integers(28, 34))]]
    moved_points = np.array(points) + random.normal(0, 0.05 * unit, (len(points), 2))
    cv2.fillPoly(shape, [np.rint(moved_points * 16).astype(np.int32)], 1.0, shift=4)
    return shape


SHAPES: Sequence[Shape] = (hand, arm, plain, mask)
CHANCES = (0.5, 0.15, 0.25, 0.1)


def somebody(other: Other, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Another head, beside and before: its shape and colours, (S, S) and (S, S, 3) float32."""
    assert other.mask is not None
    side = len(other.mask)
    middle = (side - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), random.uniform(-60, 60), random.uniform(0.6, 1.3))
    angle, reach = random.uniform(0, 2 * np.pi), random.uniform(0.35, 0.65) * side
    matrix[:, 2] = matrix[:, 2] + reach * np.array([np.cos(angle), np.sin(angle)])
    shape = cv2.warpAffine(np.isin(other.mask, SOMEBODY).astype(np.float32), matrix, (side, side))
    crop = other.face.crop.astype(np.float32)
    return shape, cv2.warpAffine(crop, matrix, (side, side), borderMode=cv2.BORDER_REFLECT)


def _canvas(face: AlignedFace) -> tuple[np.ndarray, float]:
    """Nothing yet, (S, S) float32; and the distance from the eyes to the mouth."""
    points = face.landmarks
    unit = np.hypot(*(points[36:48].mean(0) - points[48:68].mean(0)))
    return np.zeros(face.crop.shape[:2], np.float32), float(unit)


def _axes(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    angle = random.uniform(0, 2 * np.pi)
    along = np.array([np.cos(angle), np.sin(angle)])
    return along, np.array([-along[1], along[0]])


def _place(random: np.random.Generator, face: AlignedFace) -> np.ndarray:
    """Near the outline, rather outside of it, or at mouth or nose, or anywhere."""
    points, (_, unit) = face.landmarks, _canvas(face)
    middle = points.mean(0)
    at = points[int(random.choice([*OUTLINE, *OUTLINE, *MOUTH, *NOSE[:5]]))]
    out = at + random.uniform(-0.2, 0.3) * (at - middle)
    return np.asarray(out + random.normal(0, 0.2 * unit, 2))


def _rounded(corners: np.ndarray, radius: float, size: tuple[int, ...]) -> np.ndarray:
    """(S, S) float32: a polygon with round corners."""
    drawn = np.zeros(size, np.uint8)
    cv2.fillPoly(drawn, [np.rint(corners).astype(np.int32)], 1)
    edge = 2 * max(0, round(radius / 2)) + 1
    round_edge = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (edge, edge))
    return cv2.dilate(cv2.morphologyEx(drawn, cv2.MORPH_OPEN, round_edge), round_edge).astype(np.float32)


def _line(shape: np.ndarray, begin: np.ndarray, end: np.ndarray, radius: float) -> None:
    """Drawn into a shape (S, S) with round ends."""
    points = [tuple(int(v) for v in np.rint(point * 16)) for point in (begin, end)]
    cv2.line(shape, points[0], points[1], 1.0, max(2, round(2 * radius)), cv2.LINE_8, 4)


def _colours(
    shape: np.ndarray, face: AlignedFace, other: AlignedFace, skin: bool, random: np.random.Generator
) -> np.ndarray:
    """(S, S, 3) float32 of one thing: its colour, grain of the other photo, shading, creases."""
    side, colour = len(shape), random.uniform(5, 250, 3 if random.random() < 0.7 else 1)
    if skin:
        whose = face if random.random() < 0.7 else other
        tint = np.exp(random.normal(0, 0.12) + random.normal(0, 0.05, 3))
        colour = np.median(whose.crop[_cheeks(whose)], axis=0) * tint
    picture = np.broadcast_to(colour, (side, side, 3)).astype(np.float32)
    if random.random() < (0.6 if skin else 0.3):
        grain = _piece(other.crop[_box(other)] if skin else other.crop, side, random)
        picture = picture + random.uniform(0.3, 1.0) * (grain - grain.mean((0, 1)))
    inside = cv2.distanceTransform((shape > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    edge = np.exp(-inside / random.uniform(1, 12)) * random.uniform(0, 0.5)
    coarse = random.normal(0, 1, (4, 4)).astype(np.float32)
    uneven = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    light = (1 - edge) * np.exp(random.uniform(0, 0.25) * uneven)
    if random.random() < 0.5:
        for _ in range(int(random.integers(1, 6))):
            _crease(light, inside, random)
    return np.asarray(picture * light[:, :, None], np.float32)


def _crease(light: np.ndarray, inside: np.ndarray, random: np.random.Generator) -> None:
    """A darker line somewhere on the thing, drawn into its light (S, S)."""
    y, x = np.nonzero(inside > 1)
    if len(y) == 0:
        return
    at, (along, _) = int(random.integers(len(y))), _axes(random)
    end = np.array([x[at], y[at]]) + along * random.uniform(8, 50)
    drawn = np.zeros_like(light)
    cv2.line(drawn, (int(x[at]), int(y[at])), (int(end[0]), int(end[1])), 1.0, int(random.integers(1, 3)))
    light *= 1 - random.uniform(0.1, 0.5) * cv2.GaussianBlur(drawn, (0, 0), random.uniform(0.5, 1.5))


def _piece(picture: np.ndarray, side: int, random: np.random.Generator) -> np.ndarray:
    """A square of a picture, enlarged to (side, side, 3) float32."""
    size = int(min(picture.shape[:2]) * random.uniform(0.5, 1))
    y, x = (int(random.integers(0, n - size + 1)) for n in picture.shape[:2])
    cut = picture[y : y + size, x : x + size]
    return cv2.resize(cut, (side, side), interpolation=cv2.INTER_CUBIC).astype(np.float32)


def _cheeks(face: AlignedFace) -> np.ndarray:
    """(S, S) bool: between outline, eyes and mouth."""
    drawn = np.zeros(face.crop.shape[:2], np.uint8)
    for corners in ((2, 36, 31, 48), (14, 45, 35, 54)):
        cv2.fillConvexPoly(drawn, np.rint(face.landmarks[list(corners)]).astype(np.int32), 1)
    return np.asarray(drawn > 0) if drawn.any() else np.ones(drawn.shape, bool)


def _box(face: AlignedFace) -> tuple[slice, slice]:
    """Rows and columns of the middle of the face."""
    (left, top), (right, bottom) = (np.clip(v, 0, len(face.crop)).astype(int) for v in _ends(face))
    return slice(top, max(bottom, top + 16)), slice(left, max(right, left + 16))


def _ends(face: AlignedFace) -> tuple[np.ndarray, np.ndarray]:
    points = face.landmarks[[1, 2, 3, 13, 14, 15, 31, 35]]
    return points.min(0), points.max(0)
