"""A photo of one tone stays in it: sepia, a cyanotype; a black-and-white one is the plainest of them.

There colour follows from brightness. What the model makes of such a photo has its brightness alone, and the
tone that goes with that.
"""

import cv2
import numpy as np
import torch
from torch import Tensor

from core.paste.colourless import LUMA, colourless, in_grey

# The crop is looked at in a copy of this side, in which grain and a JPEG's colour noise are gone.
SIDE = 128
# Of a photo in one tone all but this share of pixels lie so close to its tone, in levels. Half as many stray
# in a busy one's JPEG, three times as many in the least coloured of 600 published photos.
STRAY, CLOSE = 0.025, 6.0
# That bright (the brightest hundredth, in levels) at least; of darker ones all is closer.
BRIGHT = 160.0
# Levels of brightness that are told apart, and pixels without which one is not known.
BINS, KNOWN = 64, 5

# Of a photo in one tone: red, green and blue less brightness, in levels, (256, 3) float32 by brightness.
Tone = np.ndarray


def tone_of(crop: np.ndarray) -> Tone | None:
    """Of (S, S, 3) uint8; None: it has colours. Zero of a black-and-white one."""
    if colourless(crop):
        return np.zeros((256, 3), np.float32)
    small = cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32).reshape(-1, 3)
    luma = small @ np.array(LUMA, np.float32)
    bright = float(np.percentile(luma, 99))
    offset = small - luma[:, None]
    bins = (luma * (BINS / 256)).astype(np.int64)
    count = np.bincount(bins, minlength=BINS)
    known = count >= KNOWN
    sums = np.stack([np.bincount(bins, offset[:, i], BINS) for i in range(3)], 1)
    middles = (np.arange(BINS) + 0.5) * (256 / BINS) - 0.5
    means = sums[known] / count[known, None]
    tone = np.stack([np.interp(np.arange(256), middles[known], means[:, i]) for i in range(3)], 1)
    apart = np.abs(offset - tone[np.rint(luma).astype(np.int64)]).max(1)
    stray = float((apart > CLOSE * min(1.0, bright / BRIGHT)).mean())
    return tone.astype(np.float32) if stray <= STRAY else None


def in_tone(pictures: Tensor, tone: Tone | None) -> Tensor:
    """(N, 3, H, W), nominally [-1, 1], with their brightness in that tone; themselves without one."""
    if tone is None:
        return pictures
    grey = in_grey(pictures)
    if not tone.any():
        return grey
    levels = (grey[:, 0] * 127.5 + 127.5).clamp(0, 255)
    below = levels.floor().clamp(max=254)
    table = torch.from_numpy(tone).to(pictures.device)
    first, share = below.long(), (levels - below)[..., None]
    offset = torch.lerp(table[first], table[first + 1], share)  # (N, H, W, 3)
    return grey + offset.permute(0, 3, 1, 2) / 127.5
