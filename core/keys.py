"""What the engine's caches know photos and portraits by; nobody else makes or takes apart a key."""

import dataclasses
import hashlib
from dataclasses import dataclass

import numpy as np

from core.errors import BadImage


def content_hash(photo: np.ndarray) -> str:
    """SHA-256 of (H, W, 3) uint8, in hexadecimal.

    Raises: BadImage if it is no RGB array.
    """
    if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or photo.size == 0:
        raise BadImage("A photo must be an RGB picture with 8 bits for each colour.")
    digest = hashlib.sha256(repr(photo.shape).encode())
    digest.update(np.ascontiguousarray(photo).data)
    return digest.hexdigest()


@dataclass(frozen=True)
class PortraitKey:
    """Of which face of which photo a portrait is; equal keys are one portrait, however well it is known.

    photo: `content_hash`; face: its number. told: hash of what its opener was told instead of finding it out,
    "" of a portrait that was opened from the photo alone. side: of a portrait in a reduced photo
    (`core.placing.reduced`), that photo's longest side; 0 in the photo itself.
    """

    photo: str
    face: int
    told: str = ""
    side: int = 0

    @classmethod
    def opened(cls, photo: np.ndarray, face: int) -> "PortraitKey":
        """Of a photo (H, W, 3) uint8 in which everything is found out."""
        return cls(content_hash(photo), face)

    @classmethod
    def resumed(
        cls, photo: np.ndarray, face: int, landmarks: np.ndarray, w_plus: np.ndarray
    ) -> "PortraitKey":
        """Of a face whose landmarks (68, 2) and code (L, D) were told."""
        return cls(content_hash(photo), face, _hash(w_plus, landmarks))

    @classmethod
    def cut(cls, crop: np.ndarray, landmarks: np.ndarray) -> "PortraitKey":
        """Of a face that was cut out before, (S, S, 3) uint8, its landmarks (68, 2) told."""
        return cls(content_hash(crop), 0, _hash(landmarks))

    def reduced(self, side: int) -> "PortraitKey":
        """Of the same face in a photo reduced to `side` px."""
        return dataclasses.replace(self, side=side)


def _hash(*arrays: np.ndarray) -> str:
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
