"""core.paste.strays: what floats beside a head is nobody's."""

from dataclasses import replace

import numpy as np

from core.faces.kinds import Kind
from core.paste.compositing import paste_change
from core.paste.scene import SIDE
from core.paste.strays import strays
from tests.core.paste.heads import PHOTO, WHERE, Sitting, kinds_of, painted


def flecked() -> np.ndarray:
    """A head's kinds with a fleck beside it, which a parser takes half for skin."""
    kinds = kinds_of(SIDE)
    kinds[150:168, 30:42] = Kind.HAIR
    kinds[156:160, 30:42] = Kind.SKIN
    return kinds


def test_what_touches_nobody_is_found_and_a_head_is_not() -> None:
    assert strays(kinds_of(SIDE)) is None
    assert strays(np.full((SIDE, SIDE), Kind.BACKGROUND, np.uint8)) is None
    found = strays(flecked())
    assert found is not None
    assert found[150:168, 30:42].min() > 0.99
    assert found[:, 60:].max() == 0
    assert found[:130].max() == 0


def test_half_a_head_is_no_fleck() -> None:
    kinds = kinds_of(SIDE)
    kinds[:, 120:124] = Kind.BACKGROUND
    assert strays(kinds) is None


def test_the_photo_shows_no_fleck_and_the_rest_of_the_edit() -> None:
    sitting, kinds = Sitting.of(), flecked()
    edited = painted(kinds) + (kinds == Kind.HAIR)[:, :, None] * np.float32(60)
    result = paste_change(
        sitting.photo, WHERE, sitting.crop, sitting.base, edited, sitting.region, True, sitting.seen(kinds)
    )
    left = (PHOTO - 1.5 * SIDE) / 2
    fleck = np.s_[
        round(left + 1.5 * 151) : round(left + 1.5 * 167), round(left + 1.5 * 31) : round(left + 1.5 * 41)
    ]
    assert np.array_equal(result[fleck], sitting.photo[fleck])
    assert (result != sitting.photo).mean() > 0.02
    held = replace(sitting.seen(kinds), covered=np.zeros((SIDE, SIDE), np.float32))
    again = paste_change(sitting.photo, WHERE, sitting.crop, sitting.base, edited, sitting.region, True, held)
    assert np.array_equal(result, again)
