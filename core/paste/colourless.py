"""A photo without colour stays without: what the model makes of it is painted in grey."""

import numpy as np
import torch
from torch import Tensor

# Between the channels of a pixel, in levels: rounding, of JPEG's colours and of a profile's.
ROUNDED = 3
# Share of pixels that may differ by more: a file's own noise.
STRAY = 0.001
# Every so many pixels of a row and of a column tell enough.
STEP = 4
# How bright red, green and blue are (ITU-R BT.601, as in JPEG).
LUMA = (0.299, 0.587, 0.114)


def colourless(crop: np.ndarray) -> bool:
    """Whether (S, S, 3) uint8 shows grey alone."""
    seen = crop[::STEP, ::STEP].astype(np.int16)
    return bool((np.ptp(seen, axis=2) > ROUNDED).mean() <= STRAY)


def in_grey(pictures: Tensor) -> Tensor:
    """(N, 3, H, W) of any range with their brightness in all three channels."""
    luma = torch.tensor(LUMA, device=pictures.device).view(1, 3, 1, 1)
    return (pictures * luma).sum(1, keepdim=True).expand_as(pictures)
