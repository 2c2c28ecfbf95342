"""core.pictures.writing: what each format keeps of a picture, read again by PIL and OpenCV alone."""

import io

import cv2
import numpy as np
import pytest
from picture_files import DISPLAY_P3, grey_profile, matrix_profile, press_profile
from PIL import Image
from PIL.ExifTags import IFD, Base

from core.errors import BadRequest
from core.pictures.colour import srgb_profile, to_srgb
from core.pictures.metadata import Metadata
from core.pictures.native import Native
from core.pictures.writing import KINDS, SUFFIXES, fit, kind_in, kind_of, write

P3 = matrix_profile(DISPLAY_P3, None, "Display P3")


def noise(*shape: int, most: int = 255) -> np.ndarray:
    kind = np.uint8 if most == 255 else np.uint16
    return np.random.default_rng(0).integers(0, most, shape, dtype=kind, endpoint=True)


def notes() -> Metadata:
    exif = Image.Exif()
    exif[Base.Orientation], exif[Base.Copyright] = 1, "© Mine".encode()
    exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = "2024:05:01 12:00:00"
    return Metadata(exif.tobytes().removeprefix(b"Exif\0\0"), ("date", "rights"), place=True)


def opened(native: Native, kind: str, metadata: Metadata | None = None) -> Image.Image:
    image = Image.open(io.BytesIO(write(fit(native, kind), metadata).data))
    image.load()
    return image


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_stay_sixteen(kind: str, channels: int) -> None:
    native = Native(noise(9, 12, channels, most=65_535), 65_535)
    data = np.frombuffer(write(fit(native, kind)).data, np.uint8)
    again = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    assert np.array_equal(again[..., ::-1] if channels == 3 else again[..., None], native.values)


@pytest.mark.parametrize("kind", ["JPEG", "WebP"])
def test_other_formats_get_eight_of_them(kind: str) -> None:
    native = Native(np.full((16, 16, 3), 30_000, np.uint16), 65_535)
    assert np.abs(np.asarray(opened(native, kind)).astype(int) - 30_000 / 257).max() <= 2
    assert "bits beyond 8" in write(fit(native, kind)).said


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WebP"])
def test_transparency_stays_where_the_format_has_it(kind: str) -> None:
    native = Native(noise(9, 12, 3), alpha=noise(9, 12))
    image = opened(native, kind)
    assert image.mode == "RGBA"
    alpha = np.asarray(image)[:, :, 3]
    assert np.array_equal(alpha, native.alpha)
    if kind != "WebP":
        assert np.array_equal(np.asarray(image)[:, :, :3], native.values)


def test_a_jpeg_shows_it_over_white_and_says_so() -> None:
    native = Native(np.full((16, 16, 3), 100, np.uint8), alpha=np.full((16, 16), 128, np.uint8))
    assert np.abs(np.asarray(opened(native, "JPEG")).astype(int) - 177).max() <= 2
    assert write(fit(native, "JPEG")).said == "Left out: transparency, laid over white."


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_with_alpha_and_of_16_bits_with_alpha_is_whole(kind: str) -> None:
    grey = Native(noise(9, 12, 1), alpha=noise(9, 12))
    image = opened(grey, kind).convert("RGBA")
    assert np.array_equal(np.asarray(image)[:, :, 0], grey.values[:, :, 0])
    assert np.array_equal(np.asarray(image)[:, :, 3], grey.alpha)
    deep = Native(noise(9, 12, 3, most=65_535), 65_535, noise(9, 12, most=65_535))
    again = cv2.imdecode(np.frombuffer(write(fit(deep, kind)).data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(again[:, :, 2::-1], deep.values)
    assert np.array_equal(again[:, :, 3], deep.alpha)


@pytest.mark.parametrize("kind", sorted(set(KINDS.values())))
def test_profile_and_notes_are_in_every_format(kind: str) -> None:
    written = write(fit(Native(noise(16, 16, 3), profile=P3), kind), notes())
    with Image.open(io.BytesIO(written.data)) as image:
        assert image.info["icc_profile"] == P3
        exif = image.getexif()
        assert exif[Base.Copyright].encode("latin-1") == "© Mine".encode()
        assert exif.get(Base.Orientation, 1) == 1
        assert exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] == "2024:05:01 12:00:00"
    assert written.said == "Kept: its colours, Display P3, date, rights; left out: place."


@pytest.mark.parametrize("kind", sorted(set(KINDS.values())))
def test_without_notes_nothing_is_said(kind: str) -> None:
    image = opened(Native(noise(16, 16, 3)), kind)
    assert not {Base.Copyright, Base.DateTime, IFD.Exif} & set(image.getexif())
    assert "icc_profile" not in image.info
    assert write(fit(Native(noise(16, 16, 3)), kind)).said == ""


def test_what_is_withheld_is_not_in_the_file_and_said_to_be_left_out() -> None:
    native = Native(np.full((16, 16, 3), 4000, np.uint16), 4095)
    written = write(fit(native, "TIFF"), notes().silent)
    assert b"Mine" not in written.data
    assert written.said == "Kept: 12 bits a channel; left out: date, rights, place."


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_grey_stays_one_channel_with_its_profile(kind: str) -> None:
    native = Native(noise(16, 16, 1), profile=grey_profile(1.8))
    image = opened(native, kind)
    assert (image.mode, image.info["icc_profile"]) == ("L", native.profile)


def test_grey_where_there_is_none_is_colours_without_colour() -> None:
    native = Native(noise(16, 16, 1), profile=grey_profile(1.8))
    fitted = fit(native, "WebP").native
    assert np.array_equal(fitted.values, to_srgb(native.values, native.profile))
    assert fitted.profile == srgb_profile()


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_inks_stay_inks(kind: str) -> None:
    flat = np.tile(np.array([[[10, 90, 200, 30]]], np.uint8), (16, 16, 1))
    image = opened(Native(flat, profile=press_profile()), kind)
    assert image.mode == "CMYK"
    assert np.abs(np.asarray(image).astype(int) - flat).max() <= 3
    assert image.info["icc_profile"] == press_profile()


@pytest.mark.parametrize(("kind", "both_ways"), [("PNG", True), ("WebP", True), ("TIFF", False)])
def test_inks_that_cannot_be_written_become_what_they_show(kind: str, both_ways: bool) -> None:
    native = Native(noise(16, 16, 4), profile=press_profile(both_ways))
    fitted = fit(native, kind)
    assert np.array_equal(fitted.native.values, to_srgb(native.values, native.profile))
    assert fitted.native.profile == srgb_profile()
    assert write(fitted).said == "Left out: its inks, now sRGB."


def test_what_reading_lost_is_said_as_well() -> None:
    native = Native(noise(16, 16, 3, most=65_535), 65_535, lost=("its halo",))
    for kind in ("JPEG", "WebP"):
        assert write(fit(native, kind)).said == "Left out: its halo, bits beyond 8 a channel."


def test_equal_pictures_are_equal_bytes() -> None:
    native = Native(noise(16, 16, 4), profile=press_profile())
    for kind in set(KINDS.values()):
        assert write(fit(native, kind), notes()).data == write(fit(native, kind), notes()).data


def test_a_format_goes_by_the_name_s_end() -> None:
    assert [kind_of(f"a.{end}") for end in ("png", "JPG", "jpeg", "tif", "tiff", "WebP")] == [
        "PNG", "JPEG", "JPEG", "TIFF", "TIFF", "WebP",
    ]  # fmt: skip
    for name in ("a.heic", "a", "folder.png/a.xyz"):
        with pytest.raises(BadRequest, match=r"Cannot save as 'a[^']*'; end the name in \.png, "):
            kind_of(name)


def test_webp_has_no_room_for_a_panorama() -> None:
    with pytest.raises(BadRequest, match="at most 16383 px a side"):
        write(fit(Native(np.zeros((16, 16_384, 3), np.uint8)), "WebP"))


@pytest.mark.parametrize("kind", SUFFIXES)
def test_a_file_says_of_which_kind_it_is(kind: str) -> None:
    data = write(fit(Native(noise(16, 16, 3)), kind)).data
    assert kind_in(data) == kind
    assert kind_of(f"a{SUFFIXES[kind]}") == kind
    assert kind_in(data[1:]) is None


@pytest.mark.parametrize("kind", ["GIF", "BMP", "AVIF"])
def test_a_file_of_a_kind_that_is_not_written_is_none_of_them(kind: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(noise(16, 16, 3)).save(buffer, kind)
    assert kind_in(buffer.getvalue()) is None
    assert kind_in(b"") is None
