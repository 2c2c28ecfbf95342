"""Small pictures of every kind, as files; several tests share them."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image, ImageCms


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """PIL's own file of a picture."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, raw: bytes, extra: bytes = b"") -> bytes:
    """A PNG made by hand: raw are its scan lines, each behind its filter byte."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    body = png_chunk(b"IDAT", zlib.compress(raw, 9))
    return b"\x89PNG\r\n\x1a\n" + header + extra + body + png_chunk(b"IEND", b"")


def png16(values: np.ndarray, extra: bytes = b"") -> bytes:
    """(H, W, 1 to 4) uint16: grey, grey with alpha, RGB, RGBA."""
    height, width, channels = values.shape
    raw = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png(width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], raw, extra)


def tiff16(values: np.ndarray, orientation: int = 1, order: str = "<") -> bytes:
    """(H, W, 3) uint16, uncompressed, made by hand; order: of its bytes, as `struct` says it."""
    height, width, channels = values.shape
    pixels = values.astype(order + "u2").tobytes()
    bits_at = 8 + len(pixels)
    entries = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, channels, bits_at), (259, 3, 1, 1), (262, 3, 1, 2),
        (273, 4, 1, 8), (274, 3, 1, orientation), (277, 3, 1, channels), (278, 4, 1, height),
        (279, 4, 1, len(pixels)), (284, 3, 1, 1),
    ]  # fmt: skip
    bits = struct.pack(order + "H" * channels, *[16] * channels)
    directory = struct.pack(order + "H", len(entries))
    for tag, kind, count, value in entries:
        short = kind == 3 and count == 1
        directory += struct.pack(order + "HHI", tag, kind, count)
        directory += struct.pack(order + ("HH" if short else "I"), *((value, 0) if short else (value,)))
    directory += bytes(4)
    head = b"II" if order == "<" else b"MM"
    return head + struct.pack(order + "HI", 42, bits_at + len(bits)) + pixels + bits + directory


# --- profiles, made by hand from their formulas: ICC.1:2001-04 -----------------------------------------

WHITE = (0.9642, 1.0, 0.8249)
# XYZ of red, green and blue in columns; D65 adapted to D50 by Bradford, as profiles have it.
DISPLAY_P3 = np.array(
    [[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]]
)
ADOBE_RGB = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
ADOBE_GAMMA = 563 / 256


def matrix_profile(primaries: np.ndarray, gamma: float | None, name: str = "Test") -> bytes:
    """An RGB profile: (3, 3) columns XYZ of red, green, blue; gamma: None means sRGB's curve, as a table."""
    tags = {b"desc": _text_description(name), b"cprt": b"text\0\0\0\0none\0", b"wtpt": _xyz(WHITE)}
    for i, colour in enumerate(b"rgb"):
        tags[bytes([colour]) + b"XYZ"] = _xyz(primaries[:, i])
        tags[bytes([colour]) + b"TRC"] = _curve(gamma)
    return _profile(b"mntr", b"RGB ", b"XYZ ", tags)


def grey_profile(gamma: float) -> bytes:
    tags = {b"desc": _text_description("Grey"), b"cprt": b"text\0\0\0\0none\0", b"wtpt": _xyz(WHITE)}
    return _profile(b"mntr", b"GRAY", b"XYZ ", {**tags, b"kTRC": _curve(gamma)})


def press_profile(both_ways: bool = True) -> bytes:
    """Of inks that take light away as (1 - ink) * (1 - black); both_ways: it can also be written with."""
    steps = np.linspace(0, 1, 9)
    ink = np.stack(np.meshgrid(*[steps] * 4, indexing="ij"), axis=-1)
    rgb = (1 - ink[..., :3]) * (1 - ink[..., 3:])
    tags = {b"desc": _text_description("Press"), b"cprt": b"text\0\0\0\0none\0", b"wtpt": _xyz(WHITE)}
    tags[b"A2B0"] = _table(np.rint(_lab(linear(rgb) @ SRGB.T) * (2.55, 1, 1) + (0, 128, 128)))
    if both_ways:
        axes = np.linspace(0, 100, 33), *[np.linspace(-128, 127, 33)] * 2
        lab = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        rgb = encoded(_xyz_of(lab) @ np.linalg.inv(SRGB).T)
        black = 0.5 * (1 - rgb.max(-1, keepdims=True))
        ink = np.concatenate([1 - rgb / (1 - black), black], axis=-1)
        tags[b"B2A0"] = _table(np.rint(255 * np.clip(ink, 0, 1)))
    return _profile(b"prtr", b"CMYK", b"Lab ", tags)


def _lab(xyz: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of (..., 3) XYZ, white D50."""
    x, y, z = np.moveaxis(np.cbrt(np.maximum(xyz / WHITE, 0)), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1).clip(
        (0, -128, -128), (100, 127, 127)
    )


def _xyz_of(lab: np.ndarray) -> np.ndarray:
    y = (lab[..., 0] + 16) / 116
    return np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], axis=-1) ** 3 * WHITE


def _table(grid: np.ndarray) -> bytes:
    """A lut8Type: (g, ..., g, outputs), [0, 255], its last input varying fastest."""
    inputs, side, outputs = grid.ndim - 1, len(grid), grid.shape[-1]
    ramp = bytes(range(256))
    head = b"mft1\0\0\0\0" + bytes([inputs, outputs, side, 0])
    unit = struct.pack(">9i", *(np.eye(3, dtype=int) * 65536).ravel())
    return head + unit + ramp * inputs + grid.astype(np.uint8).tobytes() + ramp * outputs


def _profile(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    at, table, body = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += struct.pack(">4sII", name, at + len(body), len(data))
        body += data
    words = (0x02400000, kind, space, connection, bytes(12), b"acsp")
    head = struct.pack(">I4sI4s4s4s12s4s", at + len(body), bytes(4), *words)
    illuminant = struct.pack(">3i", *(round(v * 65536) for v in WHITE))
    return head.ljust(68, b"\0") + illuminant + bytes(128 - 68 - 12) + table + body


def _xyz(values: Any) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(float(v) * 65536) for v in values))


def _curve(gamma: float | None) -> bytes:
    if gamma is not None:
        return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
    steps = np.rint(65535 * linear(np.linspace(0, 1, 1024))).astype(int)
    return b"curv\0\0\0\0" + struct.pack(">I1024H", 1024, *steps)


def _text_description(name: str) -> bytes:
    text = name.encode() + b"\0"
    return b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(12 + 67)


def linear(values: np.ndarray) -> np.ndarray:
    """sRGB's curve, [0, 1] (IEC 61966-2-1)."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def encoded(values: np.ndarray) -> np.ndarray:
    """Its inverse, clipped to [0, 1]."""
    values = np.clip(values, 0, 1)
    return np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055)


def in_profile(srgb: np.ndarray, primaries: np.ndarray, gamma: float | None) -> np.ndarray:
    """(..., 3) uint8 sRGB as float levels of an RGB profile, by the plain formula."""
    light = linear(srgb / 255) @ SRGB.T @ np.linalg.inv(primaries).T
    light = np.clip(light, 0, 1)
    return 255 * (encoded(light) if gamma is None else light ** (1 / gamma))


def srgb_of(profile: bytes, pixels: np.ndarray, mode: str) -> np.ndarray:
    """What ImageCms shows of pixels (H, W, C) uint8."""
    image = Image.frombytes(mode, pixels.shape[1::-1], pixels.tobytes())
    theirs, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    return np.asarray(ImageCms.profileToProfile(image, theirs, srgb, outputMode="RGB"))
