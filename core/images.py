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
from core.pictures.native import Box, Native, shrink, turned_box
from core.pictures.reading import ImageSource, decode, read_bytes, within
from core.pictures.writing import fit, kind_of, write

# A photo is worked on in a copy of at most so many pixels, a phone's usual 12 megapixels and no more.
WORKING_PIXELS = 4096 * 3072


@dataclass(frozen=True, eq=False)
class Original:
    """The file that a photo was opened from, for an export at its own size, in its own bits and colours.

    size: its width and height, upright; metadata: what may be said again of what it says. box: what whoever
    opened it left of it, in pixels of the upright picture, None: all; turns: how many quarters, clockwise,
    that is then turned. size is of what comes of both.
    """

    data: bytes
    size: tuple[int, int]
    metadata: Metadata
    turns: int = 0
    box: Box | None = None

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return len(self.data)

    def native(self) -> Native:
        """Its pixels, decoded once more. Raises: BadImage."""
        native = decode(self.data).native
        return (native if self.box is None else native.part(self.box)).turned(self.turns)

    def turned(self, turns: int) -> "Original":
        """The same file, its pixels so many more quarters clockwise."""
        size = self.size if turns % 2 == 0 else self.size[::-1]
        return dataclasses.replace(self, size=size, turns=(self.turns + turns) % 4)

    def cropped(self, box: Box) -> "Original":
        """The same file, of its pixels those in a box of `size`."""
        left, top, right, bottom = turned_box(box, self.size, -self.turns)
        x, y = (0, 0) if self.box is None else self.box[:2]
        size = (box[2] - box[0], box[3] - box[1])
        return dataclasses.replace(self, size=size, box=(left + x, top + y, right + x, bottom + y))


@dataclass(frozen=True, eq=False)
class Photo:
    """pixels: (H, W, 3) uint8 sRGB, to work on; original: the file they are of, None where there is none."""

    pixels: np.ndarray
    original: Original | None = None

    def turned(self, turns: int) -> "Photo":
        """So many quarters clockwise; an export of it is, too."""
        pixels = np.ascontiguousarray(np.rot90(self.pixels, -turns))
        return Photo(pixels, None if self.original is None else self.original.turned(turns))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height that an export of it has."""
        return self.pixels.shape[1::-1] if self.original is None else self.original.size

    def cropped(self, box: Box, working: int = WORKING_PIXELS) -> "Photo":
        """What lies in a box of `size`; an export of it is that, too.

        Where the pixels are fewer than the original's, they are made of it anew: a part may have all of them.
        """
        original = None if self.original is None else self.original.cropped(box)
        if original is None or self.size == self.pixels.shape[1::-1]:
            left, top, right, bottom = box
            return Photo(np.ascontiguousarray(self.pixels[top:bottom, left:right]), original)
        native = original.native()
        return Photo(_to_work_on(native, within(native.size, working)), original)


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
    pixels = _to_work_on(decoded.native, decoded.within(working))
    return Photo(pixels, Original(data, decoded.size, decoded.metadata))


def _to_work_on(native: Native, size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) uint8, sRGB, of this width and height."""
    pixels = native.eight_bit()
    return colour.to_srgb(pixels if native.size == size else shrink(pixels, size), native.profile)


def original_pixels(original: Original, working: int = WORKING_PIXELS) -> np.ndarray:
    """What `open_photo` made of the file, cropped and turned as it was since. Raises: BadImage."""
    if original.box is None:
        pixels = open_photo(original.data, working=working).pixels
        return np.ascontiguousarray(np.rot90(pixels, -original.turns))
    native = original.native()
    return _to_work_on(native, within(native.size, working))


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
