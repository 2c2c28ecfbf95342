"""Strangers' files to pixels: few formats, size judged by the header, whatever else is wrong a sentence."""

import dataclasses
import io
import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import cv2
import numpy as np
import pillow_heif
from PIL import Image
from PIL.ImageFile import ImageFile

from core.errors import BadImage
from core.pictures.colour import lab_to_srgb, means
from core.pictures.limits import LIMITS, MAX_PIXELS, Limits
from core.pictures.metadata import Metadata, orientation_of
from core.pictures.named_spaces import named_profile
from core.pictures.native import INKS_LOST, Native

# Few formats, so that only decoders meant for photos ever see a stranger's bytes.
FORMATS = ("JPEG", "PNG", "HEIF", "AVIF", "WEBP", "TIFF", "BMP", "GIF")
FORMAT_NAMES = "JPEG, PNG, HEIC, AVIF, WebP, TIFF, BMP or GIF"
# Data of so many bits is often kept in 16, its white at the bottom of their range.
CAMERA_BITS = (8, 10, 12, 14)

DAMAGED = "This picture is damaged or incomplete; save it again and retry."

ImageSource = str | os.PathLike[str] | bytes | BinaryIO

pillow_heif.register_heif_opener()
# PIL's own bound, from which on it warns, would be met by phones' largest photos.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
# What libraries have to say of a stranger's file is said in one sentence.
warnings.filterwarnings("ignore", module=r"PIL\.")
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


@dataclass(frozen=True, eq=False)
class Decoded:
    """A picture that was read. size: its width and height in the file, upright; `native` may have fewer."""

    native: Native
    size: tuple[int, int]
    metadata: Metadata

    def within(self, pixels: int) -> tuple[int, int]:
        """Width and height of the whole picture with at most so many pixels."""
        return within(self.size, pixels)


def read_bytes(source: ImageSource, limits: Limits = LIMITS) -> bytes:
    """A file's bytes, no more of them than a picture may have. Raises: BadImage."""
    most = limits.file_bytes
    try:
        if isinstance(source, bytes):
            data = source
        elif isinstance(source, (str, os.PathLike)):
            with open(source, "rb") as file:
                data = file.read(most + 1)
        else:
            data = source.read(most + 1)
    # ValueError: a path with a null byte, or a closed file object.
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadImage(f"The picture cannot be read ({reason}); check its path.") from error
    if not data:
        raise BadImage("This file is empty; choose another picture.")
    if len(data) > most:
        raise BadImage(f"This file is larger than {most // 10**6} MB; choose a smaller picture.")
    return data


def decode(data: bytes, limits: Limits = LIMITS, enough: int | None = None) -> Decoded:
    """The first picture in a file.

    enough: so many pixels are needed; a JPEG of more may be decoded smaller, which takes less of everything.
    Raises: BadImage, with one sentence, whatever is wrong with it.
    """
    with _sentences(limits), Image.open(io.BytesIO(data), formats=FORMATS) as image:
        size = image.size
        limits.check(*size)
        smaller = None
        if enough is not None and image.format in ("JPEG", "MPO"):
            smaller = image.draft(None, within(size, enough))
        native = _deep(image, data) or _plain(image)
        # Only now: a PNG may say after its pixels how they are turned.
        orientation = _orientation(image)
        native = native.upright(orientation)
        if smaller is None:
            size = native.size
        elif orientation in (5, 6, 7, 8):
            size = size[::-1]
        return Decoded(native, size, Metadata.of(image))


def within(size: tuple[int, int], pixels: int) -> tuple[int, int]:
    """Width and height of a picture of this size with at most so many pixels."""
    scale = math.sqrt(pixels / (size[0] * size[1]))
    if scale >= 1:
        return size
    return max(1, int(size[0] * scale)), max(1, int(size[1] * scale))


@contextmanager
def _sentences(limits: Limits) -> Iterator[None]:
    try:
        yield
    except BadImage:
        raise
    except Image.DecompressionBombError as error:
        raise BadImage(limits.too_large("far too many pixels")) from error
    except Image.UnidentifiedImageError as error:
        raise BadImage(f"This file is not a picture we can open; use {FORMAT_NAMES}.") from error
    # Decoders fed hostile bytes raise nearly anything (OSError, SyntaxError, ValueError, struct.error, ...).
    except Exception as error:
        raise BadImage(DAMAGED) from error


def _deep(image: ImageFile, data: bytes) -> Native | None:
    """What PIL would halve: colours of more than 8 bits; None where there are none."""
    if image.format == "HEIF":
        if image.info.get("bit_depth", 8) <= 8:
            return None
        picture = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
        return _native(np.array(picture, np.uint16), image, white=65535)
    elif image.mode in ("RGB", "RGBA") and any(";16" in str(tile.args) for tile in image.tile):
        image.load()  # refuses what OpenCV's libraries complain of on the terminal
        found = _by_opencv(data)
    else:
        return None
    if found.shape[:2] != image.size[::-1]:
        raise BadImage(DAMAGED)
    return _native(found, image)


def _by_opencv(data: bytes) -> np.ndarray:
    """(H, W, 3 or 4) uint16, RGB or RGBA, as it is stored."""
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.dtype != np.uint16 or found.ndim != 3:
        raise BadImage(DAMAGED)
    return cv2.cvtColor(found, cv2.COLOR_BGRA2RGBA if found.shape[2] == 4 else cv2.COLOR_BGR2RGB)


def _plain(image: ImageFile) -> Native:
    """A picture in any of PIL's modes."""
    image.load()
    if image.mode.startswith("I"):
        return _native(_from_integers(np.asarray(image)), image)
    if image.mode == "F":
        return Native(_from_floats(np.asarray(image))[:, :, None], lost=("bits beyond 8 a channel",))
    if image.mode == "LAB":
        return Native(lab_to_srgb(image), lost=("its Lab colours, now sRGB",))
    if image.has_transparency_data:
        grey = image.mode in ("L", "LA", "La")
        converted = image.convert("LA" if grey else "RGBA")
    elif image.mode in ("1", "L"):
        converted = image.convert("L")
    # Without a profile nobody knows which inks they were.
    elif image.mode == "CMYK" and means(image.info.get("icc_profile"), "CMYK"):
        converted = image
    else:
        converted = image.convert("RGB")
    return _native(np.array(converted), image)


def _native(values: np.ndarray, image: ImageFile, white: int | None = None) -> Native:
    """values: (H, W) or (H, W, C) uint8 or uint16, the last of two channels or of RGBA's four being alpha.

    white: of 16 bits, if it is known.
    """
    values = values if values.ndim == 3 else values[:, :, None]
    channels, alpha = values.shape[2], None
    if channels == 2 or (channels == 4 and image.mode != "CMYK"):
        values, alpha = np.ascontiguousarray(values[:, :, :-1]), np.ascontiguousarray(values[:, :, -1])
    if white is None:
        white = 255 if values.dtype == np.uint8 else _white(values if alpha is None else alpha)
    native = Native(values, white, alpha)
    profile = image.info.get("icc_profile") or named_profile(image)
    if means(profile, native.mode):
        return dataclasses.replace(native, profile=profile)
    lost = {INKS_LOST: image.mode == "CMYK", "a colour profile that cannot be used": profile is not None}
    return dataclasses.replace(native, lost=tuple(text for text, true in lost.items() if true))


def _white(values: np.ndarray) -> int:
    """The largest number that data in 16 bits means, by the largest that there is."""
    largest = int(values.max())
    return next((2**bits - 1 for bits in CAMERA_BITS if largest < 2**bits), 65535)


def _from_integers(values: np.ndarray) -> np.ndarray:
    """uint16 of whole numbers in [0, 65535]."""
    if values.min() < 0 or values.max() > 65535:
        raise BadImage("This picture holds more than 16 bits a pixel; save it with 8 or 16.")
    return values.astype(np.uint16)


def _from_floats(values: np.ndarray) -> np.ndarray:
    """uint8; floats mean [0, 1] when none is larger, else [0, 255]."""
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 255:
        raise BadImage("This picture's float values lie outside 0..1 and 0..255; save it with 8 bits.")
    return np.rint(values * (255 if values.max() <= 1 else 1)).astype(np.uint8)


def _orientation(image: ImageFile) -> int:
    """How the pixels are yet to be turned, as EXIF says it.

    HEIC and AVIF say by themselves how they are turned; of these PIL's readers give what is left to do. TIFFs
    are turned by whoever reads them.
    """
    return 1 if image.format == "TIFF" else orientation_of(image)
