"""Whose pixels are these? The model's face parser tells background, clothes, skin, hair and what is worn."""

import contextlib

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils import convert_conv2d_weight_memory_format

from core.faces.kinds import Kind
from core.models.cover_finder import CoverFinder
from core.models.face_parser import CLASSES, SIDE, FaceParser

# Classes that are a kind of their own; all others are parts of face and neck, or hang on them.
_KINDS = {
    "background": Kind.BACKGROUND,
    "cloth": Kind.CLOTHES,
    "hair": Kind.HAIR,
    "hat": Kind.HAT,
    "glasses": Kind.GLASSES,
}
_KIND_OF = np.array([_KINDS.get(name, Kind.SKIN) for name in CLASSES], np.uint8)


def kinds_in(classes: np.ndarray) -> np.ndarray:
    """Numbers of CLASSES, (S, S) uint8 -> numbers of `Kind`, the same."""
    found: np.ndarray = _KIND_OF[classes]
    return found


def where(classes: np.ndarray, *names: str) -> np.ndarray:
    """Numbers of CLASSES -> bool: one of these by name."""
    return np.isin(classes, [CLASSES.index(name) for name in names])


class Parsing:
    """A parser on its device. One call at a time."""

    def __init__(
        self,
        parser: FaceParser,
        device: torch.device,
        dtype: torch.dtype,
        covers: CoverFinder | None = None,
    ) -> None:
        """dtype: what it computes in. covers: finds things before a face, on the parser's trunk."""
        convert_conv2d_weight_memory_format(parser, torch.channels_last)
        self._parser, self._device, self._dtype = parser.to(device), device, dtype
        self._covers = None if covers is None else covers.to(device)

    @torch.inference_mode()
    def classes(self, picture: Tensor) -> np.ndarray:
        """An aligned crop (1, 3, S, S) in [-1, 1] of any size -> (SIDE, SIDE) uint8, numbers of CLASSES."""
        with self._precision():
            found: np.ndarray = self._parser.classes(self._small(picture))[0].cpu().numpy()
        return found

    @torch.inference_mode()
    def things(self, picture: Tensor) -> np.ndarray | None:
        """The same -> (SIDE, SIDE) float32 in [0, 1], how likely a thing is there; None: nobody knows."""
        if self._covers is None:
            return None
        with self._precision():
            likely = self._covers.likely(self._parser.trunk(self._small(picture)))
        found: np.ndarray = likely[0].float().cpu().numpy()
        return found

    def _small(self, picture: Tensor) -> Tensor:
        """(1, 3, SIDE, SIDE), as the parser takes it."""
        small = picture.to(self._device)
        if small.shape[-1] != SIDE:
            small = F.interpolate(small, size=(SIDE, SIDE), mode="area")
        return small.clamp(-1, 1).contiguous(memory_format=torch.channels_last)

    def _precision(self) -> contextlib.AbstractContextManager[None]:
        if self._dtype == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self._device.type, self._dtype)
