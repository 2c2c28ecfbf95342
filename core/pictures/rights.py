"""Whose a picture is, where its file says so elsewhere than in EXIF: agencies write IPTC, editors XMP."""

import re
from html import unescape

from PIL import ExifTags, IptcImagePlugin
from PIL.ImageFile import ImageFile

# EXIF tag: IPTC record and data set, XMP element.
_PLACES = {
    ExifTags.Base.Artist: ((2, 80), b"dc:creator"),
    ExifTags.Base.Copyright: ((2, 116), b"dc:rights"),
}
MAX_LENGTH = 500


def rights_of(image: ImageFile, xmp: bytes) -> dict[int, str]:
    """By EXIF tag, what IPTC or else XMP says of author and copyright, at most MAX_LENGTH characters each."""
    iptc = IptcImagePlugin.getiptcinfo(image) or {}
    found = {}
    for tag, (data_set, element) in _PLACES.items():
        text = _first(iptc.get(data_set)) or _in_xmp(xmp, element)
        if text:
            # As PIL would read it from EXIF, whose texts are UTF-8 today.
            found[int(tag)] = text[:MAX_LENGTH].encode().decode("latin-1")
    return found


def _first(value: object) -> str:
    given = value[0] if isinstance(value, list) and value else value
    return given.decode("utf-8", "replace").strip() if isinstance(given, bytes) else ""


def _in_xmp(xmp: bytes, element: bytes) -> str:
    """The first entry of a list in XMP; read as text, since nothing here may resolve a stranger's XML."""
    block = re.search(rb"<%b>(.{0,4000}?)</%b>" % (element, element), xmp, re.DOTALL)
    entry = block and re.search(rb"<rdf:li[^>]*>([^<]*)</rdf:li>", block[1])
    return unescape(entry[1].decode("utf-8", "replace")).strip() if entry else ""
