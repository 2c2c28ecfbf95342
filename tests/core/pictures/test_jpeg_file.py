"""core.pictures.jpeg_file: a JPEG without what its file says, its pixels untouched."""

import io

import numpy as np
import pytest
from picture_files import DISPLAY_P3, matrix_profile, press_profile, saved
from PIL import Image, ImageOps
from PIL.ExifTags import IFD, Base

from core.errors import BadImage
from core.pictures.jpeg_file import with_exif


def place() -> Image.Exif:
    exif = Image.Exif()
    exif[Base.Copyright], exif[Base.Orientation] = "Mine", 6
    exif.get_ifd(IFD.GPSInfo)[29] = "2024:05:01"
    return exif


@pytest.mark.parametrize("progressive", [False, True])
def test_pixels_and_profile_stay_and_the_rest_goes(progressive: bool) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    profile = matrix_profile(DISPLAY_P3, None)
    options = {"exif": place(), "icc_profile": profile, "xmp": b"GPSLatitude", "comment": b"at home"}
    data = saved(Image.fromarray(picture), "JPEG", progressive=progressive, **options)
    kept = Image.Exif()
    kept[Base.Copyright] = "Mine"
    clean = with_exif(data + b"\xff\xd8 a second picture, GPS", kept.tobytes().removeprefix(b"Exif\0\0"))
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(clean)) as after:
        assert np.array_equal(np.asarray(before), np.asarray(after))
        assert dict(after.getexif()) == {Base.Copyright: "Mine", Base.Orientation: 6}
        assert after.info["icc_profile"] == profile
    assert not any(word in clean for word in (b"GPS", b"home", b"2024"))
    assert clean.endswith(b"\xff\xd9")


def test_inks_are_still_read_as_inks() -> None:
    picture = np.full((16, 16, 4), (10, 90, 200, 30), np.uint8)
    assert with_exif(saved(Image.new("RGB", (16, 16)), "JPEG", exif=place()), b"").count(b"Exif\0\0") == 1
    data = saved(Image.frombytes("CMYK", (16, 16), picture.tobytes()), "JPEG", icc_profile=press_profile())
    with Image.open(io.BytesIO(with_exif(data, b""))) as image:
        assert image.mode == "CMYK"
        assert np.abs(np.asarray(image).astype(int) - picture).max() <= 3
        assert "exif" not in image.info


@pytest.mark.parametrize(
    "data", [b"\xff\xd8", b"\xff\xd8\xff\xe1\xff", b"\xff\xd8\xff\xe0\0\x10JFIF\0", b"\xff\xd8no"]
)
def test_what_has_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(BadImage, match="damaged or incomplete"):
        with_exif(data, b"")


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_its_bytes_stay_and_its_orientation_follows(orientation: int, turns: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[Base.Orientation] = orientation
    data = saved(Image.fromarray(picture), "JPEG", exif=exif)
    turned = with_exif(data, b"", turns)
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(turned)) as after:
        assert np.array_equal(np.asarray(before), np.asarray(after))
        wanted = np.rot90(np.asarray(ImageOps.exif_transpose(before)), -turns)
        assert np.array_equal(np.asarray(ImageOps.exif_transpose(after)), wanted)
