"""Colour spaces that files name without a profile: cameras' Adobe RGB, phones' Display P3; and theirs."""

import functools
import struct

import numpy as np
from PIL.ExifTags import IFD, Interop
from PIL.ImageFile import ImageFile

# Chromaticities of red, green, blue (Adobe RGB (1998), 4.3.1.1; SMPTE EG 432-1), and of D65.
ADOBE_RGB = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
DISPLAY_P3 = ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06))
D65, D50 = (0.3127, 0.3290), (0.9642, 1.0, 0.8249)
ADOBE_GAMMA = 563 / 256
# Cone responses by which colours of one white are told under another (Bradford).
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
# ITU-T H.273's numbers: primaries of P3 under D65; the curves that are sRGB's, or as good as.
_P3, _SRGB_CURVES = 12, (1, 6, 13)
# DCF's word, in EXIF, for a picture in Adobe RGB.
_OPTIONAL = "R03"

Primaries = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]


def named_profile(image: ImageFile) -> bytes | None:
    """The profile of a space wider than sRGB that a loaded picture names; None where it names none."""
    said = image.info.get("nclx_profile")
    if isinstance(said, dict):
        wide = said.get("color_primaries") == _P3 and said.get("transfer_characteristics") in _SRGB_CURVES
        return rgb_profile("Display P3", DISPLAY_P3, None) if wide else None
    # A damaged note names nothing, whatever goes wrong in reading it.
    try:
        named = image.getexif().get_ifd(IFD.Interop).get(Interop.InteropIndex)
    except Exception:
        return None
    return rgb_profile("Adobe RGB", ADOBE_RGB, ADOBE_GAMMA) if named == _OPTIONAL else None


@functools.cache
def rgb_profile(name: str, primaries: Primaries, gamma: float | None) -> bytes:
    """An ICC profile (ICC.1:2001-04) of three primaries under D65; gamma: of each, None: sRGB's curve."""
    described = name.encode("ascii") + b"\0"
    curve = _curve(gamma)
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(described)) + described + bytes(78),
        b"cprt": b"text\0\0\0\0No rights reserved.\0",
        b"wtpt": _xyz(D50),
        **dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(_xyz, _adapted(primaries).T), strict=True)),
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
    }
    table, body, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for tag, data in tags.items():
        padded = data + bytes(-len(data) % 4)
        table += struct.pack(">4sII", tag, start + len(body), len(data))
        body += padded
    # Size, version, class, space, connection space, date, signature; the connection space's white at 68.
    words = (start + len(body), bytes(4), 0x02400000, b"mntr", b"RGB ", b"XYZ ", b"", b"acsp")
    head = struct.pack(">I4sI4s4s4s12s4s28x", *words) + _xyz(D50)[8:]
    return head.ljust(128, b"\0") + table + body


def _adapted(primaries: Primaries) -> np.ndarray:
    """(3, 3): XYZ of red, green and blue in columns, for eyes used to D50."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    x, y = D65
    white = np.array([x / y, 1, (1 - x - y) / y])
    columns = columns * np.linalg.solve(columns, white)
    cones = BRADFORD @ np.array(D50) / (BRADFORD @ white)
    adapted: np.ndarray = np.linalg.inv(BRADFORD) @ (cones[:, None] * (BRADFORD @ columns))
    return adapted


def _xyz(values: tuple[float, ...] | np.ndarray) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(float(value) * 65536) for value in values))


def _curve(gamma: float | None) -> bytes:
    if gamma is not None:
        return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
    stored = np.linspace(0, 1, 1024)
    # IEC 61966-2-1.
    light = np.where(stored <= 0.04045, stored / 12.92, ((stored + 0.055) / 1.055) ** 2.4)
    return b"curv\0\0\0\0" + struct.pack(">I1024H", 1024, *np.rint(65535 * light).astype(int))
