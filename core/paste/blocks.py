"""What an edit paints in a photo that a JPEG made coarse is as coarse: it is coded once more, like the photo.

A decoded JPEG hardly changes when it is coded again with the same tables and on the same grid (Farid 2009
finds what was pasted in by that). So both are looked up in the face, and units of pixels that an edit touched
are coded with them; all others stay as they are. Photos of an ordinary quality are none of this module's
business: there it says None, and nothing is computed.

Pictures are (H, W, 3) uint8.
"""

from typing import NamedTuple

import cv2
import numpy as np

from core.paste.colourless import LUMA
from core.paste.grain import middle

# A JPEG's blocks, and its units where colours have half the resolution, in pixels.
BLOCK, UNIT = 8, 16
# With fewer units across the face nothing is told.
FEW = 4
# Qualities that are looked for, as libjpeg counts them; above, nobody sees blocks.
QUALITIES = range(1, 26)
# By how much more brightness steps between blocks than within them; in photos as they are it is by 1.1, in
# those of quality 20 by 1.5 to 4. A hint alone: what coding anew takes decides.
STEP = 1.25
# Mean square, in levels, that coding anew takes of what was coded so (0.2) and not of others (3 and more).
SAME = 1.0
# Colours of half the resolution, or of all.
SAMPLINGS = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
# Up to this quality they look like things before the face, to a network that knows none.
CRUDE = 7


class Blocks(NamedTuple):
    """quality, sampling: as OpenCV's writer takes them; left, top: where a unit begins, below UNIT."""

    quality: int
    sampling: int
    left: int
    top: int

    def coded(self, picture: np.ndarray) -> np.ndarray:
        """A picture (h, w[, 3]) that begins with a unit, coded and decoded."""
        words = cv2.IMWRITE_JPEG_QUALITY, self.quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, self.sampling
        # Which channel is red matters to a JPEG.
        file = cv2.imencode(".jpg", picture[..., ::-1] if picture.ndim == 3 else picture, words)[1]
        found = np.asarray(cv2.imdecode(file, cv2.IMREAD_UNCHANGED))
        return found[..., ::-1] if picture.ndim == 3 else found


def blocks_of(picture: np.ndarray, landmarks: np.ndarray) -> Blocks | None:
    """Of a picture with a face, its landmarks (68, 2) in pixels; None: none that anybody sees."""
    (x, y), part = middle(picture, landmarks)
    if min(part.shape[:2]) < (FEW + 2) * UNIT:
        return None
    grey = part @ np.array(LUMA, np.float32)
    across, down = (_begins(np.abs(np.diff(grey, axis=axis)).mean(1 - axis)) for axis in (1, 0))
    if across is None or down is None:
        return None
    light = np.rint(_whole(grey, across, down)).astype(np.uint8)
    tried = [Blocks(quality, SAMPLINGS[0], 0, 0) for quality in QUALITIES]
    quality = min(tried, key=lambda blocks: _taken(blocks, light)).quality
    found = [
        (_taken(blocks, _whole(part, blocks.left, blocks.top)), blocks)
        for left in (across, across + BLOCK)
        for top in (down, down + BLOCK)
        for blocks in (Blocks(quality, sampling, left, top) for sampling in SAMPLINGS)
    ]
    taken, blocks = min(found)
    if taken > SAME:
        return None
    return blocks._replace(left=(x + blocks.left) % UNIT, top=(y + blocks.top) % UNIT)


def are_crude(picture: np.ndarray, landmarks: np.ndarray) -> bool:
    """Whether they are so coarse that they look like things; as `blocks_of`."""
    blocks = blocks_of(picture, landmarks)
    return blocks is not None and blocks.quality <= CRUDE


def as_coarse(photo: np.ndarray, edited: np.ndarray, blocks: Blocks | None) -> np.ndarray:
    """The edited photo with the units that the edit touched coded as the photo; itself without blocks."""
    if blocks is None:
        return edited
    changed = (photo != edited).any(2)
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    if not len(rows):
        return edited
    # Whole units around what was touched; beyond the picture's edge it goes on as at the edge.
    (top, bottom), (left, right) = (
        ((found[0] - first) // UNIT * UNIT + first, ((found[-1] - first) // UNIT + 1) * UNIT + first)
        for found, first in zip((rows, columns), (blocks.top, blocks.left), strict=True)
    )
    down, across = (np.arange(*ends) for ends in ((top, bottom), (left, right)))
    inside = np.ix_(*(np.clip(p, 0, size - 1) for p, size in zip((down, across), changed.shape, strict=True)))
    units = changed[inside].reshape(len(down) // UNIT, UNIT, -1, UNIT).any((1, 3))
    touched = units.repeat(UNIT, 0).repeat(UNIT, 1)
    coded = np.where(touched[..., None], blocks.coded(edited[inside]), edited[inside])
    result = edited.copy()
    there = np.ix_((down >= 0) & (down < len(changed)), (across >= 0) & (across < changed.shape[1]))
    result[max(top, 0) : bottom, max(left, 0) : right] = coded[there]
    return result


def _begins(steps: np.ndarray) -> int | None:
    """Which of the first pixels begins a block, by the mean step (n,) after each; None: there are none."""
    sums = np.array([steps[first::BLOCK].mean() for first in range(BLOCK)])
    last = int(sums.argmax())
    return (last + 1) % BLOCK if sums[last] > STEP * np.median(sums) else None


def _whole(picture: np.ndarray, left: int, top: int) -> np.ndarray:
    """Whole units from there on."""
    inside = picture[top:, left:]
    return inside[: len(inside) // UNIT * UNIT, : inside.shape[1] // UNIT * UNIT]


def _taken(blocks: Blocks, picture: np.ndarray) -> float:
    """Mean square of what coding takes of a picture (h, w[, 3])."""
    whole = np.ascontiguousarray(picture, np.uint8)
    return float(((blocks.coded(whole).astype(np.float32) - whole) ** 2).mean())
