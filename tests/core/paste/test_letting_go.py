"""core.paste.letting_go: where the parser sees another thing, nothing of the photo's own is left."""

import numpy as np
import pytest

from core.faces.kinds import Kind
from core.paste.scene import SIDE
from tests.core.paste.heads import COLOURS, OFF, Sitting, inner, kinds_of, painted

HAIRY, BALD = kinds_of(SIDE), kinds_of(SIDE, bald=True)


@pytest.fixture(scope="module")
def sitting() -> Sitting:
    return Sitting.of()


def shown(sitting: Sitting, edited: np.ndarray, kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is shown where the photo is let go (SIDE, SIDE, 3), and where that is."""
    new = sitting.fresh(edited, kinds)
    return new.layers.add + new.layers.keep[:, :, None] * sitting.crop, new.share


def test_where_hair_was_there_is_the_photo_s_wall(sitting: Sitting) -> None:
    picture, share = shown(sitting, painted(BALD), BALD)
    bared = inner((HAIRY == Kind.HAIR) & (BALD == Kind.BACKGROUND), 13)
    assert bared.sum() > 3000
    assert share[bared].min() > 0.99
    wall = np.add(COLOURS[Kind.BACKGROUND], OFF[Kind.BACKGROUND])
    assert np.abs(picture[bared] - wall).max() < 4


def test_what_grows_has_the_photo_s_colours(sitting: Sitting) -> None:
    """Hair over the brow takes what the photo's hair is off by, not what the skin below is."""
    fringe = HAIRY.copy()
    fringe[(fringe == Kind.SKIN) & (np.arange(SIDE)[:, None] < 110)] = Kind.HAIR
    picture, share = shown(sitting, painted(fringe), fringe)
    grown = inner((HAIRY == Kind.SKIN) & (fringe == Kind.HAIR))
    assert share[grown].min() > 0.99
    expected = np.add(COLOURS[Kind.HAIR], OFF[Kind.HAIR])
    assert np.abs(picture[grown].mean(0) - expected).max() < 6


def test_a_hat_replaces_the_hair_and_the_face_stays(sitting: Sitting) -> None:
    hat = HAIRY.copy()
    hat[(hat == Kind.HAIR) & (np.arange(SIDE)[:, None] < 90)] = Kind.HAT
    picture, share = shown(sitting, painted(hat), hat)
    middle = inner(hat == Kind.HAT, 13)
    assert share[middle].min() > 0.99
    assert picture[middle][:, 1].min() > COLOURS[Kind.HAT][1] - 15  # green, no hair shines through
    assert share[inner((HAIRY == Kind.SKIN), 21)].max() < 0.01
    assert share[inner((HAIRY == Kind.BACKGROUND) & (hat == Kind.BACKGROUND), 31)].max() < 0.01


def test_background_in_both_is_left_alone(sitting: Sitting) -> None:
    _, share = shown(sitting, painted(BALD), BALD)
    both = inner((HAIRY == Kind.BACKGROUND) & (BALD == Kind.BACKGROUND), 35)
    assert both.sum() > 2000
    assert share[both].max() < 1e-3


def test_a_parser_that_changes_its_mind_moves_nothing(sitting: Sitting) -> None:
    assert shown(sitting, sitting.base, BALD)[1].max() == 0


def test_an_outline_a_pixel_or_two_off_is_the_same_thing(sitting: Sitting) -> None:
    other = kinds_of(SIDE, hair=101.0)
    assert (other != HAIRY).sum() > 100
    assert shown(sitting, painted(other) + 30, other)[1].max() == 0


def test_what_the_model_never_showed_is_not_lost(sitting: Sitting) -> None:
    """A bow in the photo is no hair to the model: where an edit has none either, it stays."""
    bow = (np.hypot(*(np.mgrid[:SIDE, :SIDE] - 128) - np.array([0, 115])[:, None, None]) < 12).reshape(
        SIDE, SIDE
    )
    kinds, photo = HAIRY.copy(), sitting.crop.copy()
    kinds[bow], photo[bow] = Kind.HAIR, (60, 20, 20)
    bowed = Sitting(
        sitting.photo,
        photo,
        sitting.base,
        sitting.region,
        type(sitting.scene)(kinds, *sitting.scene.arrays[1:]),
    )
    edited = sitting.base + 25
    assert shown(bowed, edited, HAIRY)[1][inner(bow)].max() < 0.05


def test_a_neck_in_another_collar_stays() -> None:
    sitting, collar = Sitting.of(), HAIRY.copy()
    neck = (HAIRY == Kind.SKIN) & (np.arange(SIDE)[:, None] > 215)
    assert neck.sum() > 300
    collar[neck] = Kind.CLOTHES
    assert shown(sitting, painted(collar), collar)[1][neck].max() < 0.05


def test_the_rim_has_no_halo_of_the_model_s_wall(sitting: Sitting) -> None:
    """The model's wall got lighter by 50; beside the new outline the photo's is as dark as ever."""
    edited = painted(BALD)
    edited[BALD == Kind.BACKGROUND] += 50
    picture, share = shown(sitting, edited, BALD)
    dilated = ~inner(BALD < Kind.SKIN, 3) & (BALD == Kind.BACKGROUND) & (share > 0.99)
    wall = np.add(COLOURS[Kind.BACKGROUND], OFF[Kind.BACKGROUND])
    assert dilated.sum() > 100
    assert (picture[dilated].mean(0) - wall).max() < 8
    assert (edited[dilated].mean(0) - wall).max() > 40


def test_where_hair_goes_is_told_for_what_lies_beyond(sitting: Sitting) -> None:
    bared = sitting.fresh(painted(BALD), BALD).bared
    # Not where the motion found wall to put there instead.
    assert (bared[inner((HAIRY == Kind.HAIR) & (BALD == Kind.BACKGROUND), 13)] > 0.99).mean() > 0.98
    assert not bared[HAIRY != Kind.HAIR].any()
    assert not sitting.fresh(sitting.base, HAIRY).bared.any()
