"""core.paste.clearing: no tuft stays above a head that an edit made bald; what else is there, stays."""

from dataclasses import replace

import numpy as np
import pytest

from core.faces.kinds import Kind
from core.paste.clearing import cleared, goes_on_above, going
from core.paste.compositing import paste_change
from core.paste.letting_go import Seen
from core.paste.scene import SIDE, WIDE
from tests.core.paste.heads import COLOURS, OFF, PHOTO, WHERE, Sitting, inner, kinds_of, painted

# Hair that reaches beyond the crop, of which the photo shows 192 px on either side of its middle.
TALL = 125.0
BALD = kinds_of(SIDE, bald=True)
V, U = np.mgrid[:PHOTO, :PHOTO]
BEYOND = V < (PHOTO - 2 * 0.75 * SIDE) / 2 - 4
WALL = np.add(COLOURS[Kind.BACKGROUND], OFF[Kind.BACKGROUND])


@pytest.fixture(scope="module")
def sitting() -> Sitting:
    return Sitting.of(TALL)


def without(photo: np.ndarray, seen: Seen, bared: np.ndarray) -> np.ndarray | None:
    """The photo without the hair that goes; None: none goes."""
    gone = going(seen, bared)
    return None if gone is None else cleared(photo, WHERE, seen, gone)


def test_the_hair_above_the_crop_gives_way_to_the_wall(sitting: Sitting) -> None:
    tuft = inner((kinds_of(PHOTO, 1.5, hair=TALL) == Kind.HAIR) & BEYOND, 5)
    assert tuft.sum() > 1000
    bared = sitting.fresh(painted(BALD), BALD).bared
    result = without(sitting.photo, sitting.seen(BALD), bared)
    assert result is not None
    assert np.abs(sitting.photo[tuft].astype(int) - WALL).mean() > 60
    assert np.abs(result[tuft].astype(int) - WALL).mean() < 6
    away = inner(kinds_of(PHOTO, 1.5, hair=TALL) == Kind.BACKGROUND, 61)
    assert np.array_equal(result[away], sitting.photo[away])


def test_hair_that_stays_goes_on_beyond_the_crop(sitting: Sitting) -> None:
    kinds = kinds_of(SIDE, hair=TALL)
    bared = sitting.fresh(sitting.base, kinds).bared
    assert without(sitting.photo, sitting.seen(kinds), bared) is None
    # Bared beside it, the hair that touches the border keeps what hangs on it.
    bared = np.zeros((SIDE, SIDE), np.float32)
    bared[:20, :60] = 1
    result = without(sitting.photo, sitting.seen(kinds), bared)
    middle = BEYOND & (np.abs(U - PHOTO / 2) < 40)
    assert result is None or np.array_equal(result[middle], sitting.photo[middle])


def test_a_tuft_that_hangs_on_almost_nothing_goes_as_a_whole(sitting: Sitting) -> None:
    """A lock of what was a crown touches the border still: a tuft on a lock would be a flag."""
    kinds = BALD.copy()
    kinds[:40, 120:136] = Kind.HAIR
    bared = sitting.fresh(painted(kinds), kinds).bared
    result = without(sitting.photo, sitting.seen(kinds), bared)
    assert result is not None
    above = inner((kinds_of(PHOTO, 1.5, hair=TALL) == Kind.HAIR) & BEYOND, 5) & (np.abs(U - PHOTO / 2) < 10)
    assert above.sum() > 50
    assert np.abs(result[above].astype(int) - WALL).mean() < 6


def test_the_photo_itself_is_not_written_into(sitting: Sitting) -> None:
    before = sitting.photo.copy()
    result = without(sitting.photo, sitting.seen(BALD), sitting.fresh(painted(BALD), BALD).bared)
    assert result is not sitting.photo
    assert np.array_equal(sitting.photo, before)


def test_clothes_beside_hair_that_goes_are_not_touched(sitting: Sitting) -> None:
    """Single hairs are looked for on walls: a fill of clothes would be a smudge."""
    around = np.full((SIDE, SIDE), Kind.BACKGROUND, np.uint8)
    around[200:240, 100:120] = Kind.HAIR
    around[200:, 120:] = Kind.CLOTHES
    kinds, bared = np.full((SIDE, SIDE), Kind.CLOTHES, np.uint8), np.zeros((SIDE, SIDE), np.float32)
    bared[-30:] = 1
    seen = Seen(replace(sitting.scene, around=around), kinds)
    photo = np.random.default_rng(0).integers(0, 256, (PHOTO, PHOTO, 3), dtype=np.uint8)
    result = without(photo, seen, bared)
    assert result is not None
    # The wider square's pixels are 2.25 of the photo's, and its corner lies at 32.
    rows = slice(32 + round(2.25 * 215), 32 + round(2.25 * 230))
    hair, beside, cloth = (
        np.s_[rows, 32 + round(2.25 * first) : 32 + round(2.25 * last)]
        for first, last in ((104, 116), (91, 96), (127, 160))
    )
    assert result[hair].std((0, 1)).max() < 20
    assert result[beside].std((0, 1)).max() < 50
    assert photo[beside].std((0, 1)).min() > 60
    assert np.array_equal(result[cloth], photo[cloth])


def lower(sitting: Sitting) -> tuple[np.ndarray, np.ndarray]:
    """An edit to fair hair that ends with the crop, and its kinds: a middle third of the crown stays."""
    kinds = kinds_of(SIDE, hair=TALL)
    y, x = np.mgrid[:SIDE, :SIDE]
    kinds[(np.abs(x - SIDE / 2) > 20 + y) & (kinds == Kind.HAIR)] = Kind.BACKGROUND
    return painted(kinds) + (kinds == Kind.HAIR)[:, :, None] * np.float32(90), kinds


def test_no_rim_of_the_old_colour_is_left_where_the_hair_above_goes(sitting: Sitting) -> None:
    edited, kinds = lower(sitting)
    result = paste_change(
        sitting.photo, WHERE, sitting.crop, sitting.base, edited, sitting.region, True, sitting.seen(kinds)
    )
    top = round((PHOTO - 2 * 0.75 * SIDE) / 2)
    rim = np.s_[top - 10 : top + 30, PHOTO // 2 - 20 : PHOTO // 2 + 20]
    assert result[top + 60 : top + 80, PHOTO // 2 - 20 : PHOTO // 2 + 20].mean() > 140
    assert sitting.photo[rim].mean() < 90
    rows = result[rim].mean((1, 2))
    assert rows.min() > 140


def test_a_head_goes_on_above_where_the_photo_s_hair_does(sitting: Sitting) -> None:
    found = goes_on_above(sitting.seen(kinds_of(SIDE, hair=TALL)), None)
    assert abs(len(found) - SIDE / WIDE) < 2
    assert found[len(found) // 2] > 0.99
    assert found[0] == found[-1] == 0
    edited, kinds = lower(sitting)
    gone = going(sitting.seen(kinds), sitting.fresh(edited, kinds).bared)
    assert gone is not None
    assert goes_on_above(sitting.seen(kinds), gone).max() < 0.01
