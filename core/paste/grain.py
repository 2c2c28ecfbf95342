"""What an edit paints in a grainy photo is as grainy as the rest of it: a small sensor's noise, film.

The model paints clean faces, and clean skin in noise is a patch. How much grain there is, is looked up in the
flattest pieces of the photo's face; more of it is made of the same pieces, by a random phase (Galerne,
Gousseau and Morel 2011): white noise convolved with a piece has its spectrum and its colours. It is laid
where the picture has less than the photo had. Photos without much grain are none of this module's business:
there it says None, and nothing is computed.

Pictures are (H, W, 3) uint8.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from core.paste.blurring import blurred
from core.paste.colourless import LUMA
from core.paste.detail import smooth_step
from core.paste.motion import mean_square, scaled

# Pieces with sides of so many pixels; so many at least tell anything, and so many are enough to make more of.
PIECE, FEW, ENOUGH = 16, 8, 24
# The face is looked at in its middle, up to this side.
LOOKED_AT = 512
# Standard deviation of the grain's brightness, in levels: up to the first a photo has none to speak of (the
# most of 1000 published faces and 40 portraits is 3.2), from the second on all of it counts.
CLEAN, GRAINY = 4.0, 6.0
# Grain is finer than this (sigma), light and features are coarser.
COARSE = 4.0
# Of grain, and not of straight lines, edges and shades (Immerkaer 1996); white noise keeps its size.
FINEST = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
# How much there is, is asked finer than the first, in neighbourhoods of the second (sigmas).
FINE, AROUND = 1.5, 3.0
# Made once, so large, and laid side by side.
SIDE = 256


@dataclass(frozen=True, eq=False)
class Grain:
    """noise: (SIDE, SIDE, 3) float32, levels, goes on beyond each edge at the other; energy: mean square of
    what is FINE of it."""

    noise: np.ndarray
    energy: float


def grain_of(picture: np.ndarray, landmarks: np.ndarray) -> Grain | None:
    """Of a picture with a face, its landmarks (68, 2) in pixels; None: none to speak of."""
    part = middle(picture, landmarks)[1]
    if part.shape[0] * part.shape[1] < FEW * PIECE**2:
        return None
    pieces, fine = (_pieces(band) for band in _bands(part))
    if len(pieces) < FEW:
        return None
    levels = np.sqrt((fine**2).mean((1, 2, 3)))
    flat = np.argsort(levels, kind="stable")[: max(FEW // 2, len(levels) // 4)]
    share = float(smooth_step(np.asarray((levels[flat[-1]] - CLEAN) / (GRAINY - CLEAN))))
    if share == 0:
        return None
    noise = share * _more_of(pieces[flat[-ENOUGH:]])
    return Grain(noise, float((_fine(noise) ** 2).mean()))


def as_grainy(photo: np.ndarray, edited: np.ndarray, grain: Grain | None) -> np.ndarray:
    """The edited photo with grain where the edit took it; itself where the photo has none."""
    if grain is None:
        return edited
    rows, columns = (np.flatnonzero((photo != edited).any(axes)) for axes in ((1, 2), (0, 2)))
    if not len(rows):
        return edited
    margin = math.ceil(3 * AROUND)
    part = tuple(
        slice(max(0, found[0] - margin), min(size, found[-1] + 1 + margin))
        for found, size in zip((rows, columns), photo.shape, strict=False)
    )
    before, after = (picture[part].astype(np.float32) for picture in (photo, edited))
    had, has = (blurred(mean_square(_fine(picture)), AROUND) for picture in (before, after))
    lost = np.sqrt(np.clip(np.minimum(had, grain.energy) - has, 0, None) / grain.energy)
    lost *= (before != after).any(2)
    noise = grain.noise[np.ix_(*(np.arange(along.start, along.stop) % SIDE for along in part))]
    result = edited.copy()
    result[part] = np.rint(np.clip(after + scaled(noise, lost), 0, 255))
    return result


def middle(picture: np.ndarray, landmarks: np.ndarray) -> tuple[tuple[int, int], np.ndarray]:
    """The middle of a face, (h, w, 3) float32: what of it lies in the picture; x and y of its first pixel."""
    low, high = landmarks.min(0), landmarks.max(0)
    half = np.minimum(high - low, LOOKED_AT) / 2
    ends = np.rint((low + high) / 2 - half), np.rint((low + high) / 2 + half)
    (left, top), (right, bottom) = (np.clip(end, 0, picture.shape[1::-1]).astype(int) for end in ends)
    return (int(left), int(top)), picture[top:bottom, left:right].astype(np.float32)


def _bands(part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(h, w, 3): finer than light and features; (h, w, 1): the finest of its brightness."""
    finest = cv2.filter2D(part @ np.array(LUMA, np.float32), -1, FINEST)
    return part - blurred(part, COARSE), finest[:, :, None]


def _pieces(field: np.ndarray) -> np.ndarray:
    """(h, w, C) -> (N, PIECE, PIECE, C), what does not fill one left out."""
    down, across = field.shape[0] // PIECE, field.shape[1] // PIECE
    whole = field[: down * PIECE, : across * PIECE]
    return (
        whole.reshape(down, PIECE, across, PIECE, -1)
        .transpose(0, 2, 1, 3, 4)
        .reshape(-1, PIECE, PIECE, field.shape[2])
    )


def _more_of(pieces: np.ndarray) -> np.ndarray:
    """(N, PIECE, PIECE, 3) -> (SIDE, SIDE, 3) of their mean spectrum."""
    white = np.random.default_rng(0).standard_normal((len(pieces), SIDE, SIDE))
    spectra = np.fft.rfft2(white)[..., None] * np.fft.rfft2(pieces, (SIDE, SIDE), axes=(1, 2))
    noise = np.fft.irfft2(spectra.sum(0), (SIDE, SIDE), axes=(0, 1))
    return (noise / (PIECE * math.sqrt(len(pieces)))).astype(np.float32)


def _fine(picture: np.ndarray) -> np.ndarray:
    return picture - blurred(picture, FINE)
