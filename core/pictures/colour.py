"""Between a picture's own colours and sRGB, by its ICC profile; arrays are (H, W, C) uint8, [0, 255]."""

import functools
import io
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from core.pictures.native import MODES, Native, strips

# How a colour space is said in a profile's header.
_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}
# The largest of press profiles are half as long; a few of them are remembered.
MAX_PROFILE_BYTES = 4 * 2**20
# A profile that moves no colour further, in levels, is sRGB's by another name.
SAME = 1
# By channels: where an edit changed a pixel by so many levels, nothing is left of what sRGB could not hold of
# it. Inks give way sooner: half the one and half the other way to print a colour is a third colour.
OTHER = {1: 64.0, 3: 64.0, 4: 8.0}


@functools.cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@functools.cache
def srgb_profile() -> bytes:
    """sRGB's ICC profile; the same bytes whenever it is made."""
    data = bytearray(_srgb().tobytes())
    data[24:36] = bytes.fromhex("07D000010001000000000000")  # the header's date: 1 January 2000
    return bytes(data)


def means(profile: object, mode: str) -> bool:
    """Whether an ICC profile can be read, and is one for pictures of PIL's mode "L", "RGB" or "CMYK"."""
    usable = isinstance(profile, bytes) and len(profile) <= MAX_PROFILE_BYTES
    return usable and _to_srgb(profile, mode) is not None


def name(profile: bytes) -> str:
    """What a profile calls itself, in at most 40 printable characters; "" where it says nothing."""
    try:
        said = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except (ImageCms.PyCMSError, OSError, ValueError):
        return ""
    return "".join(c for c in said.strip() if c.isprintable())[:40]


def to_srgb(pixels: np.ndarray, profile: bytes | None) -> np.ndarray:
    """(H, W, 3) of pixels (H, W, C) that mean what the profile says; None: sRGB, or grey of its curve."""
    mode = MODES[pixels.shape[2]]
    if profile is None or _is_srgb(profile, mode):
        return np.repeat(pixels, 3, axis=2) if mode == "L" else pixels
    result = _applied(_to_srgb(profile, mode), pixels, 3)
    # Rounding tints what has no colour.
    return np.repeat(result[:, :, 1:2], 3, axis=2) if mode == "L" else result


def from_srgb(pixels: np.ndarray, profile: bytes | None, channels: int) -> np.ndarray:
    """(H, W, channels) as the profile writes the colours of (H, W, 3) sRGB; channels: 1 or 3, 4 of CMYK."""
    mode = MODES[channels]
    if profile is not None and not _is_srgb(profile, mode):
        return _applied(_from_srgb(profile, mode), pixels, channels)
    # What has one channel is grey in all three.
    return pixels[:, :, 1:2] if channels == 1 else pixels


def writable(profile: bytes, mode: str) -> bool:
    """Whether colours can be written as the profile means them; some press profiles are for reading alone."""
    return _from_srgb(profile, mode) is not None


def changed(native: Native, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The native values with an edit in them: (H, W, C) of their own type, the same where it changes nothing.

    before, after: (H, W, 3) sRGB, the picture as it was worked on, and edited. What sRGB or its 8 bits could
    not hold of a pixel stays, the less so the more of it is new.
    """
    result = native.values.copy()
    for rows in strips(len(result)):
        apart = np.abs(after[rows].astype(np.int16) - before[rows]).max(2)
        touched = np.flatnonzero(apart.any(0))
        if len(touched) == 0:
            continue
        columns = slice(touched[0], touched[-1] + 1)
        part = native.part((columns.start, rows.start, columns.stop, rows.stop))
        result[rows, columns] = _changed(part, before[rows, columns], after[rows, columns], apart[:, columns])
    return result


def _changed(native: Native, before: np.ndarray, after: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """The values (H, W, C) of a few rows; apart: (H, W), how far before and after are from each other."""
    channels, scale = native.values.shape[2], np.float32(native.white / 255)
    was, now = (from_srgb(image, native.profile, channels) * scale for image in (before, after))
    own = native.over_white(slice(None))
    keep = np.clip(1 - apart / np.float32(OTHER[channels]), 0, 1)[:, :, None]
    change = now - was + (1 - keep) * (was - own)
    touched = apart > 0
    if native.alpha is not None:
        # What shows through is white, whatever is painted: the rest must change the more.
        change *= native.white / np.maximum(native.alpha[:, :, None], 1).astype(np.float32)
        touched = touched & (native.alpha > 0)
    values = np.rint(np.clip(native.values + change, 0, native.white)).astype(native.values.dtype)
    return np.where(touched[:, :, None], values, native.values)


def lab_to_srgb(image: Image.Image) -> np.ndarray:
    """(H, W, 3) of a picture in PIL's mode "LAB"."""
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    return np.array(ImageCms.profileToProfile(image, lab, _srgb(), outputMode="RGB"))


def _applied(transform: Any, pixels: np.ndarray, channels: int) -> np.ndarray:
    height, width = pixels.shape[:2]
    result = np.empty((height, width, channels), np.uint8)
    for rows in strips(height):
        given = pixels[rows] if pixels.shape[2] > 1 else pixels[rows, :, 0]
        mode = MODES[pixels.shape[2]]
        strip = Image.frombytes(mode, given.shape[1::-1], np.ascontiguousarray(given).tobytes())
        made = np.asarray(ImageCms.applyTransform(strip, transform))
        result[rows] = made if made.ndim == 3 else made[:, :, None]
    return result


@functools.lru_cache(maxsize=4)
def _to_srgb(profile: bytes, mode: str) -> Any:
    return _transform(profile, mode, back=False)


@functools.lru_cache(maxsize=4)
def _from_srgb(profile: bytes, mode: str) -> Any:
    return _transform(profile, mode, back=True)


def _transform(profile: bytes, mode: str, back: bool) -> Any:
    """PIL's transform between a profile and sRGB; None where there is none."""
    try:
        theirs = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if theirs.profile.xcolor_space.strip() != _SPACES[mode]:
            return None
        if back:
            return ImageCms.buildTransform(_srgb(), theirs, "RGB", mode)
        return ImageCms.buildTransform(theirs, _srgb(), mode, "RGB")
    # Of a stranger's profile nothing is certain; a picture without one is sRGB.
    except Exception:
        return None


@functools.lru_cache(maxsize=4)
def _is_srgb(profile: bytes, mode: str) -> bool:
    """Whether its colours are sRGB's to within rounding; converting them would only round once more."""
    if mode == "CMYK":
        return False
    steps = np.arange(0, 256, 15, dtype=np.uint8)
    axes = np.meshgrid(*[steps] * (3 if mode == "RGB" else 1), indexing="ij")
    grid = np.stack(axes, axis=-1).reshape(1, -1, len(axes))  # (1, 18^C, C)
    made = _applied(_to_srgb(profile, mode), grid, 3)
    return bool(np.abs(made.astype(np.int16) - grid).max() <= SAME)
