"""What of the photo stays in an edited face: its colour, its features, its pores, band by band.

Write photo = base + error, where base is the model's unedited rendering. The error, carried along with the
edit's motion, has three bands: colour (much coarser than a feature), features (which the model lost), and
texture, finer than the model's own pixels. With everything kept,

    edited + colour + features + texture = photo, moved, + what is left of the change

is the photo with the edit laid on it; with nothing kept it is the rendering. Where the edit shows something
else than the base did (teeth, glasses), the photo's features and texture do not belong: they would ghost.

A model draws a face line by line, but hair only as hair: strands of its own, which every edit shuffles. Where
the base is not true to the photo, such lines are no news. There the photo stays unless the edit changed what
is seen from further away, and of the change it takes the tone, along the photo's own edges.

Pictures are (S, S, 3) float32 in 0..255.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from core.paste.blurring import blurred
from core.paste.motion import mean_around, mean_square, motion, moved, scaled
from core.paste.person import person

# The analysis runs at this side at most: what it finds is smooth. Lengths below are in its pixels.
ANALYSIS_SIDE = 256
# Coarser than this (sigma) is colour and light, finer is a feature.
COLOUR = 8.0
# Structure is compared in neighbourhoods of this sigma; below the floor (grey levels) it is noise.
NEIGHBOURHOOD = 2.0
FLOOR = 6.0
# The same from further away: strands are gone, outlines are not.
AWAY = 4.0
# Shares of structure that differ: up to the first it is the same thing, from the second on another.
SAME, OTHER = 0.1, 0.5
# A photo's pixels enlarged in area up to the first look like skin; from the second on they are a smear.
ENLARGED = (1.5, 3.0)
DOUBT = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
# That far from an outline it is left behind.
OUTLINE = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (23, 23))
BESIDE = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
# Motion in pixels that leaves lines where they are, and that carries them away.
MOVING = (0.5, 2.5)
# That far from where the border cuts the person no wall is bared.
BESIDE_CUT = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (73, 73))
# Difference in grey levels, seen from away, of one thing in two colours, and of two things.
UNLIKE = (30.0, 55.0)
# How much the motion of such places counts beside that of what the model knows.
STRANDS = 0.2
# Weight of the rest of a rim's surroundings, so that a mean exists where there is no rim.
LITTLE = 1e-3
# The guided filter that draws a change of tone along the photo's edges: window, and the variance (levels
# squared) below which a window is flat.
WINDOW, FLAT = 25, 100.0


# Where the photo shows the person, and where the edited face does: square, float32 in [0, 1], of any side.
People = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Bands:
    """The parts of an edited face, all float32.

    flow: (S, S, 2), pixels: what the edited face shows at x, the photo shows at x + flow.
    low: (S, S, 3), the photo at the model's resolution, moved: photo minus this is texture.
    here: (S, S, 3), the base, moved. colour: (S, S, 3), the error's coarse band.
    rim_colour: (s, s, 3), at the analysis' side, the same, read along the rim alone.
    tone: (S, S, 3), the change as a change of colour of what the photo shows.
    kept: (S, S), 1 where the edit keeps the base's structure, 0 where it shows something else.
    drawn: (S, S), 1 where the model draws the photo's own lines, 0 where it makes up strands of its own.
    true: (S, S), 1 where the base shows what the photo shows.
    error, change: (s, s, 3), at the analysis' side: what the photo is off the base by; what the edit changed.
    person: (S, S), 1 where the edited face or the photo has the person, 0 on what is background in both, and
    on what the edit would bare beside a cut.
    """

    flow: np.ndarray
    low: np.ndarray
    here: np.ndarray
    rim_colour: np.ndarray
    colour: np.ndarray
    tone: np.ndarray
    kept: np.ndarray
    drawn: np.ndarray
    true: np.ndarray
    error: np.ndarray
    change: np.ndarray
    person: np.ndarray

    @property
    def features(self) -> np.ndarray:
        """(S, S, 3), the band of the error between colour and texture."""
        return self.low - self.here - self.colour


def bands(
    crop: np.ndarray,
    base: np.ndarray,
    edited: np.ndarray,
    region: np.ndarray,
    mask: np.ndarray,
    people: People | None = None,
) -> Bands:
    """crop, base, edited: (S, S, 3), the photo and the unedited and edited renderings.

    region: (S, S), the face, to find the person by where no `people` are given; mask: (S, S), where the photo
    may change.
    """
    size = base.shape[0]
    small_crop, small_base, small_edited, small_region, small_mask = (
        reduced(image) for image in (crop, base, edited, region, mask)
    )
    found = people or guessed(small_crop, small_edited, small_region)
    ours, theirs = (enlarged(person, len(small_base)) for person in found)
    near = _near(np.maximum(ours, theirs), told=people is not None)
    flow, here, photo, ours, drawn, true = _followed(
        small_crop, small_base, small_edited, small_region, small_mask, ours, near
    )
    error = photo - here
    same = _agreement(soft(small_edited, AWAY), soft(here, AWAY), AWAY)
    same += drawn * (_agreement(small_edited, here) - same)
    strange = _strange(small_crop, small_base, small_region)
    kept = soft(np.maximum(same * _not_smeared(flow), strange), NEIGHBOURHOOD)
    # The wall has its own error: hair that grows over it takes the hair's.
    colour = mean_around(error, kept * theirs * ours, COLOUR)
    wall = mean_around(error, kept * (1 - theirs) * (1 - ours), COLOUR)
    colour += scaled(wall - colour, 1 - theirs)
    change = small_edited - here
    gain, offset = _along_edges(change, photo)

    flow = enlarged(flow, size) * np.float32(size / len(small_base))
    colour = enlarged(colour, size)
    if size != len(small_base):
        photo, here = (moved(image.astype(np.float32, copy=False), flow) for image in (crop, base))
    return Bands(
        flow=flow,
        low=photo,
        here=here,
        rim_colour=_from_rim(error, small_mask),
        colour=colour,
        tone=enlarged(gain, size) * photo + enlarged(offset, size),
        kept=enlarged(kept, size),
        drawn=enlarged(drawn, size),
        true=enlarged(true, size),
        error=error,
        change=change,
        person=enlarged(_changeable(ours, theirs), size),
    )


def guessed(crop: np.ndarray, edited: np.ndarray, region: np.ndarray) -> People:
    """By colour, for models without a face parser."""
    return person(crop, region), person(edited, region)


def _followed(
    crop: np.ndarray,
    base: np.ndarray,
    edited: np.ndarray,
    region: np.ndarray,
    mask: np.ndarray,
    ours: np.ndarray,
    near: np.ndarray,
) -> tuple[np.ndarray, ...]:
    """Motion; base, photo and the photo's person by it; where lines are the photo's, and where base is."""
    drawn = _drawn(crop, base, region)
    flow = _steady(motion(base, edited), drawn)
    # Motion fades with the mask: under its edge the photo's pixels have to stay where they are.
    flow = scaled(flow, mask * near)
    here, photo = moved(base, flow), moved(crop, flow)
    # Of lines that are followed, what is left in the change is how inexactly they were.
    true = _true(photo, here)
    drawn = np.maximum(true, moved(drawn, flow) * _resting(flow))
    return flow, here, photo, moved(ours, flow), drawn, true


def reduced(image: np.ndarray) -> np.ndarray:
    """The image at ANALYSIS_SIDE if it is larger; float32."""
    image = image.astype(np.float32, copy=False)
    if image.shape[0] <= ANALYSIS_SIDE:
        return image
    return cv2.resize(image, (ANALYSIS_SIDE, ANALYSIS_SIDE), interpolation=cv2.INTER_AREA)


def enlarged(field: np.ndarray, size: int) -> np.ndarray:
    """A smooth field at the side of the picture it was found in."""
    return (
        field if field.shape[0] == size else cv2.resize(field, (size, size), interpolation=cv2.INTER_LINEAR)
    )


def _agreement(a: np.ndarray, b: np.ndarray, neighbourhood: float = 0) -> np.ndarray:
    """(S, S): 1 where two pictures have the same structure whatever their light, 0 where they do not."""
    sigma = np.hypot(NEIGHBOURHOOD, neighbourhood)
    a, b = (image - blurred(image, COLOUR + 2 * neighbourhood) for image in (a, b))
    apart, first, second = (cv2.GaussianBlur(mean_square(i), (0, 0), sigma) for i in (a - b, a, b))
    share = apart / (first + second + FLOOR**2)
    return smooth_step((OTHER - share) / (OTHER - SAME))


def _true(photo: np.ndarray, base: np.ndarray) -> np.ndarray:
    """(S, S): 1 where the base shows what the photo shows. Doubt spreads: half an eye of each is no eye."""
    return soft(cv2.erode(_agreement(photo, base), DOUBT), 2 * NEIGHBOURHOOD)


def _drawn(photo: np.ndarray, base: np.ndarray, region: np.ndarray) -> np.ndarray:
    """(S, S): 1 inside the face, and beside it where the base is true to the photo."""
    inner = cv2.erode((region > 0.99).astype(np.float32), OUTLINE)
    return np.maximum(soft(inner, 2 * NEIGHBOURHOOD), _true(photo, base))


def _strange(photo: np.ndarray, base: np.ndarray, region: np.ndarray) -> np.ndarray:
    """(S, S): 1 beside the face where the base shows another thing than the photo, as collars; 0 elsewhere.

    What an edit makes of such a thing is no news of the photo.
    """
    apart = np.sqrt(mean_square(soft(photo - base, AWAY)))
    return smooth_step((apart - UNLIKE[0]) / (UNLIKE[1] - UNLIKE[0])) * (1 - region)


def _changeable(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """(S, S): 1 on the photo's person and the edited one; beside a cut, well inside the edited one alone.

    Where the crop's border cuts the person, a crown may not stay above a bared wall.
    """
    cut = soft(beside_border(ours, BESIDE_CUT), COLOUR)
    everywhere, inside = np.maximum(ours, theirs), cv2.erode(theirs, DOUBT)
    return everywhere + cut * (inside - everywhere)


def beside_border(field: np.ndarray, element: np.ndarray) -> np.ndarray:
    """(S, S): `cv2.dilate` of a field, at least 0, that is 0 but for its outermost pixels: line by line."""
    found, reach = np.zeros_like(field), len(element) // 2
    for turns in range(4):
        line, part = np.rot90(field, turns)[:1].copy(), np.rot90(found, turns)  # a view
        widths = np.rot90(element, turns)
        for away in range(min(reach + 1, len(field)) if line.any() else 0):
            width = np.ascontiguousarray(widths[reach - away][None])
            np.maximum(part[away], cv2.dilate(line, width)[0], out=part[away])
    return found


def _near(person: np.ndarray, told: bool) -> np.ndarray:
    """(S, S): 1 on the person and close by, falling to 0: walls do not turn with a head.

    told: by a parser, to a pixel or two; a guess may be further off.
    """
    return soft(cv2.dilate(person, BESIDE), 1) if told else soft(cv2.dilate(person, OUTLINE), COLOUR)


def _resting(flow: np.ndarray) -> np.ndarray:
    """(S, S): 1 where nothing moves, 0 where it does by more than a pixel or two."""
    return smooth_step((MOVING[1] - np.hypot(flow[:, :, 0], flow[:, :, 1])) / (MOVING[1] - MOVING[0]))


def _steady(flow: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """The motion, and where the model's strands are not the photo's, what moves around there on average."""
    return flow + scaled(mean_around(flow, drawn + STRANDS, COLOUR) - flow, 1 - drawn)


def _not_smeared(flow: np.ndarray) -> np.ndarray:
    """(S, S): 1 where the motion keeps areas about as large as they were, 0 where it smears or folds."""
    (xy, xx), (yy, yx) = (np.gradient(flow[:, :, i]) for i in (0, 1))
    area = (1 + xx) * (1 + yy) - xy * yx
    low, high = 1 / ENLARGED[1], 1 / ENLARGED[0]
    return smooth_step((area - low) / (high - low))


def soft(weight: np.ndarray, sigma: float) -> np.ndarray:
    """A field or picture, blurred."""
    return blurred(weight, sigma)


def _from_rim(error: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The error along the mask's rim, carried inwards smoothly (normalised convolution): (S, S, 3).

    A rendering so corrected meets the photo's colours at the rim and keeps its own shading within.
    """
    weight = mask * (1 - mask) + np.float32(LITTLE)
    sigma = mask.shape[0] / 8
    # Far coarser than a pixel, so a quarter of the side is enough to compute it.
    quarter = (max(1, mask.shape[1] // 4), max(1, mask.shape[0] // 4))
    weighted = cv2.merge([scaled(error, weight), weight])
    summed = cv2.GaussianBlur(cv2.resize(weighted, quarter, interpolation=cv2.INTER_AREA), (0, 0), sigma / 4)
    mean: np.ndarray = summed[:, :, :3] / summed[:, :, 3:]
    return cv2.resize(mean, mask.shape[::-1], interpolation=cv2.INTER_CUBIC)


def _along_edges(change: np.ndarray, photo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(S, S, 3) twice: gain and offset, smooth, so that the change is about gain * photo + offset.

    The guided filter (He, Sun and Tang 2010), a channel guiding itself. Gain and offset hold for a larger
    photo as well (He and Sun 2015).
    """

    def mean(image: np.ndarray) -> np.ndarray:
        return cv2.blur(image, (WINDOW, WINDOW), borderType=cv2.BORDER_REFLECT)

    photos, changes = mean(photo), mean(change)
    gain = (mean(photo * change) - photos * changes) / (mean(photo * photo) - photos**2 + FLAT)
    return mean(gain), mean(changes - gain * photos)


def smooth_step(t: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, between them 6t^5 - 15t^4 + 10t^3: no corner for the eye to catch on."""
    t = np.clip(t, 0, 1)
    return t * t * t * (t * (6 * t - 15) + 10)
