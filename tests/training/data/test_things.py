"""training.data.things: what is drawn before a face, and that it is said where."""

import numpy as np
import pytest

from core.models.face_parser import CLASSES
from training.data.aligned import AlignedFace
from training.data.things import SHAPES, SOMEBODY, Other, covered, somebody

SIDE = 128


def face(level: int) -> AlignedFace:
    """A plain picture, and landmarks as of an upright face in its middle."""
    points = np.full((68, 2), 64.0, np.float32)
    angle = np.linspace(np.pi, 0, 17)
    points[:17] = np.stack([64 + 30 * np.cos(angle), 60 + 40 * np.sin(angle)], 1)
    points[17:27, 1], points[27:36, 1] = 45, np.linspace(52, 72, 9)
    points[36:42], points[42:48], points[48:68] = (50, 52), (78, 52), (64, 85)
    return AlignedFace("n", np.full((SIDE, SIDE, 3), level, np.uint8), points, {})


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_are_full_and_differ_and_mostly_reach_the_face(shape: object) -> None:
    drawn = [shape(np.random.default_rng(seed), face(100)) for seed in range(12)]  # type: ignore[operator]
    for one in drawn:
        assert one.dtype == np.float32
        assert one.shape == (SIDE, SIDE)
        assert set(np.unique(one)) <= {0.0, 1.0}
    middle = slice(45, 100), slice(34, 94)
    assert sum(one[middle].any() for one in drawn) >= 9
    assert len({one.tobytes() for one in drawn}) > 9


def test_what_is_said_to_be_the_thing_changed_and_far_from_it_nothing() -> None:
    other = Other(face(160), None)
    for seed in range(30):
        ours = face(100)
        picture, thing = covered(ours, other, np.random.default_rng(seed))
        assert picture.dtype == np.uint8
        assert (ours.crop == 100).all()
        if thing.any():
            assert (picture[thing] != 100).any(1).mean() > 0.75
            y, x = np.nonzero(thing)
            away = np.ones((SIDE, SIDE), bool)
            away[max(0, y.min() - 48) : y.max() + 49, max(0, x.min() - 48) : x.max() + 49] = False
            assert (picture[away] == 100).all()
    again = covered(face(100), other, np.random.default_rng(29))
    assert np.array_equal(again[0], picture)
    assert np.array_equal(again[1], thing)


def test_somebody_is_the_others_head_and_not_their_clothes() -> None:
    mask = np.full((SIDE, SIDE), CLASSES.index("cloth"), np.uint8)
    mask[30:100, 40:90] = CLASSES.index("skin")
    one = face(0)
    one.crop[mask == CLASSES.index("skin")] = 200
    shape, colours = somebody(Other(one, mask), np.random.default_rng(1))
    assert CLASSES.index("cloth") not in SOMEBODY
    assert shape.any()
    assert (colours[shape > 0.99] > 190).all()
