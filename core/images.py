"""The only border between uint8 HWC arrays and float tensors, and between strangers' files and arrays.

An image is HWC uint8 RGB, [0, 255], sRGB as stored; a tensor is NCHW, [-1, 1].
"""

import io
import os
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import torch
from PIL import Image

from core.errors import BadImage, BadRequest

MAX_PIXELS = 40_000_000
MAX_SIDE = 12_000
MIN_SIDE = 16
# The largest honest file: 40 megapixels of uncompressed RGBA, and a little for its header.
MAX_FILE_BYTES = 4 * MAX_PIXELS + 2**20

# Few formats, so that only decoders meant for photos ever see a stranger's bytes.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
_FORMAT_NAMES = "JPEG, PNG, WebP, BMP, TIFF or GIF"
_EXIF_ORIENTATION = 0x0112

ImageSource = str | os.PathLike[str] | bytes | BinaryIO


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


def open_image(source: ImageSource) -> np.ndarray:
    """Decode an untrusted picture to (H, W, 3) uint8 RGB, upright, transparency over white.

    source: a path, the file's bytes, or a binary file object. Of an animation, the first frame.
    Raises: BadImage, with one sentence, whatever is wrong with it. Size is judged from the header:
    nothing beyond MAX_PIXELS or MAX_SIDE is ever decoded.
    """
    data = _read(source)
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            _check_size(*image.size)
            image.load()
            return _upright(_to_rgb(image), _orientation(image))
    except BadImage:
        raise
    except Image.DecompressionBombError as error:
        raise BadImage(_too_large("far too many pixels")) from error
    except Image.UnidentifiedImageError as error:
        raise BadImage(f"This file is not a picture we can open; use {_FORMAT_NAMES}.") from error
    # Decoders fed hostile bytes raise nearly anything (OSError, SyntaxError, ValueError, struct.error, ...).
    except Exception as error:
        raise BadImage("This picture is damaged or incomplete; save it again and retry.") from error


def encode_jpeg(image: np.ndarray, quality: int = 90) -> bytes:
    """(H, W, 3) uint8 as a JPEG file, colour at full resolution (lips and eyes are small and coloured)."""
    return _encode(image, "JPEG", quality=quality, subsampling=0)


def encode_png(image: np.ndarray) -> bytes:
    """(H, W, 3) uint8 as a PNG file, lossless."""
    # OpenCV packs a photo of 12 megapixels in half a second, PIL in two; the file grows by a tenth.
    return cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()


def save_image(image: np.ndarray, path: str | os.PathLike[str]) -> None:
    """Write (H, W, 3) uint8 as the path's suffix says: .png, .jpg or .jpeg.

    Raises: BadRequest on another suffix or where the file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".png":
        data = encode_png(image)
    elif suffix in (".jpg", ".jpeg"):
        data = encode_jpeg(image, quality=95)
    else:
        raise BadRequest(f"Cannot save as {path.name!r}; end the name in .png, .jpg or .jpeg.")
    try:
        path.write_bytes(data)
    except OSError as error:
        raise BadRequest(f"Cannot write {str(path)!r}: {error.strerror}; choose another place.") from error


def _encode(image: np.ndarray, kind: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()


def _read(source: ImageSource) -> bytes:
    try:
        if isinstance(source, bytes):
            data = source
        elif isinstance(source, (str, os.PathLike)):
            with open(source, "rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
        else:
            data = source.read(MAX_FILE_BYTES + 1)
    # ValueError: a path with a null byte, or a closed file object.
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadImage(f"The picture cannot be read ({reason}); check its path.") from error
    if not data:
        raise BadImage("This file is empty; choose another picture.")
    if len(data) > MAX_FILE_BYTES:
        raise BadImage(f"This file is larger than {MAX_FILE_BYTES // 10**6} MB; choose a smaller picture.")
    return data


def _check_size(width: int, height: int) -> None:
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise BadImage(_too_large(f"{width} x {height} px"))
    if min(width, height) < MIN_SIDE:
        raise BadImage(
            f"This picture is {width} x {height} px; at least {MIN_SIDE} px a side are needed to hold a face."
        )


def _too_large(size: str) -> str:
    return (
        f"This picture has {size}; reduce it to at most {MAX_PIXELS // 10**6} megapixels "
        f"and {MAX_SIDE} px a side."
    )


def _to_rgb(image: Image.Image) -> np.ndarray:
    """(H, W, 3) uint8 of a loaded picture in any of PIL's modes."""
    if image.mode.startswith("I"):
        return _grey(_from_16_bit(np.asarray(image)))
    if image.mode == "F":
        return _grey(_from_float(np.asarray(image)))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"))


def _grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(values[:, :, None], 3, axis=2)


def _from_16_bit(values: np.ndarray) -> np.ndarray:
    """[0, 65535] to uint8 by 65535 / 255 = 257; PIL's own conversion would saturate at 255."""
    values = values.astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise BadImage("This picture holds more than 16 bits a pixel; save it with 8 or 16.")
    return ((values + 128) // 257).astype(np.uint8)


def _from_float(values: np.ndarray) -> np.ndarray:
    """Floats mean [0, 1] when none is larger, else [0, 255]."""
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 255:
        raise BadImage("This picture's float values lie outside 0..1 and 0..255; save it with 8 bits.")
    return np.rint(values * (255 if values.max() <= 1 else 1)).astype(np.uint8)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 where the EXIF block is missing or damaged, which costs no pixel."""
    try:
        return image.getexif().get(_EXIF_ORIENTATION, 1)
    # As many kinds as for pixels; a bad note is no reason to refuse a good picture.
    except Exception:
        return 1


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo an EXIF orientation: 5 to 8 store columns as rows; then rows or columns may run backwards."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
