"""A picture to a file's bytes, with as much of what it was as the format can hold."""

import dataclasses
import io
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import cv2
import numpy as np
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from core.errors import BadRequest
from core.pictures import colour
from core.pictures.metadata import Metadata, entries
from core.pictures.native import INKS_LOST, Native

# By the end of a file's name.
KINDS: Mapping[str, str] = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WebP",
}
SUFFIXES: Mapping[str, str] = {"PNG": ".png", "JPEG": ".jpg", "TIFF": ".tif", "WebP": ".webp"}
JPEG_QUALITY = 95
WEBP_QUALITY = 92
WEBP_SIDE = 16_383

# Formats that hold inks, transparency, more than 8 bits, grey.
_INKS, _ALPHA, _DEEP = ("JPEG", "TIFF"), ("PNG", "TIFF", "WebP"), ("PNG", "TIFF")
_GREY = ("PNG", "JPEG", "TIFF")
# TIFF's word for one, three and four channels: black is zero, RGB, inks.
_PHOTOMETRIC = {1: 1, 3: 2, 4: 5}


@dataclass(frozen=True, eq=False)
class Fitted:
    """A picture as files of its kind can hold it; lost: in words, what they cannot."""

    native: Native
    kind: str
    lost: tuple[str, ...] = ()


@dataclass(frozen=True)
class Written:
    """data: the file; said: a sentence on what it kept of the photo's and what it left out, "" of neither."""

    data: bytes
    said: str


def kind_of(name: str | PurePath) -> str:
    """The format that a file's name asks for. Raises: BadRequest on one that is not written."""
    path = PurePath(name)
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        *most, last = KINDS
        raise BadRequest(f"Cannot save as {path.name!r}; end the name in {', '.join(most)} or {last}.")
    return kind


def kind_in(data: bytes) -> str | None:
    """The format of a picture's file, by its first bytes; None: one that is not written."""
    starts = {b"\x89PNG": "PNG", b"\xff\xd8": "JPEG", b"II*\0": "TIFF", b"MM\0*": "TIFF"}
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    return next((kind for start, kind in starts.items() if data.startswith(start)), None)


def fit(native: Native, kind: str) -> Fitted:
    """The picture as a format can hold it: "PNG", "JPEG", "TIFF" or "WebP".

    Colours stay those of its profile, unless nothing can be written in them.
    """
    readable_alone = native.profile is not None and not colour.writable(native.profile, native.mode)
    converted = readable_alone or (native.mode == "CMYK" and kind not in _INKS)
    converted = converted or (native.mode == "L" and kind not in _GREY)
    flat = native.alpha is not None and kind not in _ALPHA
    shallow = native.deep and (converted or kind not in _DEEP)
    lost = {
        "transparency, laid over white": flat,
        "bits beyond 8 a channel": shallow,
        INKS_LOST: converted and native.mode == "CMYK",
    }
    if flat or shallow:
        native = _eight_bit(native, keep_alpha=not flat)
    if converted:
        profile = None if native.profile is None else colour.srgb_profile()
        values = colour.to_srgb(native.values, native.profile)
        native = dataclasses.replace(native, values=values, profile=profile)
    return Fitted(native, kind, (*native.lost, *(text for text, true in lost.items() if true)))


def write(fitted: Fitted, metadata: Metadata | None = None, quality: int = JPEG_QUALITY) -> Written:
    """The picture as a file.

    metadata: what of the photo's file's words is to be in it; None: there was no file. quality: of a JPEG, as
    PIL counts it, whose colours are as fine as its lightness (4:4:4).
    Raises: BadRequest where the format holds no picture of this size.
    """
    native, exif = fitted.native, b"" if metadata is None else metadata.exif
    if fitted.kind == "JPEG":
        data = _by_pil(native, exif, "JPEG", quality=quality, subsampling=0)
    elif fitted.kind == "WebP":
        if max(native.size) > WEBP_SIDE:
            raise BadRequest(f"WebP holds pictures of at most {WEBP_SIDE} px a side; choose PNG or JPEG.")
        data = _by_pil(native, exif, "WEBP", quality=WEBP_QUALITY)
    else:
        data = _tiff(native, exif) if fitted.kind == "TIFF" else _png(native, exif)
    return Written(data, _sentence(fitted, metadata))


def _eight_bit(native: Native, keep_alpha: bool) -> Native:
    alpha = native.alpha
    if not keep_alpha or alpha is None:
        return Native(native.eight_bit(), profile=native.profile, lost=native.lost)
    values, share = (Native(given, native.white).eight_bit() for given in (native.values, alpha[:, :, None]))
    return Native(values, 255, share[:, :, 0], native.profile, native.lost)


def _pixels(native: Native) -> np.ndarray:
    """(H, W), or (H, W, C) with alpha as the last channel."""
    channels = native.values if native.alpha is None else np.dstack([native.values, native.alpha])
    return channels if channels.shape[2] > 1 else channels[:, :, 0]


def _by_pil(native: Native, exif: bytes, kind: str, **options: int) -> bytes:
    """JPEG or WebP of 8 bits."""
    buffer = io.BytesIO()
    mode = native.mode if native.alpha is None else "RGBA"
    pixels = _pixels(native)
    image = Image.frombuffer(mode, native.size, np.ascontiguousarray(pixels), "raw", mode, 0, 1)
    # PIL says before an EXIF block what it is; of none it writes nothing.
    said: dict[str, Any] = {"exif": b"Exif\x00\x00" + exif} if exif else {}
    image.save(buffer, kind, icc_profile=native.profile, **said, **options)
    return buffer.getvalue()


def _png(native: Native, exif: bytes) -> bytes:
    """OpenCV packs a photo of 12 megapixels in half a second, PIL in two; the file grows by a tenth."""
    pixels = _pixels(native)
    if pixels.ndim == 3:
        order = {2: None, 3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}[pixels.shape[2]]
        # Of grey with alpha OpenCV writes none.
        pixels = _grey_alpha(pixels) if order is None else cv2.cvtColor(pixels, order)
    notes = {cv2.IMAGE_METADATA_EXIF: exif, cv2.IMAGE_METADATA_ICCP: native.profile}
    given = {kind: np.frombuffer(data, np.uint8) for kind, data in notes.items() if data}
    return cv2.imencodeWithMetadata(".png", pixels, list(given), list(given.values()))[1].tobytes()


def _grey_alpha(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 2) as BGRA."""
    return np.ascontiguousarray(pixels[:, :, [0, 0, 0, 1]])


def _tiff(native: Native, exif: bytes) -> bytes:
    """One deflated strip. PIL writes no colours of 16 bits, OpenCV no profile: PIL's directory, our strip."""
    pixels = _pixels(native)
    count = pixels.shape[2] if pixels.ndim == 3 else 1
    packed = zlib.compress(np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder("<"))).data, 6)
    said, camera = entries(exif) if exif else ({}, {})
    if camera:
        said[ExifTags.IFD.Exif] = camera
    width, height = native.size
    said.update(
        {
            ExifTags.Base.ImageWidth: width,
            ExifTags.Base.ImageLength: height,
            ExifTags.Base.BitsPerSample: (8 * pixels.itemsize,) * count,
            ExifTags.Base.Compression: 8,
            ExifTags.Base.PhotometricInterpretation: _PHOTOMETRIC[native.values.shape[2]],
            ExifTags.Base.StripOffsets: 0,  # PIL counts from the directory's end
            ExifTags.Base.SamplesPerPixel: count,
            ExifTags.Base.RowsPerStrip: height,
            ExifTags.Base.StripByteCounts: len(packed),
            ExifTags.Base.PlanarConfiguration: 1,
        }
    )
    if native.alpha is not None:
        said[ExifTags.Base.ExtraSamples] = 2  # not multiplied in
    directory = ImageFileDirectory_v2(prefix=b"II")
    if native.profile is not None:
        directory.tagtype[ExifTags.Base.InterColorProfile] = 7
        said[ExifTags.Base.InterColorProfile] = native.profile
    directory.update(said)
    start = 8
    return struct.pack("<2sHI", b"II", 42, start) + directory.tobytes(start) + packed


def _sentence(fitted: Fitted, metadata: Metadata | None) -> str:
    """What of the photo is in the file, and what is not."""
    native, says = fitted.native, () if metadata is None else metadata.says
    kept = {
        f"{native.white.bit_length()} bits a channel": native.deep,
        f"its colours, {_profile_name(native)}": native.profile not in (None, colour.srgb_profile()),
        "transparency": native.alpha is not None,
    }
    withheld = () if metadata is None else (*metadata.withheld, *(["place"] if metadata.place else []))
    parts = {
        "kept": (*(text for text, true in kept.items() if true), *says),
        "left out": (*fitted.lost, *withheld),
    }
    said = "; ".join(f"{word}: {', '.join(texts)}" for word, texts in parts.items() if texts)
    return f"{said[0].upper()}{said[1:]}." if said else ""


def _profile_name(native: Native) -> str:
    return (native.profile and colour.name(native.profile)) or "by its profile"
