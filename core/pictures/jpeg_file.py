"""A JPEG's own pixels, with nothing else of its file than what says how to show them."""

import io
import struct
from collections.abc import Iterator

from PIL import Image

from core.errors import BadImage
from core.pictures.metadata import orientation_of, orientation_turned, turned
from core.pictures.reading import DAMAGED

_START, _SCAN, _EXIF = b"\xff\xd8", 0xDA, 0xE1
# Kept of what applications write: JFIF, the colour profile, and Adobe's word on inks.
_PROFILE, _JFIF, _ADOBE = (0xE2, b"ICC_PROFILE\x00"), (0xE0, b"JFIF\x00"), (0xEE, b"Adobe")
_APPLICATIONS, _COMMENT = range(0xE0, 0xF0), 0xFE
# Without a length.
_BARE = {0x01, *range(0xD0, 0xD9)}


def with_exif(data: bytes, exif: bytes, turns: int = 0) -> bytes:
    """The JPEG with the EXIF block of a `Metadata` alone, or none where that is empty.

    Its pixels are the same bytes, and turned as before and `turns` quarters more, clockwise; pictures after
    the first are left out with the rest. Raises: BadImage where it is cut short.
    """
    segments = list(_segments(data))
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
        orientation = orientation_turned(orientation_of(image), turns)
    exif = exif if orientation == 1 else turned(exif, orientation)
    block = b"Exif\x00\x00" + exif
    parts = [_START, struct.pack(">BBH", 0xFF, _EXIF, len(block) + 2) + block if exif else b""]
    for marker, segment in segments:
        if marker == _SCAN:
            end = data.find(b"\xff\xd9", len(data) - len(segment))
            parts.append(segment if end < 0 else data[len(data) - len(segment) : end + 2])
        elif _shows(marker, segment[4:]):
            parts.append(segment)
    return b"".join(parts)


def _shows(marker: int, content: bytes) -> bool:
    if marker in _APPLICATIONS:
        kept = (_PROFILE, _JFIF, _ADOBE)
        return any(marker == number and content.startswith(name) for number, name in kept)
    return marker != _COMMENT


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(marker, its bytes); the last is all from the first scan on."""
    at = len(_START)
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker == _SCAN:
            yield marker, data[at:]
            return
        length = 2 if marker in _BARE else 2 + struct.unpack_from(">H", data, at + 2)[0]
        if marker != 0xFF:  # before a marker there may be any number of these
            yield marker, data[at : at + length]
        at += 1 if marker == 0xFF else length
    raise BadImage(DAMAGED)
