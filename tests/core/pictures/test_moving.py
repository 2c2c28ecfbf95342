"""core.pictures.moving: files that move, read back by other hands than wrote them."""

import io
from collections.abc import Iterator

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from core.errors import BadRequest, Cancelled
from core.pictures.moving import FPS, moving_kind_of, write_moving


def bars(shift: int, size: tuple[int, int] = (64, 96)) -> np.ndarray:
    """(H, W, 3) uint8: flat colours that every format can hold, and a bar that moves."""
    picture = np.zeros((*size, 3), np.uint8)
    picture[:, :32], picture[:, 32:64], picture[:, 64:] = (200, 40, 40), (40, 160, 60), (60, 80, 200)
    picture[:16, shift : shift + 16] = 240
    return picture


FRAMES = [bars(8 * step) for step in range(8)]


@pytest.mark.parametrize(("kind", "each"), [("GIF", 2), ("WebP", 1)])
def test_pillow_reads_what_moves_for_ever(kind: str, each: int) -> None:
    """A GIF has every second picture, for twice as long."""
    image = Image.open(io.BytesIO(write_moving(iter(FRAMES), kind)))
    assert (image.format, image.n_frames, image.size) == (kind.upper(), 8 // each, (96, 64))
    assert image.info["loop"] == 0
    for place, wanted in enumerate(FRAMES[::each]):
        image.seek(place)
        image.load()
        assert image.info["duration"] == each * 1000 / FPS
        assert np.abs(np.asarray(image.convert("RGB")).astype(int) - wanted).mean() < 6


def test_an_mp4_is_what_browsers_and_phones_play(tmp_path) -> None:
    data = write_moving(iter(FRAMES), "MP4")
    with av.open(io.BytesIO(data)) as container:
        (stream,) = container.streams
        codec = stream.codec_context
        assert (codec.name, codec.pix_fmt, stream.average_rate) == ("h264", "yuv420p", FPS)
        assert (codec.width, codec.height, stream.frames) == (96, 64, 8)
        assert (codec.color_primaries, codec.color_trc, codec.colorspace, codec.color_range) == (1, 1, 1, 1)
    (tmp_path / "a.mp4").write_bytes(data)
    video = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    for wanted in FRAMES:
        read, picture = video.read()
        assert read
        # Away from edges, where colours are halved; OpenCV reads BGR.
        for column in (8, 48, 88):
            assert np.abs(picture[40, column, ::-1].astype(int) - wanted[40, column]).max() <= 6
    assert not video.read()[0]


@pytest.mark.parametrize("kind", ["MP4", "GIF", "WebP"])
def test_an_odd_side_loses_a_pixel(kind: str) -> None:
    data = write_moving((bars(step, (65, 97)) for step in range(2)), kind)
    if kind == "MP4":
        with av.open(io.BytesIO(data)) as container:
            size = container.streams[0].codec_context.width, container.streams[0].codec_context.height
    else:
        size = Image.open(io.BytesIO(data)).size
    assert size == (96, 64)


@pytest.mark.parametrize("kind", ["MP4", "GIF", "WebP"])
@pytest.mark.parametrize("after", [0, 3])
def test_whoever_gives_up_is_heard(kind: str, after: int) -> None:
    def frames() -> Iterator[np.ndarray]:
        yield from FRAMES[:after]
        raise Cancelled("Enough.")

    with pytest.raises(Cancelled, match="Enough"):
        write_moving(frames(), kind)


def test_the_ending_says_which() -> None:
    assert [moving_kind_of(f"a{end}") for end in (".mp4", ".GIF", ".webp")] == ["MP4", "GIF", "WebP"]
    with pytest.raises(BadRequest, match=r"clip as 'a\.png'.*\.mp4, \.gif or \.webp"):
        moving_kind_of("folder/a.png")
