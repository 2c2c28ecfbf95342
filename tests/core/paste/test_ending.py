"""core.paste.ending: the border fades, crowns end in an arc, locks in tips."""

import numpy as np
import pytest

from core.faces.kinds import Kind
from core.paste.ending import BORDER, NARROW, crown, ending, window


@pytest.mark.parametrize("border", [BORDER, NARROW])
def test_the_border_is_nothing_and_the_middle_everything(border: float) -> None:
    found = window(128, border)
    for edge in (found[0], found[-1], found[:, 0], found[:, -1]):
        assert not edge.any()
    inside = round(128 * border / 2) + 6
    assert found[inside:-inside, 64].min() > 0.99
    assert not found.flags.writeable


def head(size: int, top: int, kind: Kind = Kind.HAIR) -> np.ndarray:
    """(size, size) kinds: a block from row `top` on, in the middle half."""
    kinds = np.zeros((size, size), np.uint8)
    kinds[top:, size // 4 : -size // 4] = kind
    return kinds


def test_a_head_that_fits_is_not_cut() -> None:
    assert crown(head(256, 3), 512).min() == 1


def test_a_head_that_is_cut_ends_in_an_arc() -> None:
    found = crown(head(256, 0), 256)
    sunk = [int(np.argmax(found[:, x] > 0.5)) for x in (128, 100, 70)]
    assert sunk[0] < sunk[1] < sunk[2] < 20
    assert found[30:].min() == 1
    assert found[:, :20].min() == 1  # beside the head there is nothing to end


def test_above_it_goes_close_to_the_border_below_a_neck_fades() -> None:
    edited = np.full((256, 256, 3), 99, np.float32)
    found = ending(edited, head(256, 100, Kind.SKIN))
    assert np.array_equal(found[:200], window(256, NARROW)[:200])
    assert np.allclose(found[-28:, 128], window(256)[-28:, 128], atol=0.02)


def test_hair_below_ends_lock_by_lock() -> None:
    edited = np.zeros((256, 256, 3), np.float32)
    edited[:, ::8] = edited[:, 1::8] = 120  # strands
    found = ending(edited, head(256, 100))[:, 80:176]
    ends = 256 - np.argmax(found[::-1] > 0.5, axis=0)
    assert ends.max() - ends.min() >= 2
    assert np.array_equal(ends, np.roll(ends, 8)) or np.ptp(ends - np.roll(ends, 8)) <= 1
    smooth = ending(np.full_like(edited, 60), head(256, 100))[:, 80:176]
    assert np.ptp(np.argmax(smooth[::-1] > 0.5, axis=0)) == 0
