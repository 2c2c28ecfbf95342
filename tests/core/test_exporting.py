"""core.exporting: an edit at the photo's own size, in its own bits and colours."""

import io

import cv2
import numpy as np
import pytest
from picture_files import DISPLAY_P3, in_profile, matrix_profile, png16, saved, srgb_of
from PIL import Image
from PIL.ExifTags import Base

from core.engine import Engine
from core.exporting import export
from core.images import Photo, open_photo
from core.placing import placed
from core.session import EditRequest, Portrait, View

P3 = matrix_profile(DISPLAY_P3, None, "Display P3")
WHOLE = View("photo", "photo")
SMILE = EditRequest({"smile": 2.5, "male": 1}, view=WHOLE)


def opened(engine: Engine, data: bytes, working: int = 10**6) -> tuple[Portrait, Photo]:
    photo = open_photo(data, working=working)
    return engine.open_portrait(photo.pixels), photo


def exported(engine: Engine, data: bytes, request: EditRequest) -> np.ndarray:
    portrait, photo = opened(engine, data)
    made = export(engine, (portrait,), request, photo.original, "PNG")
    found = cv2.imdecode(np.frombuffer(made.data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert found.shape[1::-1] == made.size
    return found[:, :, [2, 1, 0, 3][: found.shape[2]]] if found.ndim == 3 else found


@pytest.fixture(scope="module")
def plain(photo: np.ndarray) -> bytes:
    return saved(Image.fromarray(photo), "PNG")


def test_of_a_plain_photo_it_is_the_edit(tiny_engine: Engine, plain: bytes, photo: np.ndarray) -> None:
    portrait, _ = opened(tiny_engine, plain)
    wanted = tiny_engine.edit(portrait, SMILE)
    found = exported(tiny_engine, plain, SMILE)
    assert np.array_equal(found, wanted)
    assert not np.array_equal(found, photo)


def test_no_edit_gives_back_every_bit(tiny_engine: Engine, photo: np.ndarray) -> None:
    nothing = EditRequest(view=WHOLE)
    deep = photo.astype(np.uint16) * 257 + np.random.default_rng(0).integers(-120, 120, photo.shape)
    deep = deep.clip(0, 65_535).astype(np.uint16)
    deep[0, 0] = 65_535
    assert np.array_equal(exported(tiny_engine, png16(deep), nothing), deep)
    cut_out = np.dstack([photo, photo[:, :, 1]])
    assert np.array_equal(exported(tiny_engine, saved(Image.fromarray(cut_out), "PNG"), nothing), cut_out)


def test_sixteen_bits_show_the_edit_and_keep_their_own(tiny_engine: Engine, photo: np.ndarray) -> None:
    deep = (photo.astype(np.uint16) * 257).clip(100) + 37
    deep[0, 0] = 65_535
    found = exported(tiny_engine, png16(deep), SMILE)
    portrait, _ = opened(tiny_engine, png16(deep))
    wanted = tiny_engine.edit(portrait, SMILE)
    assert found.dtype == np.uint16
    assert np.abs(found / 257 - wanted).max() <= 1.7
    same = (wanted == portrait.photo).all(2)
    assert (found == deep).all(2)[same].mean() > 0.999


def test_wide_colours_come_back_in_their_own(tiny_engine: Engine, photo: np.ndarray) -> None:
    stored = np.rint(in_profile(photo, DISPLAY_P3, None)).astype(np.uint8)
    data = saved(Image.fromarray(stored), "PNG", icc_profile=P3)
    portrait, opened_photo = opened(tiny_engine, data)
    made = export(tiny_engine, (portrait,), SMILE, opened_photo.original, "PNG")
    with Image.open(io.BytesIO(made.data)) as image:
        assert image.info["icc_profile"] == P3
        shown = srgb_of(P3, np.asarray(image), "RGB").astype(int)
    apart = np.abs(shown - tiny_engine.edit(portrait, SMILE))
    assert apart.mean() < 1
    assert made.said == "Kept: its colours, Display P3."


@pytest.mark.parametrize("scale", [1.5, 3])
def test_a_photo_larger_than_what_is_worked_on_is_exported_whole(
    tiny_engine: Engine, photo: np.ndarray, scale: float
) -> None:
    size = (round(512 * scale), round(512 * scale))
    large = cv2.resize(photo, size, interpolation=cv2.INTER_CUBIC)
    data = saved(Image.fromarray(large), "PNG")
    portrait, opened_photo = opened(tiny_engine, data, working=512 * 512)
    assert portrait.photo.shape == (512, 512, 3)
    made = export(tiny_engine, (portrait,), SMILE, opened_photo.original, "PNG")
    with Image.open(io.BytesIO(made.data)) as image:
        found = np.asarray(image)
    assert made.size == size
    changed = (found != large).any(2)
    assert 0.02 < changed.mean() < 0.7
    # The same edit in the same place as in the photo that was worked on.
    small = cv2.resize(found, (512, 512), interpolation=cv2.INTER_AREA).astype(float)
    wanted = tiny_engine.edit(portrait, SMILE).astype(float)
    here, there = small - portrait.photo, wanted - portrait.photo
    assert np.abs(here - there).mean() < 0.15 * np.abs(there).mean()


def test_the_part_that_is_worked_on_is_as_the_whole_would_be(tiny_engine: Engine, photo: np.ndarray) -> None:
    """At the photo's edge too, where the part ends with it."""
    cut = np.ascontiguousarray(photo[20:300, 140:480])
    large = cv2.resize(cut, (680, 560), interpolation=cv2.INTER_CUBIC)
    portrait, opened_photo = opened(tiny_engine, saved(Image.fromarray(large), "PNG"), working=340 * 280)
    made = export(tiny_engine, (portrait,), SMILE, opened_photo.original, "PNG")
    wanted = tiny_engine.edit(placed(portrait, large, (680, 560)), SMILE)
    # Only the corner from which positions are counted is another.
    with Image.open(io.BytesIO(made.data)) as image:
        assert np.abs(np.asarray(image).astype(int) - wanted).max() <= 1


def test_grey_is_exported_as_grey(tiny_engine: Engine, photo: np.ndarray) -> None:
    grey = Image.fromarray(photo).convert("L")
    found = exported(tiny_engine, saved(grey, "PNG"), SMILE)
    assert found.ndim == 2
    assert (found != np.asarray(grey)).any()


def test_the_face_alone_is_the_model_s_own_size(tiny_engine: Engine, plain: bytes) -> None:
    portrait, photo = opened(tiny_engine, plain)
    request = SMILE.seen(output="face")
    made = export(tiny_engine, (portrait,), request, photo.original, "PNG")
    with Image.open(io.BytesIO(made.data)) as image:
        assert np.array_equal(np.asarray(image), tiny_engine.edit(portrait, request))


def test_a_face_that_has_no_file_is_exported_as_it_is(tiny_engine: Engine, photo: np.ndarray) -> None:
    portrait = tiny_engine.open_portrait(photo)
    made = export(tiny_engine, (portrait,), SMILE, None, "PNG")
    with Image.open(io.BytesIO(made.data)) as image:
        assert np.array_equal(np.asarray(image), tiny_engine.edit(portrait, SMILE))


def test_rights_stay_unless_they_are_not_to(tiny_engine: Engine, photo: np.ndarray) -> None:
    exif = Image.Exif()
    exif[Base.Copyright], exif[Base.Orientation] = "Mine", 6
    turned = Image.fromarray(np.rot90(photo).copy())
    portrait, opened_photo = opened(tiny_engine, saved(turned, "JPEG", exif=exif, quality=95))
    for notes, expected in ((True, {Base.Copyright: "Mine", Base.Orientation: 1}), (False, {})):
        made = export(tiny_engine, (portrait,), SMILE, opened_photo.original, "JPEG", notes)
        with Image.open(io.BytesIO(made.data)) as image:
            assert dict(image.getexif()) == expected
        assert made.said == ("Kept: rights." if notes else "Left out: rights.")
