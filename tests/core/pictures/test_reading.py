"""core.pictures.reading: files of the kinds that people have, to their own numbers, upright."""

import io

import numpy as np
import pillow_heif
import pytest
from picture_files import (
    ADOBE_RGB,
    DISPLAY_P3,
    grey_profile,
    matrix_profile,
    png16,
    png_chunk,
    press_profile,
    saved,
    tiff16,
)
from PIL import Image

from core.errors import BadImage
from core.pictures.limits import Limits
from core.pictures.native import Native, upright
from core.pictures.reading import decode
from core.pictures.writing import fit, write

P3 = matrix_profile(DISPLAY_P3, None)


def noise(*shape: int, most: int = 255) -> np.ndarray:
    kind = np.uint8 if most == 255 else np.uint16
    values = np.random.default_rng(0).integers(0, most, shape, dtype=kind, endpoint=True)
    values.flat[0] = most
    return values


def smooth(height: int, width: int) -> np.ndarray:
    """(H, W, 3) uint8 that lossy formats keep: dark on the left, light on the right, red at the top."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([200 - 150 * y / height, 200 * x / width, 90 + 0 * x], axis=-1).astype(np.uint8)


# --- bits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("most", [1023, 4095, 16_383, 65_535])
def test_png_of_more_than_8_bits_is_whole_and_white_is_found(channels: int, most: int) -> None:
    values = noise(18, 20, channels, most=most)
    native = decode(png16(values)).native
    assert np.array_equal(native.values, values)
    assert (native.white, native.alpha) == (most, None)


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_of_16_bits_is_whole(order: str) -> None:
    values = noise(18, 20, 3, most=65_535)
    native = decode(tiff16(values, order=order)).native
    assert np.array_equal(native.values, values)
    assert native.white == 65_535


def test_transparency_of_16_bits_is_whole() -> None:
    values = noise(18, 20, 4, most=65_535)
    native = decode(png16(values)).native
    assert np.array_equal(native.values, values[:, :, :3])
    assert np.array_equal(native.alpha, values[:, :, 3])


def test_heic_of_10_bits_is_more_than_8() -> None:
    values = np.repeat(smooth(64, 64).astype(np.uint16) * 257, 1, axis=0)
    picture = pillow_heif.from_bytes("RGB;16", (64, 64), values.tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, quality=95, chroma=444)
    native = decode(buffer.getvalue()).native
    assert (native.values.dtype, native.white) == (np.dtype(np.uint16), 65_535)
    assert np.abs(native.values.astype(int) - values).mean() < 2 * 257
    assert len(np.unique(native.values)) > 256


def test_half_a_picture_of_16_bits_is_refused() -> None:
    values = noise(18, 20, 3, most=65_535)
    for data in (png16(values), write(fit(Native(values, 65_535), "TIFF")).data):
        with pytest.raises(BadImage, match="damaged or incomplete"):
            decode(data[: len(data) // 2])


# --- formats ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "options"), [("HEIF", {"quality": 95}), ("AVIF", {"quality": 95})])
def test_phones_and_the_web_s_newer_formats_open(kind: str, options: dict[str, int]) -> None:
    picture = smooth(96, 64)
    decoded = decode(saved(Image.fromarray(picture), kind, icc_profile=P3, **options))
    assert decoded.size == (64, 96)
    assert np.abs(decoded.native.values.astype(int) - picture).mean() < 3
    assert decoded.native.profile == P3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_what_is_turned_twice_over_is_turned_once(kind: str, orientation: int) -> None:
    """Both formats are turned by their own word; phones write EXIF's beside it."""
    stored = smooth(96, 64)
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Maker"
    data = saved(Image.fromarray(stored), kind, exif=exif.tobytes(), quality=95)
    assert b"Maker" in data
    assert any(word in data for word in (b"irot", b"imir")) == (orientation > 1)
    seen = decode(data)
    expected = upright(stored, orientation)
    assert seen.native.values.shape == expected.shape
    assert seen.size == expected.shape[1::-1]
    assert np.abs(seen.native.values.astype(int) - expected).mean() < 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_of_16_bits_is_turned_once(orientation: int) -> None:
    values = noise(18, 20, 3, most=65_535)
    assert np.array_equal(decode(tiff16(values, orientation)).native.values, upright(values, orientation))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_png_of_16_bits_is_turned_once(orientation: int) -> None:
    values = noise(18, 20, 3, most=65_535)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = png16(values, png_chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")))
    assert np.array_equal(decode(data).native.values, upright(values, orientation))


def test_a_large_jpeg_is_decoded_no_larger_than_needed() -> None:
    picture = smooth(512, 768)
    exif = Image.Exif()
    exif[0x0112] = 6
    decoded = decode(saved(Image.fromarray(picture), "JPEG", exif=exif, quality=95), enough=90_000)
    assert decoded.size == (512, 768)
    assert decoded.native.size == (256, 384)
    expected = upright(picture[::2, ::2], 6)
    assert np.abs(decoded.native.values.astype(int) - expected).mean() < 3


def test_limits_are_asked_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[object] = []
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: decoded.append(self))
    with pytest.raises(BadImage, match=r"20 x 18 px; reduce it to at most 0\.0003 megapixels"):
        decode(png16(noise(18, 20, 3, most=65_535)), Limits(300))
    assert not decoded


# --- colours and channels ---------------------------------------------------------------------------


def test_grey_keeps_its_one_channel_and_its_profile() -> None:
    values, profile = noise(18, 20), grey_profile(1.8)
    native = decode(saved(Image.fromarray(values), "PNG", icc_profile=profile)).native
    assert np.array_equal(native.values[:, :, 0], values)
    assert (native.mode, native.profile) == ("L", profile)


def test_a_profile_of_other_channels_or_of_garbage_is_none() -> None:
    grey, colours = Image.fromarray(noise(18, 20)), Image.fromarray(noise(18, 20, 3))
    assert decode(saved(grey, "PNG", icc_profile=P3)).native.profile is None
    for profile in (grey_profile(1.8), b"garbage" * 40, P3[:200], b"\0" * 128):
        native = decode(saved(colours, "JPEG", icc_profile=profile)).native
        assert (native.profile, native.lost) == (None, ("a colour profile that cannot be used",))


def test_inks_stay_inks_where_a_profile_says_which() -> None:
    ink = Image.fromarray(np.repeat(np.repeat(noise(3, 3, 4), 16, axis=0), 16, axis=1), "CMYK")
    native = decode(saved(ink, "TIFF", icc_profile=press_profile())).native
    assert native.mode == "CMYK"
    assert np.array_equal(native.values, np.asarray(ink))
    plain = decode(saved(ink, "TIFF")).native
    assert (plain.mode, plain.lost, native.lost) == ("RGB", ("its inks, now sRGB",), ())
    assert np.array_equal(plain.values, np.asarray(ink.convert("RGB")))


def test_grey_with_alpha_and_a_palette_with_a_hole_keep_their_alpha() -> None:
    la = noise(18, 20, 2)
    image = Image.merge("LA", [Image.fromarray(la[..., i]) for i in range(2)])
    native = decode(saved(image, "PNG")).native
    assert np.array_equal(native.values[:, :, 0], la[:, :, 0])
    assert np.array_equal(native.alpha, la[:, :, 1])
    index = (np.arange(20 * 30).reshape(20, 30) % 3).astype(np.uint8)
    palette = Image.fromarray(index)
    palette.putpalette(bytes(range(9)), "RGB")
    native = decode(saved(palette, "PNG", transparency=1)).native
    assert np.array_equal(native.alpha, np.where(index == 1, 0, 255))
    assert native.mode == "RGB"


def test_lab_is_what_it_means() -> None:
    """L* = 50 without colour is 118.9 in sRGB."""
    lab = np.full((20, 20, 3), (round(50 * 2.55), 0, 0), np.uint8)
    native = decode(saved(Image.frombytes("LAB", (20, 20), lab.tobytes()), "TIFF")).native
    assert np.abs(native.values.astype(int) - 119).max() <= 2


def test_adobe_rgb_s_numbers_are_left_to_its_profile() -> None:
    values, profile = noise(18, 20, 3), matrix_profile(ADOBE_RGB, 563 / 256, "Adobe")
    native = decode(saved(Image.fromarray(values), "TIFF", icc_profile=profile)).native
    assert np.array_equal(native.values, values)
    assert native.profile == profile
