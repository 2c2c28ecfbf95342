"""The door between uint8 HWC arrays and float tensors, and between strangers' files and arrays.

An image is HWC uint8 RGB, [0, 255], sRGB; a tensor is NCHW, [-1, 1]. Behind the door: `core.pictures`.
"""

import dataclasses
import io
import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from core.files import write_whole
from core.pictures import colour
from core.pictures.limits import LIMITS, Limits
from core.pictures.metadata import Metadata
from core.pictures.native import Native, shrink
from core.pictures.reading import ImageSource, decode, read_bytes
from core.pictures.writing import fit, kind_of, write

# A photo is worked on in a copy of at most so many pixels, a phone's usual 12 megapixels and no more.
WORKING_PIXELS = 4096 * 3072


@dataclass(frozen=True, eq=False)
class Original:
    """The file that a photo was opened from, for an export at its own size, in its own bits and colours.

    size: its width and height, upright; metadata: what may be said again of what it says. turns: how many
    quarters, clockwise, its pixels are turned by whoever opened it; size is of the turned picture.
    """

    data: bytes
    size: tuple[int, int]
    metadata: Metadata
    turns: int = 0

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return len(self.data)

    def native(self) -> Native:
        """Its pixels, decoded once more. Raises: BadImage."""
        return decode(self.data).native.turned(self.turns)

    def turned(self, turns: int) -> "Original":
        """The same file, its pixels so many more quarters clockwise."""
        size = self.size if turns % 2 == 0 else self.size[::-1]
        return dataclasses.replace(self, size=size, turns=(self.turns + turns) % 4)


@dataclass(frozen=True, eq=False)
class Photo:
    """pixels: (H, W, 3) uint8 sRGB, to work on; original: the file they are of, None where there is none."""

    pixels: np.ndarray
    original: Original | None = None

    def turned(self, turns: int) -> "Photo":
        """So many quarters clockwise; an export of it is, too."""
        pixels = np.ascontiguousarray(np.rot90(self.pixels, -turns))
        return Photo(pixels, None if self.original is None else self.original.turned(turns))


def to_tensor(
    images: np.ndarray, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """(H, W, 3) or (N, H, W, 3) uint8 to (N, 3, H, W), [-1, 1]; x / 127.5 - 1. Always a copy."""
    batch = images if images.ndim == 4 else images[None]
    # Cross to the device as bytes (a quarter of the traffic); torch.tensor also takes read-only arrays.
    pixels = torch.tensor(batch, device=device).permute(0, 3, 1, 2)
    return (pixels.float() / 127.5 - 1).to(dtype).contiguous()


def to_array(tensor: torch.Tensor) -> np.ndarray:
    """(N, 3, H, W), [-1, 1], to (N, H, W, 3) uint8: rounded, and clipped where it overshoots."""
    pixels = ((tensor.detach().float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def to_levels(tensor: torch.Tensor) -> np.ndarray:
    """(1, 3, H, W), [-1, 1], to (H, W, 3) float32, 0..255: neither rounded nor clipped."""
    return ((tensor[0].float() + 1) * 127.5).permute(1, 2, 0).contiguous().cpu().numpy()


def open_photo(source: ImageSource, limits: Limits = LIMITS, working: int = WORKING_PIXELS) -> Photo:
    """Decode an untrusted picture: upright, in sRGB, transparency over white, at most `working` pixels of it.

    source: a path, the file's bytes, or a binary file object. Of an animation, the first frame.
    Raises: BadImage, with one sentence, whatever is wrong with it. Size is judged from the header: nothing
    beyond the limits is ever decoded.
    """
    data = read_bytes(source, limits)
    decoded = decode(data, limits, working)
    pixels, profile = decoded.native.eight_bit(), decoded.native.profile
    size = decoded.within(working)
    if decoded.native.size != size:
        pixels = shrink(pixels, size)
    return Photo(colour.to_srgb(pixels, profile), Original(data, decoded.size, decoded.metadata))


def open_image(source: ImageSource) -> np.ndarray:
    """The pixels of `open_photo`, (H, W, 3) uint8, where nothing is to be exported."""
    return open_photo(source).pixels


def encode_jpeg(image: np.ndarray, quality: int = 90) -> bytes:
    """(H, W, 3) uint8 as a JPEG file, colour at full resolution (lips and eyes are small and coloured)."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def encode_png(image: np.ndarray) -> bytes:
    """(H, W, 3) uint8 as a PNG file, lossless."""
    # OpenCV packs a photo of 12 megapixels in half a second, PIL in two; the file grows by a tenth.
    return cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()


def save_image(image: np.ndarray, path: str | os.PathLike[str]) -> None:
    """Write (H, W, 3) uint8 as the path's suffix says (`core.pictures.writing.KINDS`).

    Raises: BadRequest on an unknown suffix; CannotWrite, and then what was there is as it was.
    """
    write_whole(path, write(fit(Native(image), kind_of(Path(path)))).data)
