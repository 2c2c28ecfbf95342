"""training.judging.lights: lamps, and how far an edit under one is off."""

import numpy as np
import pytest

from core.engine import Engine
from training.judging.lights import LAMPS, crop_box, judged, off, under


def test_a_lamp_multiplies_linear_light() -> None:
    grey = np.array([[[0, 8, 128]], [[188, 255, 255]]], np.uint8)
    dim = under(grey, (0.2, 0.2, 0.5))
    # Of sRGB by its definition, with a pocket calculator.
    assert dim.tolist() == [[[0, 2, 92]], [[89, 124, 188]]]
    assert np.array_equal(under(grey, (1, 1, 1)), grey)


def test_how_far_off_is_counted_in_the_box_and_where_anything_changes() -> None:
    added, asked = np.zeros((8, 8, 3)), np.zeros((8, 8, 3))
    added[:2], asked[:2] = 10, 4
    added[2, :, 0] = 2  # nothing
    added[7] = 100  # beyond the box
    over, where = off(added, asked, (slice(0, 4), slice(0, 8)))
    assert where == 6
    assert over == pytest.approx((2 * 6 + 2 / 3) / 4)


def test_every_lamp_and_edit_is_judged(tiny_engine: Engine, photo: np.ndarray) -> None:
    found, rows = judged(tiny_engine, photo, ["smile", "male"], 2.0, 2)
    assert set(found) == {f"{lamp} {edit}" for lamp in LAMPS for edit in ("smile", "male")}
    assert len(rows) == len(LAMPS)
    assert rows[0].shape == (3, *photo.shape)
    y, x = crop_box(tiny_engine.open_portrait(photo))
    assert np.array_equal(rows[0][1][: y.start], rows[0][0][: y.start]) or y.start == 0
    assert x.stop > x.start
