"""core.paste.covering: what lies before a face, and that nothing of it changes."""

import dataclasses

import numpy as np
import pytest

from core.faces.kinds import Kind
from core.paste import compositing
from core.paste.covering import LIP, LOST, MANY, SIDE, Covers, covered, covers
from tests.core.paste.heads import PHOTO, WHERE, Sitting, kinds_of, painted

NOTHING = np.zeros((SIDE, SIDE), bool)
KINDS = kinds_of(SIDE)
PICTURE = painted(KINDS)


def landmarks() -> np.ndarray:
    """(68, 2): a chin and brows around the head of `heads`, eyes, nose and mouth in it."""
    angle = np.linspace(np.pi, 0, 17)
    points = np.full((68, 2), 127.5)
    points[:17] = np.stack([127.5 + 54 * np.cos(angle), 110 + 90 * np.sin(angle)], 1)
    points[17:27] = np.stack([np.linspace(85, 170, 10), np.full(10, 90)], 1)
    points[27:36, 1] = np.linspace(105, 145, 9)
    points[36:42], points[42:48] = (100, 110), (155, 110)
    points[48:68] = (127.5, 170)
    return points


def seen(lip: bool = True, eyes: bool = True) -> dict[str, np.ndarray]:
    parts = {"upper lip": NOTHING.copy(), "eyes": NOTHING.copy()}
    parts["upper lip"][165:172, 105:150] = lip
    parts["eyes"][106:114, 95:105] = eyes
    return parts


def of(kinds: np.ndarray = KINDS, picture: np.ndarray = PICTURE, **parts: bool) -> Covers:
    return covers(picture.clip(0, 255).astype(np.uint8), landmarks(), kinds, seen(**parts))


def told(found: Covers, kinds: np.ndarray = KINDS, **given: object) -> np.ndarray | None:
    pictures = {"crop": PICTURE, "base": PICTURE, "edited_kinds": kinds, "lip": None, **given}
    return covered(found, kinds, **pictures)  # type: ignore[arg-type]


def test_a_bare_face_is_covered_by_nothing() -> None:
    found = of()
    assert not found.doubtful
    assert not found.thing.any()
    assert not found.glass.any()
    assert told(found, lip=1000) is None


def test_a_mouth_is_hidden_where_the_model_has_one_and_the_photo_none() -> None:
    found = of(lip=False)
    assert found.doubtful
    assert told(found) is None
    assert told(found, lip=LOST) is None
    hold = told(found, lip=LOST + 1)
    assert hold is not None
    tip = landmarks()[30, 1]
    assert (hold[int(tip) + 1 :] == 1).all()
    assert (hold[: int(tip) - 16] == 0).all()  # a quarter of the 60 px from the eyes to the mouth
    assert dataclasses.replace(found, lip=LIP + 1).doubtful is False


@pytest.mark.parametrize("kind", [Kind.BACKGROUND, Kind.CLOTHES, Kind.HAT])
def test_what_faces_are_not_made_of_is_held_with_what_is_joined_to_it(kind: Kind) -> None:
    kinds, photo = KINDS.copy(), PICTURE.copy()
    photo[130:190, 90:120] = (20, 20, 25)
    kinds[130:160, 90:120] = kind  # the parser sees half of it
    found = of(kinds, photo)
    hold = told(found, kinds, crop=photo)
    assert hold is not None
    assert (hold[130:190, 90:120] == 1).all()
    assert (hold[100:112] == 0).all()


def test_strands_gaps_and_hats_above_are_no_things() -> None:
    kinds = KINDS.copy()
    kinds[130:190, 100:104] = Kind.BACKGROUND
    kinds[70:100, 90:160] = Kind.HAT
    kinds[120:180, 85:110] = Kind.HAIR
    assert not of(kinds).thing.any()


def test_what_a_finder_is_sure_of_is_held_with_what_of_it_is_beside_the_face() -> None:
    likely = np.zeros((SIDE, SIDE), np.float32)
    likely[140:180, 150:240] = 0.95  # from the cheek to beyond the face
    likely[60:64, 100:160] = 0.95  # a line
    likely[200:250, 5:40] = 0.95  # far from the face
    faces = {"crop": PICTURE.clip(0, 255).astype(np.uint8), "landmarks": landmarks()}
    found = covers(**faces, kinds=KINDS, parts=seen(), likely=likely)
    assert found.seen[142:178, 152:238].all()
    assert found.seen.sum() <= 40 * 90
    hold = told(found)
    assert hold is not None
    assert (hold[140:180, 150:240] == 1).all()
    assert (hold[:115] == 0).all()
    assert (hold[:, :130] == 0).all()
    dim = np.minimum(likely, 0.4)  # but for its middle, beside the face
    dim[145:175, 190:220] = 0.9
    told_dim = told(covers(**faces, kinds=KINDS, parts=seen(), likely=dim))
    assert told_dim is not None
    assert np.array_equal(told_dim, hold)
    doubtful, small = np.minimum(likely, 0.55), np.zeros_like(likely)
    side = int(MANY**0.5) - 1
    small[140 : 140 + side, 130 : 130 + side] = 1
    glasses = KINDS.copy()
    glasses[130:190, 140:] = Kind.GLASSES
    for given, kinds in ((doubtful, KINDS), (small, KINDS), (likely, glasses)):
        assert told(covers(**faces, kinds=kinds, parts=seen(), likely=given)) is None


def glasses(colour: int) -> tuple[np.ndarray, np.ndarray]:
    kinds, picture = KINDS.copy(), PICTURE.copy()
    kinds[95:128, 78:178] = Kind.GLASSES
    picture[95:128, 78:178] = colour
    return kinds, picture


def test_dark_glass_is_held_until_an_edit_takes_it_off() -> None:
    kinds, picture = glasses(30)
    found = of(kinds, picture, eyes=False)
    hold = told(found, kinds)
    assert hold is not None
    assert (hold[95:128, 82:174] == 1).all()
    assert (hold[145:] == 0).all()
    assert told(found, kinds, edited_kinds=KINDS) is None


def test_glass_that_shows_eyes_or_skin_is_not() -> None:
    kinds, dark = glasses(30)
    assert not of(kinds, dark).glass.any()
    assert not of(kinds, glasses(150)[1], eyes=False).glass.any()  # lids


@pytest.mark.parametrize("paste", [compositing.paste_change, compositing.paste_rendering])
@pytest.mark.parametrize("keep_detail", [True, False])
def test_a_thing_keeps_its_pixels(paste: object, keep_detail: bool) -> None:
    sitting = Sitting.of()
    hold = np.zeros((SIDE, SIDE), np.float32)
    hold[120:200] = 1
    edited = sitting.base + np.float32(40)
    edited[60:] = np.roll(edited[60:], 9, axis=1)
    edited_kinds = kinds_of(SIDE, hair=60, bald=True)
    pasted = {
        held: paste(  # type: ignore[operator]
            sitting.photo, WHERE, sitting.crop, sitting.base, edited, sitting.region, keep_detail,
            dataclasses.replace(sitting.seen(edited_kinds), covered=field),
        )
        for held, field in ((True, hold), (False, None))
    }  # fmt: skip
    rows = slice(round(PHOTO / 2 + 1.5 * (124 - SIDE / 2)), round(PHOTO / 2 + 1.5 * (196 - SIDE / 2)))
    inside = slice(PHOTO // 2 - 125, PHOTO // 2 + 125)
    assert np.array_equal(pasted[True][rows, inside], sitting.photo[rows, inside])
    assert not np.array_equal(pasted[False][rows, inside], sitting.photo[rows, inside])
    above = slice(round(PHOTO / 2 - 1.5 * 50), round(PHOTO / 2 - 1.5 * 20))
    assert not np.array_equal(pasted[True][above, inside], sitting.photo[above, inside])


def test_the_face_alone_keeps_it_too() -> None:
    sitting = Sitting.of()
    hold = np.zeros((SIDE, SIDE), np.float32)
    hold[120:200] = 1
    given = dataclasses.replace(sitting.seen(KINDS), covered=hold)
    crop = sitting.crop
    found = compositing.change_face(crop, sitting.base, sitting.base + 40, sitting.region, True, given)
    assert np.array_equal(found[121:199], crop[121:199])
    assert not np.array_equal(found[:110], crop[:110])
