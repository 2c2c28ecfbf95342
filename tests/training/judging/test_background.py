"""Where the background is, and how much of it changed."""

import numpy as np
import pytest

from core.models.face_parser import CLASSES
from training.judging.background import AWAY, background, change

SIDE = 64


def test_background_keeps_away_from_people_but_not_from_the_picture_s_edge() -> None:
    classes = np.full((SIDE, SIDE), CLASSES.index("background"), np.uint8)
    classes[30, 40] = CLASSES.index("hair")

    found = background(classes, 2 * SIDE)

    near = np.zeros((SIDE, SIDE), bool)
    near[30 - AWAY : 30 + AWAY + 1, 40 - AWAY : 40 + AWAY + 1] = True
    assert np.array_equal(found, ~near.repeat(2, 0).repeat(2, 1))


def test_change_is_the_mean_difference_there() -> None:
    before = np.full((4, 4, 3), 250, np.uint8)
    after = before.copy()
    after[0, 0] = (255, 250, 244)
    after[3, 3] = 0
    where = np.zeros((4, 4), bool)
    where[0, :2] = True
    assert change(before, after, where) == pytest.approx((5 + 0 + 6) / 6)
    assert change(before, after, np.zeros((4, 4), bool)) is None
