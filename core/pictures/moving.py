"""Pictures one after the other, as a file that moves: MP4 (H.264), GIF or animated WebP, each without an end.

MP4 is PyAV's, whose wheels bring their own ffmpeg: OpenCV's writes MPEG-4 part 2, which no browser plays, or
VP9, which phones' galleries and messengers do not. GIF and WebP are Pillow's.
"""

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
from PIL import Image

from core.errors import BadRequest

SUFFIXES: Mapping[str, str] = {"MP4": ".mp4", "GIF": ".gif", "WebP": ".webp"}
TYPES: Mapping[str, str] = {"MP4": "video/mp4", "GIF": "image/gif", "WebP": "image/webp"}
# Pictures a second; GIF counts in hundredths, and most viewers slow down what is faster than this.
FPS = 20
# Longest side, in pixels: of a GIF, which packs badly, fewer.
SIDES: Mapping[str, int] = {"MP4": 720, "GIF": 400, "WebP": 480}
# x264's constant quality: below nothing is seen of it, above skin begins to smear.
_CRF = "18"
_BT709 = 1  # in H.264's tables of primaries, transfer and matrix alike
_WEBP: Mapping[str, Any] = {"quality": 82, "method": 2}


def moving_kind_of(name: str | PurePath) -> str:
    """The format that a file's name asks for. Raises: BadRequest on one that does not move."""
    path = PurePath(name)
    found = next((kind for kind, suffix in SUFFIXES.items() if suffix == path.suffix.lower()), None)
    if found is None:
        *most, last = SUFFIXES.values()
        raise BadRequest(f"Cannot save a clip as {path.name!r}; end the name in {', '.join(most)} or {last}.")
    return found


def write_moving(frames: Iterable[np.ndarray], kind: str) -> bytes:
    """A file of `frames`, each (H, W, 3) uint8 sRGB, of one size, FPS a second; kind: of SUFFIXES.

    A side that is odd loses its last pixel: video halves its colours. Raises: what `frames` raises.
    """
    return _WRITERS[kind](frame[: len(frame) // 2 * 2, : frame.shape[1] // 2 * 2] for frame in frames)


def _mp4(frames: Iterator[np.ndarray]) -> bytes:
    import av  # its libraries load only where a clip is made
    from av.video.reformatter import ColorRange, Colorspace

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": _CRF, "preset": "medium"})
        stream.pix_fmt = "yuv420p"
        codec = stream.codec_context
        codec.color_primaries = codec.color_trc = codec.colorspace = _BT709
        codec.color_range = ColorRange.MPEG
        for number, frame in enumerate(frames):
            if not number:
                stream.height, stream.width = frame.shape[:2]
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), "rgb24").reformat(
                format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
            )
            picture.pts = number
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return file.getvalue()


def _gif(frames: Iterator[np.ndarray]) -> bytes:
    """Every second picture; one palette, which keeps rare colours (eyes); no dither, which would crawl."""
    pictures = [Image.fromarray(frame) for number, frame in enumerate(frames) if number % 2 == 0]
    some = np.vstack([np.asarray(picture.resize((96, 96))) for picture in pictures[::4]])
    palette = Image.fromarray(some).quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=2)
    flat = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    return _pillow(flat, "GIF", 2000 // FPS, optimize=False)


def _webp(frames: Iterator[np.ndarray]) -> bytes:
    return _pillow([Image.fromarray(frame) for frame in frames], "WEBP", 1000 // FPS, **_WEBP)


def _pillow(pictures: Sequence[Image.Image], kind: str, duration: int, **settings: Any) -> bytes:
    """duration: of each picture, in milliseconds."""
    file, (first, *others) = io.BytesIO(), pictures
    first.save(file, kind, save_all=True, append_images=others, duration=duration, loop=0, **settings)
    return file.getvalue()


_WRITERS: Mapping[str, Callable[[Iterator[np.ndarray]], bytes]] = {"MP4": _mp4, "GIF": _gif, "WebP": _webp}
