"""core.projects.original_file: the photo's own file in a project."""

import dataclasses
import io

import numpy as np
import pytest
from picture_files import DISPLAY_P3, matrix_profile, png16, press_profile, saved
from PIL import Image
from PIL.ExifTags import IFD, Base

from core.errors import BadProject
from core.images import open_photo
from core.pictures.limits import LIMITS, Limits
from core.projects import original_file
from core.projects.original_file import pack_original, read_original
from core.projects.project import Project, open_project, save_project

P3 = matrix_profile(DISPLAY_P3, None)


def place() -> Image.Exif:
    exif = Image.Exif()
    exif[Base.Copyright], exif[Base.Orientation] = "Mine", 6
    exif.get_ifd(IFD.GPSInfo)[29] = "2024:05:01"
    return exif


def files() -> dict[str, bytes]:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 4), dtype=np.uint8)
    colours, exif = Image.fromarray(pixels[:, :, :3].copy()), place()
    return {
        "jpeg": saved(colours, "JPEG", exif=exif, icc_profile=P3),
        "heic": saved(colours, "HEIF", exif=exif, icc_profile=P3),
        "deep": png16(pixels[:, :, :3].astype(np.uint16) * 257),
        "alpha": saved(Image.fromarray(pixels), "PNG", exif=exif),
        "grey": saved(colours.convert("L"), "TIFF", exif=exif),
        "inks": saved(
            Image.frombytes("CMYK", (60, 40), pixels.tobytes()), "TIFF", icc_profile=press_profile()
        ),
    }


@pytest.mark.parametrize("name", files())
def test_an_original_comes_back_to_the_bit_without_its_place(name: str) -> None:
    photo = open_photo(files()[name])
    assert photo.original is not None
    data = pack_original(photo.original)
    assert data is not None
    assert b"2024:05:01" not in data
    again = read_original(data, photo.pixels, LIMITS)
    before, after = photo.original.native(), again.native()
    assert np.array_equal(before.values, after.values)
    assert (before.white, before.profile) == (after.white, after.profile)
    assert (before.alpha is None) == (after.alpha is None)
    assert again.size == photo.original.size
    assert again.metadata.says == photo.original.metadata.says
    assert not again.metadata.place


def test_a_project_carries_it(project: Project, photo: np.ndarray) -> None:
    deep = png16(photo.astype(np.uint16) * 257)
    original = open_photo(deep).original
    saved_project = save_project(dataclasses.replace(project, original=original))
    again = open_project(saved_project)
    assert again.original is not None
    assert np.array_equal(again.original.native().values, photo.astype(np.uint16) * 257)
    assert save_project(again) == saved_project
    assert project.original is open_project(save_project(project)).original is None


def test_one_that_is_too_large_stays_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    original = open_photo(files()["jpeg"]).original
    assert original is not None
    monkeypatch.setattr(original_file, "MAX_ORIGINAL_BYTES", 100)
    assert pack_original(original) is None


@pytest.mark.parametrize(
    ("data", "shape"),
    [
        (b"no picture", (40, 60, 3)),
        (files()["jpeg"], (40, 60, 3)),  # it is upright only the other way round
        (files()["deep"], (80, 120, 3)),
        (files()["deep"][:200], (40, 60, 3)),
    ],
)
def test_what_cannot_be_the_photo_s_original_is_refused(data: bytes, shape: tuple[int, ...]) -> None:
    with pytest.raises(BadProject, match="damaged or was not made by Visagist: its"):
        read_original(data, np.zeros(shape, np.uint8), LIMITS)


def test_a_project_s_original_has_the_limits_of_photos() -> None:
    with pytest.raises(BadProject, match="its original is no picture"):
        read_original(files()["deep"], np.zeros((40, 60, 3), np.uint8), Limits(1000))


def test_a_larger_original_is_taken() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (601, 400)).save(buffer, "PNG")
    assert read_original(buffer.getvalue(), np.zeros((40, 60, 3), np.uint8), LIMITS).size == (601, 400)


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("name", files())
def test_a_turned_photo_s_original_comes_back_turned(name: str, turns: int) -> None:
    photo = open_photo(files()[name])
    turned = photo.turned(turns)
    assert np.array_equal(turned.pixels, np.rot90(photo.pixels, -turns))
    assert photo.original is not None
    assert turned.original is not None
    native = turned.original.native()
    assert np.array_equal(native.values, np.rot90(photo.original.native().values, -turns))
    assert native.size == turned.original.size == turned.pixels.shape[1::-1]
    data = pack_original(turned.original)
    assert data is not None
    again = read_original(data, turned.pixels, LIMITS)
    assert np.array_equal(again.native().eight_bit(), native.eight_bit())
    back = turned.turned(4 - turns).original
    assert back is not None
    assert (back.turns, back.size) == (0, photo.original.size)


@pytest.mark.parametrize("name", files())
def test_a_cropped_photo_s_original_is_what_is_left_however_it_was_turned(name: str) -> None:
    photo = open_photo(files()[name])
    assert photo.original is not None
    whole = photo.original.native().values
    once = photo.turned(1).cropped((4, 6, 34, 36))
    twice = once.turned(2).cropped((1, 2, 21, 27))
    wanted = np.rot90(np.rot90(whole, -1)[6:36, 4:34], 2)[2:27, 1:21]
    assert twice.original is not None
    assert np.array_equal(twice.original.native().values, wanted)
    assert twice.size == twice.pixels.shape[1::-1] == (20, 25)
    data = pack_original(twice.original)
    assert data is not None
    again = read_original(data, twice.pixels, LIMITS)
    assert np.array_equal(again.native().values, wanted)
    assert again.native().profile == photo.original.native().profile
    assert again.metadata.says == photo.original.metadata.says
