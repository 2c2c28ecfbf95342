"""Things before a face stay what they are: cup, microphone, hand, mask, telephone, sunglasses.

Most of them are found by a network that was shown such things (`core.models.cover_finder`), hands and arms of
the face's own colour among them. A parser that knows faces says "skin" of many. What tells then is what it
misses: a mouth that shows no upper lip where the model, which paints faces alone, has one, and eyes behind
dark glass. With a hidden mouth all that is below the nose's tip is held. Where the parser sees clothes, wall
or a hat in the middle of a face, that is held too, with what is joined to it and unlike the model's picture.

Of 700 published faces two moustaches show as little of a lip; the model's pictures of them do not show LOST
more.

Fields are (SIDE, SIDE) of the crop; lengths are in their pixels.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from core.faces.kinds import Kind
from core.paste.detail import reduced, smooth_step, soft
from core.paste.motion import mean_square

# As the parser's pictures.
SIDE = 256
# Pixels of upper lip up to which none is seen, and by how many more the model's face must have.
LIP, LOST = 70, 125
# Pixels of eyes below which none is seen, and of glasses from which on they may hide them; light of what is
# there, as a share of the skin's, below which they do.
EYES, GLASSES, GLASS = 60, 1500, 0.25
# A lens is looked at that far around an eye's middle.
LENS = 6
# From the nose's tip the hold fades upwards within so much of the distance from the eyes to the mouth.
FADE = 0.25
# Thinner than this a strange kind in a face is an outline's mood.
THICK = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
# That far around a thing nothing changes, and over how much more it begins to (sigma).
AROUND, SOFT = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (11, 11)), 1.5
INSIDE = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (15, 15))
# Grey levels from the model's picture, seen from away, from which on what is joined to a thing is the thing.
UNLIKE, AWAY = 25.0, 1.5
# How likely a pixel has to be of a thing; how likely so many pixels in the face or close to it, for any of
# them to be one. That close.
LIKELY, SURE, MANY = 0.3, 0.6, 250
CLOSE = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (51, 51))


@dataclass(frozen=True, eq=False)
class Covers:
    """What may lie before the face of a photo.

    thing: bool, of another kind than faces are, inside the face. seen: bool, what a finder of things saw.
    glass: bool, dark glasses. below: float32 in [0, 1], what is hidden if the mouth is; lip: how much of an
    upper lip is seen, pixels.
    """

    thing: np.ndarray
    seen: np.ndarray
    glass: np.ndarray
    below: np.ndarray
    lip: int

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """All that it holds."""
        return self.thing, self.seen, self.glass, self.below

    @property
    def doubtful(self) -> bool:
        """Whether the mouth may be hidden: the model's face will tell."""
        return self.lip <= LIP


def covers(
    crop: np.ndarray,
    landmarks: np.ndarray,
    kinds: np.ndarray,
    parts: dict[str, np.ndarray],
    likely: np.ndarray | None = None,
) -> Covers:
    """Of (SIDE, SIDE, 3) uint8 with landmarks (68, 2) in its pixels and its kinds.

    parts: where "upper lip" and "eyes" are, bool. likely: float32 in [0, 1], how likely each pixel is of a
    thing; None: nobody knows.
    """
    face = _inner(landmarks)
    light = crop.astype(np.float32).mean(axis=2) ** 2.2
    skin = light[face & (kinds == Kind.SKIN)]
    glass = np.zeros((SIDE, SIDE), bool)
    if parts["eyes"].sum() < EYES and (kinds == Kind.GLASSES).sum() > GLASSES and len(skin):
        middles = landmarks[36:42].mean(0), landmarks[42:48].mean(0)
        if all(_around(light, middle) < GLASS * np.median(skin) for middle in middles):
            closed = cv2.morphologyEx((kinds == Kind.GLASSES).astype(np.uint8), cv2.MORPH_CLOSE, THICK)
            glass = closed > 0
    high = np.arange(SIDE)[:, None] < landmarks[27, 1]
    strange = (kinds <= Kind.CLOTHES) | ((kinds == Kind.HAT) & ~high)
    thing = cv2.morphologyEx((strange & face).astype(np.uint8), cv2.MORPH_OPEN, THICK) > 0
    seen = np.zeros((SIDE, SIDE), bool)
    if likely is not None:
        # What is worn an edit may take off.
        worn = (kinds == Kind.GLASSES) | (kinds == Kind.HAT)
        seen = _seen(np.where(worn, 0, likely), cv2.dilate(_hull(landmarks), CLOSE) > 0)
    return Covers(thing, seen, glass, _below(landmarks), int(parts["upper lip"].sum()))


def covered(
    found: Covers,
    kinds: np.ndarray,
    crop: np.ndarray,
    base: np.ndarray,
    edited_kinds: np.ndarray,
    lip: int | None,
) -> np.ndarray | None:
    """(SIDE, SIDE) float32 in [0, 1]: 1 where nothing may change; None: nothing is covered.

    kinds, crop: the photo's, base: the model's picture of it, (S, S, 3) in 0..255. edited_kinds: of the edit,
    which may take glasses off. lip: pixels of the base's upper lip, None where nobody asked.
    """
    hold = np.zeros((SIDE, SIDE), np.float32)
    if found.glass.any() and 2 * (edited_kinds == Kind.GLASSES).sum() > found.glass.sum():
        hold = np.maximum(hold, _held(found.glass))
    if found.seen.any():
        hold = np.maximum(hold, _held(found.seen))
    if found.thing.any():
        hold = np.maximum(hold, _held(_grown(found.thing, kinds, crop, base)))
    if lip is not None and found.doubtful and lip - found.lip > LOST:
        hold = np.maximum(hold, found.below)
    return hold if hold.any() else None


def _seen(likely: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Things that are large and sure enough near a face (SIDE, SIDE) bool, whole."""
    count, parts = cv2.connectedComponents(
        cv2.morphologyEx((likely > LIKELY).astype(np.uint8), cv2.MORPH_OPEN, THICK)
    )
    sure = np.bincount(parts[(likely > SURE) & near], minlength=count)
    sure[0] = 0
    kept: np.ndarray = (sure >= MANY)[parts]
    return kept


def _grown(thing: np.ndarray, kinds: np.ndarray, crop: np.ndarray, base: np.ndarray) -> np.ndarray:
    """The thing with what is joined to it and clothes, or not what the base shows, (SIDE, SIDE) bool."""
    apart = np.sqrt(mean_square(soft(_small(crop) - _small(base), AWAY)))
    joined = cv2.connectedComponents(((apart > UNLIKE) | thing | (kinds == Kind.CLOTHES)).astype(np.uint8))[1]
    return np.isin(joined, np.unique(joined[thing]))


def _small(picture: np.ndarray) -> np.ndarray:
    small = reduced(picture)
    return small if len(small) == SIDE else cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)


def _held(where: np.ndarray) -> np.ndarray:
    """1 on it and close by, falling off."""
    wide = cv2.dilate(where.astype(np.float32), AROUND)
    return np.maximum(wide, soft(cv2.dilate(wide, AROUND), SOFT))


def _inner(landmarks: np.ndarray) -> np.ndarray:
    """(SIDE, SIDE) bool: well inside the outline of chin and brows."""
    return cv2.erode(_hull(landmarks), INSIDE) > 0


def _hull(landmarks: np.ndarray) -> np.ndarray:
    """(SIDE, SIDE) uint8, 1 within the outline of chin and brows."""
    inside = np.zeros((SIDE, SIDE), np.uint8)
    cv2.fillConvexPoly(inside, cv2.convexHull(np.rint(landmarks).astype(np.int32)), 1)
    return inside


def _below(landmarks: np.ndarray) -> np.ndarray:
    """1 below the nose's tip, along the face's own axis, falling to 0 above."""
    down = landmarks[48:68].mean(0) - landmarks[36:48].mean(0)
    unit = float(np.hypot(*down))
    y, x = np.mgrid[:SIDE, :SIDE]
    along = ((x - landmarks[30, 0]) * down[0] + (y - landmarks[30, 1]) * down[1]) / unit
    return smooth_step(1 + along / (FADE * unit)).astype(np.float32)


def _around(light: np.ndarray, middle: np.ndarray) -> float:
    """The median of (SIDE, SIDE) close to a point (2,)."""
    x, y = (int(np.clip(round(v), LENS, SIDE - LENS)) for v in middle)
    return float(np.median(light[y - LENS : y + LENS, x - LENS : x + LENS]))
