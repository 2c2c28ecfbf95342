"""Whose pixels are these? The model's face parser tells the person from background and clothes."""

import contextlib

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils import convert_conv2d_weight_memory_format

from core.models.face_parser import CLASSES, SIDE, FaceParser

NOBODY = ("background", "cloth")
# The person ends that much farther out, in pixels of SIDE: an outline belongs to what it encloses.
MARGIN = 2


class Parsing:
    """A parser on its device. One call at a time."""

    def __init__(self, parser: FaceParser, device: torch.device, dtype: torch.dtype) -> None:
        """dtype: what it computes in."""
        convert_conv2d_weight_memory_format(parser, torch.channels_last)
        self._parser, self._device, self._dtype = parser.to(device), device, dtype

    @torch.inference_mode()
    def classes(self, picture: Tensor) -> np.ndarray:
        """An aligned crop (1, 3, S, S) in [-1, 1] of any size -> (SIDE, SIDE) uint8, numbers of CLASSES."""
        small = F.interpolate(picture.to(self._device), size=(SIDE, SIDE), mode="area")
        small = small.clamp(-1, 1).contiguous(memory_format=torch.channels_last)
        with self._precision():
            found: np.ndarray = self._parser.classes(small)[0].cpu().numpy()
        return found

    def person(self, picture: Tensor) -> np.ndarray:
        """The same -> (SIDE, SIDE) float32 in [0, 1]: 1 on face, hair, neck and what is worn on them."""
        inside = ~np.isin(self.classes(picture), [CLASSES.index(name) for name in NOBODY])
        kernel = np.ones((2 * MARGIN + 1, 2 * MARGIN + 1), np.uint8)
        return cv2.GaussianBlur(cv2.dilate(inside.astype(np.float32), kernel), (0, 0), MARGIN)

    def _precision(self) -> contextlib.AbstractContextManager[None]:
        if self._dtype == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self._device.type, self._dtype)
