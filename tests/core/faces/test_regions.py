"""core.faces.regions: where something belongs, before and after an edit, smoothly and no farther."""

import numpy as np
import pytest

from core.faces.regions import BELOW, REGIONS, SOFT, region_mask
from core.models.face_parser import CLASSES, SIDE
from core.network_config import REGION_NAMES

Y, X = np.mgrid[:SIDE, :SIDE]


def face(**squares: tuple[int, int, int, int]) -> np.ndarray:
    """(SIDE, SIDE) uint8: skin, and rectangles (top, bottom, left, right) of classes; "_" is a space."""
    classes = np.full((SIDE, SIDE), CLASSES.index("skin"), np.uint8)
    for name, (top, bottom, left, right) in squares.items():
        classes[top:bottom, left:right] = CLASSES.index(name.replace("_", " "))
    return classes


def away(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    """(SIDE, SIDE): how far each pixel lies from the rectangle."""
    dy = np.maximum(np.maximum(top - Y, Y - (bottom - 1)), 0)
    dx = np.maximum(np.maximum(left - X, X - (right - 1)), 0)
    return np.hypot(dy, dx)


def test_what_can_be_named_is_known() -> None:
    assert tuple(REGIONS) == REGION_NAMES
    for region in REGIONS.values():
        assert set(region.classes) <= set(CLASSES)


def test_a_region_is_where_it_was_and_where_it_is() -> None:
    there, here = (100, 110, 60, 90), (130, 140, 70, 100)
    mask = region_mask(("eyes",), (face(left_eye=there), face(right_eye=here)))
    assert mask.shape == (SIDE, SIDE)
    assert mask.dtype == np.float32
    distance, eyes = np.minimum(away(*there), away(*here)), REGIONS["eyes"]
    assert (mask[distance <= eyes.grown - 3 * SOFT] == 1).all()
    assert (mask[distance == 0] == 1).all()
    assert (mask[distance >= eyes.grown + eyes.feather + 2] == 0).all()
    assert mask.min() == 0
    middle = mask[np.abs(distance - eyes.grown - eyes.feather / 2) < 0.5]
    assert np.abs(middle - 0.5).max() < 0.3


@pytest.mark.parametrize("name", REGION_NAMES)
def test_it_ends_without_an_edge(name: str) -> None:
    """No step from pixel to pixel is larger than the feather's steepest."""
    square = (150, 200, 90, 140)
    classes = face(**{"nose": (100, 140, 110, 130), REGIONS[name].classes[0].replace(" ", "_"): square})
    if name == "skin":
        classes = np.where(away(*square) == 0, classes, CLASSES.index("background")).astype(np.uint8)
    mask = region_mask((name,), (classes,))
    assert mask.max() == 1
    # 6t^5 - 15t^4 + 10t^3 rises by 15/8 of its mean.
    steepest = 15 / 8 / min(REGIONS[name].feather, (BELOW[0] - BELOW[1]) * 40)
    assert max(np.abs(np.diff(mask, axis=axis)).max() for axis in (0, 1)) < 1.5 * steepest


def test_regions_together_are_all_of_them() -> None:
    classes = face(nose=(100, 140, 110, 130), hair=(0, 40, 40, 200))
    both = region_mask(("hair", "nose"), (classes,))
    alone = [region_mask((name,), (classes,)) for name in ("hair", "nose")]
    assert np.array_equal(both, np.maximum(*alone))


def test_a_jaw_begins_below_the_nose() -> None:
    classes = face(nose=(100, 140, 110, 130))
    mask = region_mask(("jaw",), (classes,))
    assert (mask[:100] == 0).all()
    assert (mask[139:] == 1).all()
    assert (np.diff(mask[:, 20]) >= 0).all()
    assert (region_mask(("jaw",), (face(),)) == 1).all()


def test_what_nobody_has_is_nowhere() -> None:
    assert not region_mask(("glasses", "hair"), (face(), face())).any()
    assert not region_mask((), (face(),)).any()


def test_what_is_spared_stays_unless_it_is_covered() -> None:
    """An ear beside hair; then hair falls over its upper half."""
    hair, ear = (0, 100, 60, 90), (60, 120, 90, 110)
    before = face(hair=hair, left_ear=ear)
    mask = region_mask(("hair",), (before, before))
    assert (mask[62:95, 95:108] < 1e-4).all()
    assert (mask[50:55, 92] > 0.9).all()  # above the ear the rim goes on
    covered = face(left_ear=ear, hair=(0, 90, 60, 110))
    mask = region_mask(("hair",), (before, covered))
    assert (mask[62:86, 92:106] > 0.99).all()
    assert (mask[100:118, 96:108] < 1e-4).all()
