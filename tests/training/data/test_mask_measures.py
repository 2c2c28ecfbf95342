"""What masks say, on masks that were drawn."""

import numpy as np
import pytest

from core.models.face_parser import CLASSES
from training.data.mask_measures import FULL, HAIR, HAT, LEAST, MASK_MEASURES, SKIN, fringe, mask_measures

SIDE = 128


@pytest.fixture
def landmarks() -> np.ndarray:
    """Brows at row 50, 24 px long; eyes 40 px apart; the mouth at row 90."""
    points = np.full((68, 2), 64.0)
    points[17:22] = np.stack([np.linspace(32, 56, 5), np.full(5, 50)], 1)
    points[22:27] = np.stack([np.linspace(72, 96, 5), np.full(5, 50)], 1)
    points[36:42], points[42:48] = (44, 60), (84, 60)
    points[27], points[33] = (64, 55), (64, 75)
    points[48:68] = (64, 90)
    return points


def test_hair_is_measured_above_the_brows_and_below_the_mouth(landmarks: np.ndarray) -> None:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[20:50, 40:80] = SKIN
    found = mask_measures(mask, landmarks)
    assert set(found) == set(MASK_MEASURES)
    assert (found["bald"], found["hair_length"], found["bangs"]) == (1, 0, 0)
    mask[10:30, 40:80] = HAIR
    mask[90:128, :32] = HAIR
    found = mask_measures(mask, landmarks)
    assert found["bald"] == pytest.approx(20 / 40)
    assert found["hair_length"] == pytest.approx(32 / 128)
    assert np.isnan(mask_measures(np.zeros_like(mask), landmarks)["bald"])
    mask[:10] = HAT
    assert np.isnan(mask_measures(mask, landmarks)["bald"])


def test_brows_count_by_their_area_for_their_length(landmarks: np.ndarray) -> None:
    mask = np.full((SIDE, SIDE), SKIN, np.uint8)
    mask[48:52, 32:56] = CLASSES.index("right brow")
    mask[48:52, 72:96] = CLASSES.index("left brow")
    assert mask_measures(mask, landmarks)["brow_thickness"] == pytest.approx(2 * 4 * 24 / 24**2)


def test_what_is_worn_counts_by_how_much_there_is(landmarks: np.ndarray) -> None:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    assert mask_measures(mask, landmarks)["earrings"] == 0
    least = round(LEAST * 40**2)
    mask[100, :least] = CLASSES.index("earring")
    assert mask_measures(mask, landmarks)["earrings"] == pytest.approx(np.log(2) / np.log(1 + FULL))
    mask[100:110] = CLASSES.index("earring")
    assert mask_measures(mask, landmarks)["earrings"] == 1


def test_fringe_is_the_hair_over_the_brows() -> None:
    landmarks = np.zeros((68, 2), np.float32)
    landmarks[17:22], landmarks[22:27] = (20, 60), (60, 60)
    landmarks[27], landmarks[33] = (40, 62), (40, 102)  # the nose is 40 px long: rows 20 to 60
    mask = np.zeros((128, 128), np.uint8)
    assert fringe(mask, landmarks) == 0
    mask[:40] = HAIR
    assert fringe(mask, landmarks) == pytest.approx(0.5, abs=0.03)
