"""Where an edit shows another thing than the photo, the photo is let go: a ghost of its hair is no hair.

A face parser says of photo and edited picture what is where. Where hair, hat, glasses or skin came to lie on
something else, the rendering is shown, in the photo's colours; where the person gave way, the wall as it goes
on behind, which is the photo's own. What is background in both is none of this module's business.

Pictures are (S, S, 3) float32 in 0..255.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from core.faces.kinds import PERSON, Kind
from core.paste.detail import AWAY, COLOUR, Bands, People, enlarged, reduced, smooth_step, soft
from core.paste.laying import Layers
from core.paste.motion import LEAST, mean_around, mean_square, moved_nearest, scaled
from core.paste.scene import SIDE, WIDE, Scene, spread

# Lengths are in pixels of the analysis. A difference thinner than the first is an outline's own, one thicker
# than the second another thing, and what is let go begins that far beyond it.
THIN, THICK = 1.0, 3.0
BEYOND = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (11, 11))
# Single hairs, which no parser sees, are let go that far from the others.
FRIZZ = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (25, 25))
# A person ends that much farther out: an outline belongs to what it encloses.
RIM, SOFT = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)), 1.5
# A change of fewer grey levels, seen from away, is the parser's mood; from the second on it is the edit's. It
# has to exceed that share of what the model is off by: where it never showed the photo's thing, none is lost.
UNCHANGED, OFF = (6.0, 18.0), 0.5
# As far down, a share of the side, is a neck's outline its own; below, what the crop's border makes of it.
NECK = 0.86
# Grey levels between person and wall below which an outline is where the parser says.
ALIKE = 25.0


@dataclass(frozen=True, eq=False)
class Seen:
    """What a parser saw: the photo's scene, and the kinds (S, S) of the edited picture.

    covered: (S, S) in [0, 1], 1 where a thing lies before the face; None: nowhere.
    local: (S, S) float32 in [0, 1], smooth: outside it the edit changed nothing; None: it may have anywhere.
    """

    scene: Scene
    kinds: np.ndarray
    covered: np.ndarray | None = None
    local: np.ndarray | None = None

    @property
    def people(self) -> People:
        """Where photo and edited picture show the person."""
        return _outlined(self.scene.kinds), _outlined(self.kinds)

    def within(self, size: int) -> np.ndarray:
        """(size, size) float32: exactly 0 where the photo has to stay as it is, 1 not far from there."""
        if self.local is None:
            return np.ones((size, size), np.float32)
        # The change fades by `local` already: faded twice, its rim would be the photo's for the most part.
        return enlarged(np.minimum(2 * self.local, 1), size)


@dataclass(frozen=True, eq=False)
class Fresh:
    """The edited rendering in the photo's colours, before the photo's wall.

    layers: what is shown of it. share: (S, S) in [0, 1], where nothing else is. person: (S, S) in [0, 1], how
    much the person covers of a pixel, before or after. bared: (s, s) in [0, 1], where hair gave way to what
    is behind, or to a hat.
    """

    layers: Layers
    share: np.ndarray
    person: np.ndarray
    bared: np.ndarray


def fresh(seen: Seen, edited: np.ndarray, parts: Bands) -> Fresh:
    """Of an edited rendering (S, S, 3) and what `detail.bands` made of it."""
    size, side = len(edited), len(parts.error)
    ours, theirs = (at_side(kinds, side) for kinds in (seen.scene.kinds, seen.kinds))
    came = moved_nearest(ours, reduced(parts.flow) * np.float32(side / size))
    changed = _changed(parts)
    bare = changed * _thick(_bared(ours, theirs) | _bared(came, theirs))
    grown = changed * _thick(_grown(came, theirs))
    inside = soft((theirs >= PERSON).astype(np.float32), 1)
    share = np.maximum(cv2.dilate(np.maximum(bare, grown), BEYOND), cv2.dilate(bare, FRIZZ) * (1 - inside))
    small, person = reduced(edited), (theirs >= PERSON).astype(np.float32)
    behind = spread(small, 1 - cv2.dilate(person, BEYOND))
    cover = _cover(small, behind, person)
    colour = scaled(_colour(parts.error, came, theirs), cover)
    colour += scaled(_within(seen.scene.wall, side) - behind, 1 - cover)
    return Fresh(
        _in_place(seen.scene, edited, parts, colour, ours, theirs),
        enlarged(soft(share.astype(np.float32), SOFT), size) * seen.within(size),
        enlarged(np.maximum(cover, soft((came >= PERSON).astype(np.float32), 1)), size),
        np.maximum(bare, grown) * (loose(ours) & off(theirs)),
    )


def _changed(parts: Bands) -> np.ndarray:
    """(S, S): 1 where the edit made a thing another one, 0 where it is as little the photo's as before."""
    change, off = (np.sqrt(mean_square(soft(field, AWAY))) for field in (parts.change, parts.error))
    change = cv2.dilate(change, RIM) - OFF * off
    return smooth_step((change - UNCHANGED[0]) / (UNCHANGED[1] - UNCHANGED[0]))


def _in_place(
    scene: Scene, edited: np.ndarray, parts: Bands, colour: np.ndarray, ours: np.ndarray, theirs: np.ndarray
) -> Layers:
    """The edited person in the photo's colours, around it the photo's wall, its own where it shows that.

    colour: (s, s, 3), what the photo's are off by.
    """
    size, side = len(edited), len(ours)
    rim, wall = _outlined(theirs), _within(scene.wall, side)
    somebody = cv2.dilate((ours >= PERSON).astype(np.float32), FRIZZ) * (ours != Kind.CLOTHES)
    own = (1 - rim) * (1 - soft(somebody, SOFT))
    add = enlarged(scaled(colour, rim) + scaled(wall, 1 - rim - own), size)
    add += scaled(edited, enlarged(rim, size))
    return Layers(add, enlarged(own, size), parts.flow)


def _cover(picture: np.ndarray, behind: np.ndarray, person: np.ndarray) -> np.ndarray:
    """(S, S) float32 in [0, 1]: the person's share of a pixel, by its colour between the two sides'."""
    sure = cv2.erode(person, BEYOND)
    apart = spread(picture, sure) - behind
    along = 3 * mean_square(picture - behind, apart) + ALIKE**2 * soft(person, 1)
    cover = np.clip(along / (3 * mean_square(apart) + ALIKE**2), 0, 1)
    found: np.ndarray = np.maximum(cover * soft(cv2.dilate(person, RIM), 1), soft(sure, 1))
    return found


def _outlined(kinds: np.ndarray) -> np.ndarray:
    """(S, S) float32: 1 on the person."""
    return soft(cv2.dilate((kinds >= PERSON).astype(np.float32), RIM), SOFT)


def off(kinds: np.ndarray) -> np.ndarray:
    """(S, S) bool: no hair is there, so none may go on from there; below a neck it may lie on a chest."""
    below = np.arange(len(kinds))[:, None] >= len(kinds) // 2
    return (kinds != Kind.HAIR) & ~(below & (kinds == Kind.SKIN))


def loose(kinds: np.ndarray) -> np.ndarray:
    """(S, S) bool: what an edit may take off."""
    return (kinds == Kind.HAIR) | (kinds == Kind.HAT)


def _bared(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """(S, S) bool: the person gave way to background, or hair to clothes.

    A neck in a collar did not, and none does beside the lower border, below which it goes on.
    """
    above = np.arange(len(ours))[:, None] < len(ours) * NECK
    wall = (ours >= PERSON) & (theirs == Kind.BACKGROUND) & (above | loose(ours))
    return wall | (loose(ours) & (theirs == Kind.CLOTHES))


def _grown(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """(S, S) bool: hair, hat, glasses or skin on what was something else; a neck on clothes is a neckline."""
    return (theirs >= PERSON) & (ours != theirs) & ((theirs != Kind.SKIN) | (ours != Kind.CLOTHES))


def _thick(where: np.ndarray) -> np.ndarray:
    """(S, S) in [0, 1]: 1 about the middle of what is THICK, 0 where it is THIN."""
    deep = cv2.distanceTransform(where.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    core = smooth_step((deep - THIN) / (THICK - THIN)).astype(np.float32)
    return cv2.dilate(core, RIM) * where


def _colour(error: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """(S, S, 3): what the photo's colours are off by, of hair learnt on hair, of all else on the rest."""
    hair = theirs == Kind.HAIR
    known = (ours == theirs) & (theirs >= PERSON)
    fields = [_learnt(error, (known & which).astype(np.float32)) for which in (hair, ~hair)]
    return fields[1] + scaled(fields[0] - fields[1], soft(hair.astype(np.float32), 1))


def _learnt(error: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(S, S, 3): `mean_around` of what is coarse, at a quarter of the side."""
    side = len(weight)
    quarter = max(1, side // 4)
    weighted = cv2.merge([scaled(error, weight), weight])
    weighted = cv2.resize(weighted, (quarter, quarter), interpolation=cv2.INTER_AREA)
    weight = weighted[:, :, 3]
    values = weighted[:, :, :3] / np.maximum(weight, LEAST)[:, :, None]
    return enlarged(mean_around(values, weight, COLOUR * quarter / side), side)


def _within(wall: np.ndarray, side: int) -> np.ndarray:
    """(side, side, 3): of the wider square's picture what lies in the crop."""
    scale = SIDE / (WIDE * side)
    middle = (SIDE - 1) / 2 - scale * (side - 1) / 2
    matrix = np.array([[scale, 0, middle], [0, scale, middle]])
    return cv2.warpAffine(wall, matrix, (side, side), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def at_side(kinds: np.ndarray, side: int) -> np.ndarray:
    """Kinds at another side, the nearest."""
    return kinds if len(kinds) == side else cv2.resize(kinds, (side, side), interpolation=cv2.INTER_NEAREST)
