"""core.paste.compositing: edits come without ghosts, steps or squares; what is not edited stays."""

import cv2
import numpy as np
import pytest

from core.config import FFHQ_TEMPLATE, AlignmentTemplate
from core.faces.alignment import CropTransform, crop, crop_transform, find_faces, to_crop
from core.faces.kinds import Kind
from core.paste.compositing import change_face, face_mask, paste_change, paste_rendering, reach
from core.paste.letting_go import Seen
from core.paste.scene import SIDE
from tests.core.paste.heads import COLOURS, OFF, PHOTO, WHERE, Sitting, inner, kinds_of, painted

SIZE = 64
# A square tighter than FFHQ's.
TIGHT = AlignmentTemplate(scale=0.54, shift=0.43)


@pytest.fixture(scope="session")
def landmarks(photo: np.ndarray) -> np.ndarray:
    return find_faces(photo)[0].landmarks


def in_crop(landmarks: np.ndarray, template: AlignmentTemplate, size: int) -> np.ndarray:
    return to_crop(landmarks, crop_transform(landmarks, template), size)


@pytest.fixture(scope="session")
def transform(landmarks: np.ndarray) -> CropTransform:
    return crop_transform(landmarks, TIGHT)


@pytest.fixture(scope="session")
def region(landmarks: np.ndarray) -> np.ndarray:
    return face_mask(in_crop(landmarks, TIGHT, SIZE), SIZE)


@pytest.fixture(scope="session")
def face(photo: np.ndarray, transform: CropTransform) -> np.ndarray:
    return crop(photo, transform, SIZE)


def blob(x: float, y: float, radius: float, size: int = SIZE) -> np.ndarray:
    """(size, size, 1) float32: a soft spot, 1 in its middle."""
    v, u = np.mgrid[:size, :size]
    return np.exp(-((u - x) ** 2 + (v - y) ** 2) / (2 * radius**2)).astype(np.float32)[:, :, None]


def quarter(transform: CropTransform, width: int) -> CropTransform:
    """In the photo after np.rot90, which takes (x, y) to (y, width - 1 - x)."""
    (x, y), (hx, hy) = transform.center, transform.half_side
    return CropTransform((y, width - 1 - x), (hy, -hx))


# --- the mask ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("template", [FFHQ_TEMPLATE, TIGHT])
@pytest.mark.parametrize("size", [64, 128, 256])
def test_mask_covers_the_face_and_vanishes_at_the_border(
    landmarks: np.ndarray, template: AlignmentTemplate, size: int
) -> None:
    points = in_crop(landmarks, template, size)
    mask = face_mask(points, size)
    assert mask.shape == (size, size)
    assert mask.dtype == np.float32
    assert mask.min() == 0
    assert mask.max() == pytest.approx(1)
    for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1]):
        assert not edge.any()
    # Pupils, nose, mouth: what the sliders move most.
    for x, y in (points[36:42].mean(0), points[42:48].mean(0), points[30], *points[48:68]):
        assert mask[round(float(y)), round(float(x))] > 0.9


@pytest.mark.parametrize("template", [FFHQ_TEMPLATE, TIGHT])
def test_mask_is_smooth(landmarks: np.ndarray, template: AlignmentTemplate) -> None:
    mask = face_mask(in_crop(landmarks, template, 256), 256)
    for axis in (0, 1):
        # No step, and no crease: both would show as a line around the face.
        assert np.abs(np.diff(mask, axis=axis)).max() < 0.1
        assert np.abs(np.diff(mask, n=2, axis=axis)).max() < 0.02


def test_mask_follows_the_face(landmarks: np.ndarray) -> None:
    points = in_crop(landmarks, FFHQ_TEMPLATE, 256)
    y, x = np.mgrid[:256, :256]

    def middle(mask: np.ndarray) -> np.ndarray:
        return np.array([(mask * x).sum(), (mask * y).sum()]) / mask.sum()

    small = (points - points[30]) * 0.5 + points[30]
    here, there = face_mask(small, 256), face_mask(small + np.array([30, -20]), 256)
    assert np.allclose(middle(there) - middle(here), (30, -20), atol=1.5)
    assert here.sum() < 0.5 * face_mask(points, 256).sum()


def test_mask_reaches_over_the_forehead_but_not_to_the_background(landmarks: np.ndarray) -> None:
    points = in_crop(landmarks, FFHQ_TEMPLATE, 256)
    mask = face_mask(points, 256)
    brows, unit = points[17:27].mean(0), points[57, 1] - points[36:48].mean(0)[1]
    assert mask[round(float(brows[1] - 0.5 * unit)), round(float(brows[0]))] > 0.9
    for corner in (mask[:20, :20], mask[:20, -20:], mask[-20:, :20], mask[-20:, -20:]):
        assert corner.max() == 0


def test_mask_is_the_same_shape_at_every_size(landmarks: np.ndarray) -> None:
    # The border's zero lies on the outermost pixels, so half a small pixel apart: 0.06 where it is steepest.
    small = face_mask(in_crop(landmarks, FFHQ_TEMPLATE, 128), 128)
    large = face_mask(in_crop(landmarks, FFHQ_TEMPLATE, 512), 512)
    assert np.abs(cv2.resize(large, (128, 128), interpolation=cv2.INTER_AREA) - small).max() < 0.1


# --- nothing edited ----------------------------------------------------------------------------------


def test_no_edit_gives_the_photo_back_whatever_the_model_made(
    photo: np.ndarray, transform: CropTransform, region: np.ndarray, face: np.ndarray
) -> None:
    base = np.random.default_rng(0).uniform(-20, 280, face.shape).astype(np.float32)
    for keep_detail in (True, False):
        assert np.array_equal(
            paste_change(photo, transform, face, base, base.copy(), region, keep_detail), photo
        )
        assert np.array_equal(change_face(face, base, base.copy(), region, keep_detail), face)


def test_a_small_edit_outside_the_face_leaves_the_photo_alone(
    photo: np.ndarray, transform: CropTransform, face: np.ndarray
) -> None:
    base = face.astype(np.float32)
    nowhere = np.zeros((SIZE, SIZE), np.float32)
    for paste in (paste_change, paste_rendering):
        assert np.array_equal(paste(photo, transform, face, base, base + 2, nowhere), photo)


def test_the_photo_outside_the_crop_and_the_inputs_stay_as_they_were(
    photo: np.ndarray, transform: CropTransform, region: np.ndarray, face: np.ndarray
) -> None:
    base = face.astype(np.float32)
    edited = base[:, ::-1] + 30
    before = [a.copy() for a in (photo, face, base, edited, region)]
    y, x = np.mgrid[: photo.shape[0], : photo.shape[1]]
    away = np.dstack([x, y]) - np.asarray(transform.center)
    beyond = np.abs(away @ np.asarray(transform.half_side)) > (transform.side / 2 + 1) * transform.side / 2
    for paste in (paste_change, paste_rendering):
        result = paste(photo, transform, face, base, edited, region)
        assert (result != photo).any(-1).mean() > 0.02
        assert np.array_equal(result[beyond], photo[beyond])
    for array, copy in zip((photo, face, base, edited, region), before, strict=True):
        assert np.array_equal(array, copy)


# --- an edit laid on the photo -----------------------------------------------------------------------


def striped() -> tuple[np.ndarray, CropTransform]:
    """(256, 256, 3): a dark bar (a mouth) on grey, with texture finer than a crop of 64; all of it."""
    photo = np.full((256, 256, 3), 150, np.uint8)
    photo[120:136, 80:176] = 60
    photo[::2] += 12
    return photo, CropTransform((127.5, 127.5), (128.0, 0.0))


def test_what_moves_takes_its_own_pixels_along() -> None:
    photo, whole = striped()
    small = crop(photo, whole, SIZE)
    base = cv2.GaussianBlur(small, (0, 0), 1).astype(np.float32)
    edited = np.roll(base, 3, axis=0)  # 12 pixels of the photo
    result = paste_change(photo, whole, small, base, edited, np.ones((SIZE, SIZE), np.float32))
    expected = np.roll(photo, 12, axis=0)
    middle = (slice(100, 170), slice(90, 166))
    laid_on = np.clip(photo + cv2.resize(edited - base, (256, 256)), 0, 255)
    error, ghost = (np.abs(i[middle].astype(float) - expected[middle]).mean() for i in (result, laid_on))
    assert error < 0.5 * ghost


@pytest.mark.parametrize("keep_detail", [True, False])
def test_what_is_replaced_leaves_no_ghost(keep_detail: bool) -> None:
    """The model shows plain skin instead of the bar; the photo's bar is twice as dark as the model's."""
    photo, whole = striped()
    small = crop(photo, whole, SIZE)
    base = 150 + 0.5 * (small.astype(np.float32) - 150)
    edited = np.full_like(base, 150)
    result = paste_change(photo, whole, small, base, edited, np.ones((SIZE, SIZE), np.float32), keep_detail)
    bar, above = result[124:132, 90:166].mean(), result[60:80, 90:166].mean()
    plain = photo[124:132, 90:166].mean() + 45
    assert abs(bar - above) < 0.4 * abs(plain - above)


def test_texture_stays_on_a_changed_tone_unless_detail_is_off() -> None:
    photo = np.full((256, 256, 3), 120, np.uint8)
    photo[::2] += 20
    whole = CropTransform((127.5, 127.5), (128.0, 0.0))
    small, everywhere = crop(photo, whole, SIZE), np.ones((SIZE, SIZE), np.float32)
    base = np.full((SIZE, SIZE, 3), 125, np.float32)
    edited = base + 40
    with_detail, without = (
        paste_change(photo, whole, small, base, edited, everywhere, keep).astype(int)
        for keep in (True, False)
    )
    rows = (slice(124, 132), slice(124, 132))
    assert np.abs(np.diff(with_detail[rows], axis=0)).min() >= 19
    assert np.abs(np.diff(without[rows], axis=0)).max() <= 2
    assert with_detail[rows].mean() == pytest.approx(130 + 40, abs=4)
    assert without[rows].mean() == pytest.approx(130 + 40, abs=4)


def test_what_is_dark_already_is_not_driven_below_black() -> None:
    """Plain sums would clip: (20, 30, 40) - 60. The photo keeps the model's ratio instead, and so its hue."""
    photo = np.full((256, 256, 3), (20, 30, 40), np.uint8)
    whole = CropTransform((127.5, 127.5), (128.0, 0.0))
    base, edited = (np.full((SIZE, SIZE, 3), value, np.float32) for value in (90, 30))
    result = change_face(crop(photo, whole, SIZE), base, edited, np.ones((SIZE, SIZE), np.float32))
    assert np.abs(result[32, 32] - np.array([20, 30, 40]) * 30 / 90).max() <= 1


def test_a_change_of_light_shows_no_step(transform: CropTransform, region: np.ndarray) -> None:
    wall = np.full((512, 512, 3), 120, np.uint8)
    inside = CropTransform((256.0, 256.0), (200.0, 30.0))
    base = np.full((SIZE, SIZE, 3), 120, np.float32)
    result = paste_change(wall, inside, crop(wall, inside, SIZE), base, base + 60, region).astype(int)
    assert result[256, 256] == pytest.approx(180, abs=1)
    for axis in (0, 1):
        # 60 levels over the fade of 48 pixels or more, its middle 1.9 times as steep as its mean.
        assert np.abs(np.diff(result, axis=axis)).max() <= 4


def test_an_edit_beyond_the_face_reaches_as_far_as_the_crop() -> None:
    nowhere, flat = np.zeros((SIZE, SIZE), np.float32), np.full((SIZE, SIZE, 3), 100, np.float32)
    mask = reach(flat, flat + 60 * blob(12, 32, 5), nowhere)
    assert mask[32, 14] > 0.95
    assert mask[32, 45] == 0
    for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1]):
        assert not edge.any()


# --- the rendering as the face -----------------------------------------------------------------------


def test_a_rendering_takes_the_photo_s_colours_at_its_rim(
    photo: np.ndarray, transform: CropTransform, region: np.ndarray, face: np.ndarray
) -> None:
    wrong_tone = face.astype(np.float32) + np.array([40, -10, 15], np.float32)
    for keep_detail in (True, False):
        result = paste_rendering(photo, transform, face, wrong_tone, wrong_tone, region, keep_detail)
        again = crop(result, transform, SIZE).astype(float)
        off = cv2.GaussianBlur(again - face, (0, 0), 3)
        assert np.abs(off).max() < 6


def test_a_rendering_shows_what_the_model_made_with_the_photo_s_texture(
    photo: np.ndarray, transform: CropTransform, region: np.ndarray, face: np.ndarray
) -> None:
    base = face.astype(np.float32)
    edited = base + 90 * blob(32, 50, 4)  # something new at the mouth
    sharp, smooth = (
        paste_rendering(photo, transform, face, base, edited, region, keep).astype(float)
        for keep in (True, False)
    )
    x, y = np.linalg.inv(transform.matrix(SIZE)[:, :2]) @ (np.array([32, 50]) - transform.matrix(SIZE)[:, 2])
    spot = (slice(round(y) - 2, round(y) + 3), slice(round(x) - 2, round(x) + 3))
    for result in (sharp, smooth):
        assert result[spot].mean() == pytest.approx(np.clip(edited[48:53, 30:35], 0, 255).mean(), abs=25)

    def texture(image: np.ndarray) -> float:
        fine = image - cv2.GaussianBlur(image, (0, 0), transform.side / SIZE)
        cheeks = cv2.erode((region > 0.99).astype(np.uint8), np.ones((3, 3)))
        return float(np.abs(crop_float(fine, transform))[cheeks > 0].mean())

    assert texture(smooth) < 0.8 * texture(photo.astype(float))
    assert texture(sharp) > 1.1 * texture(smooth)


def crop_float(image: np.ndarray, transform: CropTransform) -> np.ndarray:
    """(SIZE, SIZE, 3): the image's magnitude, sampled."""
    matrix = transform.matrix(SIZE)
    return cv2.warpAffine(np.abs(image).astype(np.float32), matrix, (SIZE, SIZE), flags=cv2.INTER_NEAREST)


@pytest.mark.parametrize("paste", [paste_change, paste_rendering])
def test_a_model_with_more_pixels_than_the_photo_gives_the_same_picture(
    photo: np.ndarray,
    landmarks: np.ndarray,
    paste,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    size, transform = 512, crop_transform(landmarks, FFHQ_TEMPLATE)
    assert 128 < transform.side < size / 2
    fine = crop(photo, transform, size)
    base = cv2.GaussianBlur(fine, (0, 0), 6).astype(np.float32)
    edited = base + 60 * blob(256, 350, 40, size) * (1.0, 0.3, 0.3)
    region = face_mask(in_crop(landmarks, FFHQ_TEMPLATE, size), size)
    arguments = photo, transform, fine, base, edited.astype(np.float32), region
    found = paste(*arguments)
    assert np.array_equal(paste_change(*arguments[:4], base, region), photo)
    monkeypatch.setattr("core.paste.compositing._at_photo_scale", lambda transform, *images: images)
    in_full = paste(*arguments)
    difference = np.abs(found.astype(int) - in_full)
    changed = np.abs(in_full.astype(int) - photo).max(2) > 8
    assert changed.sum() > 500
    assert difference[changed].mean() < 3
    assert difference.mean() < 0.2


# --- hair and background -----------------------------------------------------------------------------

WIDE = 256
Y, X = np.mgrid[:WIDE, :WIDE]
SKIN = ((X - 128) / 60) ** 2 + ((Y - 140) / 80) ** 2 < 1
HAIR = (((X - 128) / 80) ** 2 + ((Y - 115) / 90) ** 2 < 1) & ~SKIN
WALL = cv2.erode((~SKIN & ~HAIR).astype(np.uint8), np.ones((17, 17))) > 0
WHOLE = CropTransform(((WIDE - 1) / 2, (WIDE - 1) / 2), (WIDE / 2, 0.0))


def person_like(strands: int, hair: int = 80) -> np.ndarray:
    """(WIDE, WIDE, 3) float32: a face with hair before a wall; `strands` says which strands."""
    noise = np.random.default_rng(strands).normal(0, 60, (WIDE, WIDE, 1))
    image = np.full((WIDE, WIDE, 3), 210, np.float32)
    image[HAIR] = (hair + cv2.GaussianBlur(noise, (0, 0), 1.5)[:, :, None])[HAIR]
    image[SKIN] = (200, 150, 130)
    return image


def pasted(base: np.ndarray, edited: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The photo (strands 1) and what `paste_change` makes of it."""
    photo = person_like(1).clip(0, 255).astype(np.uint8)
    region = cv2.GaussianBlur(cv2.dilate(SKIN.astype(np.float32), np.ones((9, 9))), (0, 0), 8)
    return photo, paste_change(photo, WHOLE, photo, base, edited, region)


def test_background_stays_the_photo_s_whatever_the_edit_makes_of_it() -> None:
    base, edited = person_like(2), person_like(2, hair=50)
    edited[WALL] += 40
    edited[30:60, 10:30] = 20
    photo, result = pasted(base, edited)
    assert np.abs(result.astype(int) - photo)[WALL].mean() < 0.5
    assert (photo.astype(int) - result)[cv2.erode(HAIR.astype(np.uint8), np.ones((5, 5))) > 0].mean() > 15


def test_strands_that_the_model_made_up_do_not_reach_the_photo() -> None:
    photo, result = pasted(person_like(2), person_like(3))
    inside = cv2.erode(HAIR.astype(np.uint8), np.ones((9, 9))) > 0
    inside[:20] = False
    shuffled = np.abs(person_like(3) - person_like(2))[inside].mean()
    assert np.abs(result.astype(int) - photo)[inside].mean() < 0.5 * shuffled


def test_hair_that_grows_over_the_wall_is_the_rendering_s() -> None:
    edited = person_like(2)
    lock = (np.abs(X - 40) < 14) & (Y > 90) & (Y < 200)
    edited[lock] = 80
    photo, result = pasted(person_like(2), edited)
    middle = cv2.erode(lock.astype(np.uint8), np.ones((13, 13))) > 0
    assert photo[middle].mean() > 190
    assert result[middle].mean() == pytest.approx(80, abs=15)


def test_no_wall_is_bared_below_a_crown_that_the_crop_cuts() -> None:
    """A head that bows leaves wall behind in the crop; above the crop the photo still shows its hair."""
    base = np.roll(person_like(2), -40, axis=0)
    photo = base.clip(0, 255).astype(np.uint8)
    edited = base.copy()
    edited[:25] = 210
    skin = np.roll(SKIN, -40, axis=0).astype(np.float32)
    region = cv2.GaussianBlur(cv2.dilate(skin, np.ones((9, 9))), (0, 0), 8)
    result = paste_change(photo, WHOLE, photo, base, edited, region)
    crown = (slice(4, 22), slice(110, 146))
    assert photo[crown].mean() < 100
    assert result[crown].mean() < 125


@pytest.mark.parametrize("paste", [paste_change, paste_rendering])
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_photo_that_lies_turned_is_pasted_as_it_lies(
    photo: np.ndarray, transform: CropTransform, region: np.ndarray, face: np.ndarray, paste, turns: int
) -> None:
    base = face.astype(np.float32)
    edited = base + 40 * blob(30, 40, 6) * (1, 0.5, -0.5)
    picture = photo[:, 40:]  # not square, so that no turn takes it onto itself
    turned = CropTransform((transform.center[0] - 40, transform.center[1]), transform.half_side)
    upright = paste(picture, turned, face, base, edited, region)
    assert np.abs(upright.astype(int) - picture).max() > 20
    for _ in range(turns):
        turned = quarter(turned, picture.shape[1])
        picture = np.ascontiguousarray(np.rot90(picture))
    again = np.rot90(paste(picture, turned, face, base, edited, region), -turns)
    assert np.abs(again.astype(int) - upright).max() <= 1


# --- what a parser sees --------------------------------------------------------------------------------


def bald() -> tuple[Sitting, np.ndarray, np.ndarray]:
    kinds = kinds_of(SIDE, bald=True)
    return Sitting.of(hair=125), painted(kinds), kinds


@pytest.mark.parametrize("paste", [paste_change, paste_rendering])
def test_a_head_that_is_bald_has_no_ghost_of_hair_nor_a_tuft(paste) -> None:
    sitting, edited, kinds = bald()
    arguments = sitting.photo, WHERE, sitting.crop, sitting.base, edited, sitting.region, True
    hair = kinds_of(PHOTO, 1.5, hair=125) == Kind.HAIR
    gone = inner(hair & (kinds_of(PHOTO, 1.5, bald=True) == Kind.BACKGROUND), 13)
    gone[PHOTO // 2 :] = False
    wall = np.add(COLOURS[Kind.BACKGROUND], OFF[Kind.BACKGROUND])
    found, guessed = (
        np.abs(result[gone].astype(int) - wall).mean()
        for result in (paste(*arguments, sitting.seen(kinds)), paste(*arguments))
    )
    assert found < 5
    assert guessed > 20


def test_blurs_computed_of_fewer_pixels_show_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    sitting, edited, kinds = bald()
    faces = sitting.crop, sitting.base, edited, sitting.region, True, sitting.seen(kinds)
    found = paste_change(sitting.photo, WHERE, *faces).astype(int)
    for place in ("detail", "motion"):
        monkeypatch.setattr(
            f"core.paste.{place}.blurred", lambda of, sigma: cv2.GaussianBlur(of, (0, 0), sigma)
        )
    off = np.abs(found - paste_change(sitting.photo, WHERE, *faces))
    assert off.any()  # it is computed otherwise
    assert off.max() <= 3
    assert off.mean() < 0.02


def test_what_is_background_in_both_does_not_change_at_all() -> None:
    """The hair takes another colour, and the model's wall with it."""
    sitting, kinds = Sitting.of(hair=90), kinds_of(SIDE, hair=90)
    edited = painted(kinds) + 40
    seen = sitting.seen(kinds)
    result = paste_change(
        sitting.photo, WHERE, sitting.crop, sitting.base, edited, sitting.region, True, seen
    )
    nobody = kinds_of(PHOTO, 1.5, hair=90) == Kind.BACKGROUND
    wall = inner(nobody, 2 * 4 * 3 + 1)  # four of the parser's pixels away, six of the photo's; twice that
    assert np.array_equal(result[wall], sitting.photo[wall])
    hair = inner(kinds_of(PHOTO, 1.5, hair=90) == Kind.HAIR, 41)
    hair[:150] = False  # above, the border fades
    assert (result[hair].astype(int) - sitting.photo[hair]).mean() > 20


def test_no_edit_is_the_photo_for_a_parser_too() -> None:
    sitting, kinds = Sitting.of(), kinds_of(SIDE)
    arguments = sitting.crop, sitting.base, sitting.base.copy(), sitting.region, True, sitting.seen(kinds)
    assert np.array_equal(paste_change(sitting.photo, WHERE, *arguments), sitting.photo)
    assert np.array_equal(change_face(*arguments), sitting.crop)


def test_the_face_alone_is_bald_up_to_its_border() -> None:
    sitting, edited, kinds = bald()
    result = change_face(sitting.crop, sitting.base, edited, sitting.region, True, sitting.seen(kinds))
    wall = np.add(COLOURS[Kind.BACKGROUND], OFF[Kind.BACKGROUND])
    assert np.abs(result[:3, 90:166].astype(int) - wall).mean() < 6
    assert np.abs(sitting.crop[:3, 90:166].astype(int) - wall).mean() > 60


def test_the_model_s_wall_leaves_no_halo_around_hair_that_stays() -> None:
    sitting, kinds = Sitting.of(hair=90), kinds_of(SIDE, hair=90)
    edited = sitting.base.copy()
    edited[kinds == Kind.BACKGROUND] += 50
    result = change_face(sitting.crop, sitting.base, edited, sitting.region, True, sitting.seen(kinds))
    person = (kinds >= Kind.SKIN).astype(np.uint8)
    beside = cv2.dilate(person, np.ones((9, 9))) - cv2.dilate(person, np.ones((3, 3)))
    assert np.abs(result[beside > 0].astype(int) - sitting.crop[beside > 0]).mean() < 2


def test_hair_that_gives_way_by_a_pixel_does() -> None:
    """Too little to let the photo go: there the edit is laid on it."""
    sitting, kinds = Sitting.of(hair=90), kinds_of(SIDE, hair=89)
    seen, edited = sitting.seen(kinds), painted(kinds)
    result = change_face(sitting.crop, sitting.base, edited, sitting.region, True, seen)
    strip = (kinds_of(SIDE, hair=90) == Kind.HAIR) & (kinds == Kind.BACKGROUND)
    assert sitting.fresh(edited, kinds).share[strip].mean() < 0.1
    assert (result[strip].astype(int) - sitting.crop[strip]).mean() > 10


@pytest.mark.parametrize("paste", [paste_change, paste_rendering])
def test_a_hat_that_the_crop_cuts_ends_in_an_arc(paste) -> None:
    sitting, kinds = Sitting.of(hair=125), kinds_of(SIDE, hair=125)
    kinds[kinds == Kind.HAIR] = Kind.HAT
    result = paste(
        sitting.photo,
        WHERE,
        sitting.crop,
        sitting.base,
        painted(kinds),
        sitting.region,
        True,
        sitting.seen(kinds),
    )
    # The crop's row 5 is the photo's 135: below the arc in its middle, above it near the hat's sides.
    wall = np.add(COLOURS[Kind.BACKGROUND], OFF[Kind.BACKGROUND])
    middle, aside = result[137, 320].astype(int), result[135, 440].astype(int)
    assert middle[1] - middle[0] > 60  # green
    assert np.abs(aside - wall).max() < 20


def test_a_neck_beside_the_lower_border_changes_as_far_as_the_edit_says() -> None:
    """It is not let go, since below the crop it goes on; but the edit is laid on it."""
    sitting, kinds = Sitting.of(), kinds_of(SIDE)
    neck = (kinds == Kind.SKIN) & (np.arange(SIDE)[:, None] > 0.87 * SIDE)
    kinds[neck] = Kind.BACKGROUND
    edited = painted(kinds)
    result = change_face(sitting.crop, sitting.base, edited, sitting.region, True, sitting.seen(kinds))
    middle = inner(neck, 7)
    assert middle.sum() > 100
    assert sitting.fresh(edited, kinds).share[middle].max() < 0.05
    assert np.abs(result[middle].astype(int) - sitting.crop[middle]).mean() > 15


@pytest.mark.parametrize("whole", [True, False])
def test_an_edit_that_is_local_leaves_the_rest_bit_for_bit(whole: bool) -> None:
    """The hair is gone on the left; on the right the model changed it too, where nothing was to change."""
    sitting, edited, kinds = bald()
    local = np.zeros((SIDE, SIDE), np.float32)
    local[:, :100], local[:, 100:120] = 1, np.linspace(1, 0, 20)
    before = sitting.photo if whole else sitting.crop

    def result(seen: Seen) -> np.ndarray:
        faces = sitting.crop, sitting.base, edited, sitting.region, True, seen
        return paste_change(sitting.photo, WHERE, *faces) if whole else change_face(*faces)

    scale, corner = (1.5, (PHOTO - 1.5 * SIDE) / 2) if whole else (1, 0)
    beyond = int(corner + scale * 121) + 1
    shown = np.where(local >= 0.5, kinds, sitting.scene.kinds)
    found = result(Seen(sitting.scene, shown, local=local))
    changed = (found != before).any(2)
    if whole:  # a tuft above the crop goes as a whole, as far as the crop's border fades
        changed[: int(corner) + 30] = False
    assert not changed[:, beyond:].any()
    assert changed[:, : int(corner + scale * 100)].sum() > 1000
    assert (result(sitting.seen(kinds))[:, beyond:] != before[:, beyond:]).any(2).sum() > 1000
