"""Which detector finds turned, small, covered, cut and dark faces, and how often does it see one in none?

    python -m training.judging.finding --faces FACES [--per-source 10] [--detectors hog,yunet,search]

FACES: `training.data.aligned`. Each face is spoilt in every way of SPOILT. A find is right where its 68
landmarks lie within WITHIN of the table's on average, moved as the picture was; any other one is wrong.
Clothes, hair and walls beside the face are pictures without one: every find in them is false. "hog" is
the first look, "yunet" the second one alone, "search" what the product does.
"""

import argparse
import functools
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from core.faces import alignment, finding
from core.faces.alignment import Face
from training.data.aligned import AlignedFace, AlignedFaces
from training.judging.tables import number, percent, table

# Of the distance between the eyes.
WITHIN = 0.2
# A face of FFHQ's crop of 256 px stands in a picture of this side, and a small one in one of that.
CANVAS, WALL = 384, (640, 480)

Detect = Callable[[np.ndarray], Sequence[Face]]


@dataclass(frozen=True, eq=False)
class Spoilt:
    """picture: (H, W, 3) uint8; landmarks: (68, 2) in its pixels, None where it shows no face."""

    picture: np.ndarray
    landmarks: np.ndarray | None


def moved(face: AlignedFace, matrix: np.ndarray, size: tuple[int, int], border: int) -> Spoilt:
    """By a (2, 3) matrix into a picture of so many (columns, rows)."""
    picture = cv2.warpAffine(
        face.crop, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border, borderValue=(128, 128, 128)
    )
    return Spoilt(picture, face.landmarks @ matrix[:, :2].T + matrix[:, 2])


def turned(degrees: float, face: AlignedFace) -> Spoilt:
    """Counterclockwise around the crop's middle, in a canvas on which its edges are drawn out."""
    middle = (len(face.crop) - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), degrees, 1.0)
    matrix[:, 2] = matrix[:, 2] + ((CANVAS - 1) / 2 - middle)
    return moved(face, matrix, (CANVAS, CANVAS), cv2.BORDER_REPLICATE)


def shrunk(width: float, face: AlignedFace) -> Spoilt:
    """To a face so many px wide from ear to ear, before a grey wall."""
    scale = width / float(np.ptp(face.landmarks[:17, 0]))
    side = round(scale * len(face.crop))
    small = cv2.resize(face.crop, (side, side), interpolation=cv2.INTER_AREA)
    matrix = np.array([[1.0, 0.0, (WALL[0] - side) // 2], [0.0, 1.0, (WALL[1] - side) // 2]])
    points = (face.landmarks + 0.5) * (side / len(face.crop)) - 0.5
    return moved(AlignedFace(face.name, small, points, face.labels), matrix, WALL, cv2.BORDER_CONSTANT)


def covered(what: str, face: AlignedFace) -> Spoilt:
    """Something grey before the lower half, or before one eye."""
    upright = turned(0, face)
    assert upright.landmarks is not None
    picture, points = upright.picture.copy(), upright.landmarks
    left, (right, bottom) = points[:, 0].min(), points.max(0)
    reach = float(np.hypot(*(points[36:42].mean(0) - points[42:48].mean(0))))
    if what == "mouth":
        corners = np.array([(left, points[33, 1]), (right, bottom + reach / 3)]).astype(int).tolist()
        cv2.rectangle(picture, corners[0], corners[1], (150, 165, 175), -1)
    else:
        x, y = points[36:42].mean(0).astype(int).tolist()
        cv2.circle(picture, (x, y), round(0.45 * reach), (60, 60, 60), -1)
    return Spoilt(picture, points)


def cut(what: str, face: AlignedFace) -> Spoilt:
    """By the frame: at an eye, below the mouth, or so tightly that the face fills it."""
    points = face.landmarks
    left, top, right, bottom = 0.0, 0.0, float(len(face.crop)), float(len(face.crop))
    if what == "left":
        left = points[36:42, 0].mean()
    elif what == "right":
        right = points[42:48, 0].mean()
    elif what == "bottom":
        bottom = points[48:68, 1].max() + 2
    else:
        (left, top), (right, bottom) = points[17:68].min(0) - 4, points[:, :].max(0) - 4
    x, y = max(0, round(left)), max(0, round(top))
    return Spoilt(face.crop[y : round(bottom), x : round(right)], points - (x, y))


def dark(how: str, face: AlignedFace) -> Spoilt:
    """As 12 bits that were taken for 16, or a fifth of the light (sRGB's curve taken as a power of 2.2)."""
    upright = turned(0, face)
    if how == "12 bit":
        return Spoilt(upright.picture // 16, upright.landmarks)
    return Spoilt((upright.picture * 0.2 ** (1 / 2.2)).astype(np.uint8), upright.landmarks)


SPOILT: dict[str, Callable[[AlignedFace], Spoilt]] = {
    **{f"turned by {d}": functools.partial(turned, d) for d in (0, 15, 30, 45, 60, 90, 180, 270)},
    **{f"{w} px wide": functools.partial(shrunk, w) for w in (24, 32, 48, 64, 80)},
    "lower half covered": functools.partial(covered, "mouth"),
    "one eye covered": functools.partial(covered, "eye"),
    **{f"cut: {what}": functools.partial(cut, what) for what in ("left", "right", "bottom", "tight")},
    **{f"dark: {how}": functools.partial(dark, how) for how in ("a fifth", "12 bit")},
}


def faceless(face: AlignedFace) -> list[Spoilt]:
    """What lies below the chin, and left and right of the ears, enlarged twice; strips of 16 px at least."""
    (left, _), (right, bottom) = face.landmarks.min(0).astype(int), face.landmarks.max(0).astype(int)
    strips = face.crop[bottom + 8 :], face.crop[:, : max(0, left - 8)], face.crop[:, right + 8 :]
    return [
        Spoilt(cv2.resize(strip, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC), None)
        for strip in strips
        if min(strip.shape[:2]) >= 16
    ]


def error(found: np.ndarray, spoilt: Spoilt) -> float:
    """Mean distance of the landmarks inside the picture over that between the eyes; without a face, inf."""
    truth = spoilt.landmarks
    if truth is None:
        return float("inf")
    height, width = spoilt.picture.shape[:2]
    inside = ((truth >= 0) & (truth < (width, height))).all(1)
    apart = np.hypot(*(truth[36:42].mean(0) - truth[42:48].mean(0)))
    return float(np.hypot(*(found - truth)[inside].T).mean() / apart)


DETECTORS: dict[str, Detect] = {
    "hog": alignment.find_faces,
    "yunet": finding.second_look,
    "search": finding.search,
}


@dataclass(frozen=True)
class Score:
    """Of one detector on pictures of one kind; errors: of those found rightly."""

    pictures: int
    errors: tuple[float, ...]
    wrong: int
    seconds: float

    def cell(self) -> str:
        """Share found rightly, median error, pictures with a wrong find."""
        middle = statistics.median(self.errors) if self.errors else None
        return f"{percent(len(self.errors) / self.pictures)}, {number(middle)}, {self.wrong}"


def score(detect: Detect, pictures: Sequence[Spoilt]) -> Score:
    """How often the face is among the finds, and how often something is that is none."""
    errors, wrong, began = [], 0, time.perf_counter()
    for spoilt in pictures:
        found = [error(face.landmarks, spoilt) for face in detect(spoilt.picture)]
        right = [e for e in found if e <= WITHIN]
        errors += sorted(right)[:1]
        wrong += len(found) > len(right)
    return Score(len(pictures), tuple(errors), wrong, time.perf_counter() - began)


def main(argv: Sequence[str] | None = None) -> None:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="python -m training.judging.finding", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--faces", type=Path, required=True, help="faces256.tar or its folder")
    parser.add_argument(
        "--per-source", type=int, default=10, metavar="N", help="test faces of every source (10)"
    )
    parser.add_argument("--detectors", default=",".join(DETECTORS), help="some of %(default)s")
    args = parser.parse_args(argv)
    names = args.detectors.split(",")
    table_of_faces = AlignedFaces.open(args.faces)
    faces = [table_of_faces[name] for name in table_of_faces.first(args.per_source)]
    kinds = {kind: [spoil(face) for face in faces] for kind, spoil in SPOILT.items()}
    kinds["no face"] = [strip for face in faces for strip in faceless(face)]
    rows, spent = [], dict.fromkeys(names, 0.0)
    for kind, pictures in kinds.items():
        scores = {name: score(DETECTORS[name], pictures) for name in names}
        rows.append((f"{kind} ({len(pictures)})", *(scores[name].cell() for name in names)))
        for name in names:
            spent[name] += scores[name].seconds
    total = sum(map(len, kinds.values()))
    rows.append(("ms a picture", *(number(1000 * spent[name] / total, 0) for name in names)))
    print("Found rightly, median error of these, pictures with a wrong find:\n")
    print(table(("pictures", *names), rows))


if __name__ == "__main__":
    main()
