"""core.paste.beyond: hair has one colour, inside the crop and beyond it; what is no hair of it, stays."""

from dataclasses import replace

import numpy as np
import pytest

from core.faces.kinds import Kind
from core.paste.beyond import recoloured
from core.paste.compositing import paste_change
from core.paste.scene import SIDE, Scene
from tests.core.paste.heads import PHOTO, WHERE, Sitting, inner, kinds_of

# Hair that reaches beyond the crop, of which the photo shows 192 px on either side of its middle.
TALL = 125.0
KINDS, WIDE_KINDS = kinds_of(SIDE, hair=TALL), kinds_of(PHOTO, 1.5, hair=TALL)
V, U = np.mgrid[:PHOTO, :PHOTO]
TOP = (PHOTO - 2 * 0.75 * SIDE) / 2
BEYOND = inner((WIDE_KINDS == Kind.HAIR) & (V < TOP - 4), 5)
FAIRER = np.array([70.0, 55.0, 20.0], np.float32)


@pytest.fixture(scope="module")
def sitting() -> Sitting:
    return Sitting.of(TALL)


def fair(sitting: Sitting, by: np.ndarray = FAIRER) -> np.ndarray:
    """The model's picture with other hair."""
    return sitting.base + (KINDS == Kind.HAIR)[:, :, None] * by


def pasted(
    sitting: Sitting, edited: np.ndarray, scene: Scene | None = None, **seen: np.ndarray
) -> np.ndarray:
    told = replace(sitting.seen(KINDS), scene=scene or sitting.scene, **seen)
    return paste_change(sitting.photo, WHERE, sitting.crop, sitting.base, edited, sitting.region, True, told)


def test_hair_beyond_the_crop_has_the_colour_that_it_has_inside(sitting: Sitting) -> None:
    change = pasted(sitting, fair(sitting)).astype(float) - sitting.photo
    inside = inner((WIDE_KINDS == Kind.HAIR) & (V > TOP + 60) & (V < TOP + 100), 5)
    assert min(BEYOND.sum(), inside.sum()) > 1000
    assert (change[inside].mean(0) > FAIRER * 0.75).all()
    assert np.abs(change[BEYOND].mean(0) - change[inside].mean(0)).max() < 8
    # From one to the other no step, of what changed by forty: rows of the photo, along its middle.
    rows = change[int(TOP) - 20 : int(TOP) + 60, PHOTO // 2 - 20 : PHOTO // 2 + 20].mean((1, 2))
    assert np.abs(np.diff(rows)).max() < 5


def test_the_wall_stays_up_to_the_hair_s_outline(sitting: Sitting) -> None:
    change = np.abs(pasted(sitting, fair(sitting)).astype(int) - sitting.photo).max(2)
    wall = (WIDE_KINDS == Kind.BACKGROUND) & (V < TOP)
    near = inner(wall, 7) & ~inner(wall, 15)
    assert change[near].mean() < 4  # the hair beside it changes by seventy
    assert change[inner(wall, 41)].max() == 0


def test_no_glow_is_beside_hair_that_gets_fairer_than_the_wall(sitting: Sitting) -> None:
    change = pasted(sitting, fair(sitting, np.float32([125, 160, 180]))).astype(int) - sitting.photo
    wall = (WIDE_KINDS == Kind.BACKGROUND) & (V < TOP)
    assert change[BEYOND].mean() > 90
    assert np.abs(change[wall & ~inner(wall, 5)]).mean() < 9.5


def test_an_edit_of_the_face_leaves_all_beyond_the_crop(sitting: Sitting) -> None:
    edited = sitting.base + (KINDS == Kind.SKIN)[:, :, None] * FAIRER
    result = pasted(sitting, edited)
    assert (result != sitting.photo).any()
    assert np.array_equal(result[: int(TOP)], sitting.photo[: int(TOP)])


def test_hair_that_does_not_hang_together_with_it_stays(sitting: Sitting) -> None:
    """Somebody else's, beside the crop."""
    around = sitting.scene.around.copy()
    around[:, :30] = Kind.BACKGROUND
    around[60:120, 4:16] = Kind.HAIR
    result = pasted(sitting, fair(sitting), replace(sitting.scene, around=around))
    left = int(PHOTO / 2 - 1.5 * 0.75 * SIDE + 24 * 1.5 * 1.5)
    assert np.array_equal(result[:, :left], sitting.photo[:, :left])
    assert (result[BEYOND] != sitting.photo[BEYOND]).any()


def test_a_local_edit_that_is_not_of_the_hair_s_end_leaves_what_is_beyond(sitting: Sitting) -> None:
    local = np.zeros((SIDE, SIDE), np.float32)
    local[SIDE // 3 :] = 1
    result = pasted(sitting, fair(sitting), local=local)
    assert np.array_equal(result[: int(TOP)], sitting.photo[: int(TOP)])


def test_nothing_is_written_into(sitting: Sitting) -> None:
    before, photo = sitting.photo.copy(), sitting.photo.copy()
    mask, change = np.ones((SIDE, SIDE), np.float32), fair(sitting) - sitting.base
    result = recoloured(photo, photo, WHERE, change, mask, sitting.seen(KINDS), None)
    assert result is not photo
    assert np.array_equal(photo, before)
