"""core.exporting: an edit at the photo's own size, in its own bits and colours."""

import io

import cv2
import numpy as np
import pytest
from picture_files import DISPLAY_P3, in_profile, matrix_profile, png16, press_profile, saved, srgb_of
from PIL import Image
from PIL.ExifTags import Base

from core.engine import Engine
from core.errors import BadRequest
from core.exporting import Export, ExportOrder, _around, export
from core.faces.alignment import CropTransform
from core.images import Photo, open_photo
from core.paste.laying import bounds
from core.paste.scene import wider
from core.placing import placed
from core.session import EditRequest, Portrait, View
from core.together import FaceEdits

P3 = matrix_profile(DISPLAY_P3, None, "Display P3")
WHOLE = View("photo", "photo")
PNG = ExportOrder("PNG")
SMILE = EditRequest({"smile": 2.5, "male": 1}, view=WHOLE)


def opened(engine: Engine, data: bytes, working: int = 10**6) -> tuple[Portrait, Photo]:
    photo = open_photo(data, working=working)
    return engine.open_portrait(photo.pixels), photo


def exported(engine: Engine, data: bytes, request: EditRequest) -> np.ndarray:
    portrait, photo = opened(engine, data)
    made = export(engine, (portrait,), request, photo.original, PNG)
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
    made = export(tiny_engine, (portrait,), SMILE, opened_photo.original, PNG)
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
    made = export(tiny_engine, (portrait,), SMILE, opened_photo.original, PNG)
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
    made = export(tiny_engine, (portrait,), SMILE, opened_photo.original, PNG)
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
    made = export(tiny_engine, (portrait,), SMILE, photo.original, ExportOrder("PNG", "face"))
    with Image.open(io.BytesIO(made.data)) as image:
        assert np.array_equal(np.asarray(image), tiny_engine.edit(portrait, SMILE.seen(output="face")))


@pytest.mark.parametrize("picture", ["photo", "face"])
def test_what_the_view_shows_is_nothing_to_an_export(tiny_engine: Engine, plain: bytes, picture: str) -> None:
    portrait, photo = opened(tiny_engine, plain)
    shown = (SMILE.seen(output=output) for output in ("photo", "face"))
    order = ExportOrder("PNG", picture)
    one, other = (export(tiny_engine, (portrait,), view, photo.original, order).data for view in shown)
    assert one == other


def test_a_face_that_has_no_file_is_exported_as_it_is(tiny_engine: Engine, photo: np.ndarray) -> None:
    portrait = tiny_engine.open_portrait(photo)
    made = export(tiny_engine, (portrait,), SMILE, None, PNG)
    with Image.open(io.BytesIO(made.data)) as image:
        assert np.array_equal(np.asarray(image), tiny_engine.edit(portrait, SMILE))


def test_rights_stay_unless_they_are_not_to(tiny_engine: Engine, photo: np.ndarray) -> None:
    exif = Image.Exif()
    exif[Base.Copyright], exif[Base.Orientation] = "Mine", 6
    turned = Image.fromarray(np.rot90(photo).copy())
    portrait, opened_photo = opened(tiny_engine, saved(turned, "JPEG", exif=exif, quality=95))
    for notes, expected in ((True, {Base.Copyright: "Mine", Base.Orientation: 1}), (False, {})):
        made = export(
            tiny_engine, (portrait,), SMILE, opened_photo.original, ExportOrder("JPEG", notes=notes)
        )
        with Image.open(io.BytesIO(made.data)) as image:
            assert dict(image.getexif()) == expected
        assert made.said == ("Kept: rights." if notes else "Left out: rights.")


# ---- before and after -----------------------------------------------------------------------------


def halves(found: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of (H, 2 W + gap, ...) with W = 512: before, the gap, after."""
    return found[:, :512], found[:, 512:-512], found[:, -512:]


def test_side_by_side_are_the_photo_as_it_was_and_the_whole_export(
    tiny_engine: Engine, photo: np.ndarray
) -> None:
    """Of sixteen bits with transparency and a profile: no number of either half is another."""
    deep = (photo.astype(np.uint16) * 257).clip(100) + 37
    given = np.dstack([deep, deep[:, :, 1]])
    data = cv2.imencode(".png", given[:, :, [2, 1, 0, 3]])[1].tobytes()
    portrait, opened_photo = opened(tiny_engine, data)
    together, alone = (
        export(tiny_engine, (portrait,), SMILE, opened_photo.original, ExportOrder("PNG", picture))
        for picture in ("both", "photo")
    )
    found, wanted = (
        cv2.imdecode(np.frombuffer(made.data, np.uint8), cv2.IMREAD_UNCHANGED)[:, :, [2, 1, 0, 3]]
        for made in (together, alone)
    )
    before, gap, after = halves(found)
    assert together.size == found.shape[1::-1] == (512 + 3 + 512, 512)
    assert found.dtype == np.uint16
    assert np.array_equal(before, given)
    assert np.array_equal(after, wanted)
    assert (after != before).any()
    assert (gap == 65_535).all()  # white, and not transparent
    assert together.said == alone.said


def test_side_by_side_stays_in_the_photo_s_colours(tiny_engine: Engine, photo: np.ndarray) -> None:
    data = saved(Image.fromarray(photo).convert("L"), "PNG")
    portrait, opened_photo = opened(tiny_engine, data)
    made = export(tiny_engine, (portrait,), SMILE, opened_photo.original, ExportOrder("PNG", "both"))
    with Image.open(io.BytesIO(made.data)) as image:
        assert image.mode == "L"
    inked = saved(Image.fromarray(photo).convert("CMYK"), "TIFF", icc_profile=press_profile())
    portrait, opened_photo = opened(tiny_engine, inked)
    made = export(tiny_engine, (portrait,), SMILE, opened_photo.original, ExportOrder("TIFF", "both"))
    with Image.open(io.BytesIO(made.data)) as image:
        assert image.mode == "CMYK"
        assert not halves(np.asarray(image))[1].any()  # no ink between them


def test_what_would_be_too_large_side_by_side_is_one_sentence(
    tiny_engine: Engine, plain: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    portrait, opened_photo = opened(tiny_engine, plain)
    monkeypatch.setattr("core.exporting.MAX_PIXELS", 2 * 512 * 512)  # all but the gap
    with pytest.raises(BadRequest, match="Side by side"):
        export(tiny_engine, (portrait,), SMILE, opened_photo.original, ExportOrder("PNG", "both"))
    assert exported(tiny_engine, plain, SMILE).shape == (512, 512, 3)  # alone it is not


# ---- what is ordered ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WebP", "TIFF"])
def test_the_file_is_of_the_kind_and_the_quality_that_is_ordered(
    tiny_engine: Engine, plain: bytes, kind: str
) -> None:
    portrait, opened_photo = opened(tiny_engine, plain)
    sizes = []
    for quality in (60, 100):
        order = ExportOrder(kind, quality=quality)
        made = export(tiny_engine, (portrait,), SMILE, opened_photo.original, order)
        with Image.open(io.BytesIO(made.data)) as image:
            assert (image.format, image.size) == (kind.upper(), (512, 512))
            if kind == "JPEG":
                assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3  # 4:4:4
                least = [np.max(table) for table in image.quantization.values()]
                assert (max(least) == 1) == (quality == 100)
        sizes.append(len(made.data))
    assert (sizes[0] < sizes[1]) == (kind == "JPEG")


@pytest.mark.parametrize(
    ("wishes", "sentence"),
    [
        ({"kind": "SVG"}, "PNG, JPEG, TIFF or WebP"),
        ({"kind": "png"}, "PNG, JPEG, TIFF or WebP"),
        ({"kind": ["PNG"]}, "PNG, JPEG, TIFF or WebP"),
        ({"picture": "all"}, "whole photo, the face"),
        ({"picture": {}}, "whole photo, the face"),
        ({"quality": 59}, "from 60 to 100"),
        ({"quality": 101}, "from 60 to 100"),
        ({"quality": 92.5}, "from 60 to 100"),
        ({"quality": True}, "from 60 to 100"),
        ({"quality": "92"}, "from 60 to 100"),
        ({"quality": None}, "from 60 to 100"),
        ({"notes": "no"}, "kept or left out"),
    ],
)
def test_what_cannot_be_ordered_is_one_sentence(wishes: dict[str, object], sentence: str) -> None:
    with pytest.raises(BadRequest, match=sentence) as refused:
        ExportOrder(**{"kind": "JPEG", **wishes})
    assert str(refused.value).endswith(".")


def test_files_are_named_after_the_photo_and_what_is_in_them() -> None:
    names = {
        "holiday-visagist.jpg": ExportOrder("JPEG"),
        "holiday-visagist-face.png": ExportOrder("PNG", "face"),
        "holiday-visagist-before-after.webp": ExportOrder("WebP", "both"),
        "holiday-visagist.tif": ExportOrder("TIFF"),
    }
    assert {order.file_name("holiday"): order for order in names.values()} == names


def test_of_a_larger_picture_all_that_an_edit_may_take_away_is_looked_at() -> None:
    """Hair beyond the crop, too: as far as the portrait's scene goes."""
    transform = CropTransform((1000.0, 900.0), (200.0, 30.0))
    left, top, right, bottom = _around(transform, (2400, 2000))
    inner = bounds(wider(transform), (2000, 2400))
    assert (left, top) < inner[:2]
    assert (right, bottom) > inner[2:]
    assert right - left < 1.2 * (inner[2] - inner[0])
    assert _around(transform, (1050, 950))[2:] == (1050, 950)


# ---- several faces --------------------------------------------------------------------------------

YOUNG = EditRequest({"young": -2.5}, view=WHOLE)


def read(made: Export) -> np.ndarray:
    with Image.open(io.BytesIO(made.data)) as image:
        return np.asarray(image).astype(int)


@pytest.mark.parametrize("scale", [1, 1.5])
def test_faces_with_edits_of_their_own_are_all_in_the_export(
    tiny_engine: Engine, photo: np.ndarray, scale: float
) -> None:
    """At the size that is worked on, and above it: what each changes alone, added."""
    group = np.hstack([photo, photo[:, ::-1]])
    size = (round(1024 * scale), round(512 * scale))
    large = cv2.resize(group, size, interpolation=cv2.INTER_CUBIC)
    opened_photo = open_photo(saved(Image.fromarray(large), "PNG"), working=1024 * 512)
    first, second = (tiny_engine.open_portrait(opened_photo.pixels, face) for face in (0, 1))

    def made(portrait: Portrait, request: EditRequest, others: tuple[FaceEdits, ...] = ()) -> np.ndarray:
        return read(export(tiny_engine, (portrait,), request, opened_photo.original, PNG, others))

    smiling, younger = made(first, SMILE), made(second, YOUNG)
    both = made(second, YOUNG, (FaceEdits(first, (EditRequest(), SMILE), 1),))
    assert both.shape[1::-1] == size
    assert np.array_equal(both, (smiling + younger - large).clip(0, 255))
    assert np.array_equal(both, made(first, SMILE, (FaceEdits(second, (YOUNG,)),)))
    untouched = (smiling == large).all(2) & (younger == large).all(2)
    assert 0.2 < untouched.mean() < 1
    assert np.array_equal(both[untouched], large[untouched])


def test_the_face_alone_is_that_face_alone(tiny_engine: Engine, photo: np.ndarray) -> None:
    group = np.hstack([photo, photo[:, ::-1]])
    first, second = (tiny_engine.open_portrait(group, face) for face in (0, 1))
    order, others = ExportOrder("PNG", "face"), (FaceEdits(first, (SMILE,)),)
    found = read(export(tiny_engine, (second,), YOUNG, None, order, others))
    assert np.array_equal(found, tiny_engine.edit(second, YOUNG.seen(output="face")))
