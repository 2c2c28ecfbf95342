"""core.paste.person: hair is told from the wall, whatever their colours, and no face is no guess."""

import cv2
import numpy as np
import pytest

from core.paste.person import SIDE, person

SIZE = 256
Y, X = np.mgrid[:SIZE, :SIZE]
FACE = (((X - 128) / 60) ** 2 + ((Y - 140) / 80) ** 2 < 1).astype(np.float32)
HEAD = ((X - 128) / 75) ** 2 + ((Y - 115) / 85) ** 2 < 1
# Hair that hangs down beside the face, to the shoulders.
LONG = HEAD | ((np.abs(X - 128) < 85) & (Y > 100) & (Y < 215))
NECK = (np.abs(X - 128) < 30) & (Y > 200)


def portrait(hair: np.ndarray, wall: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    """(SIZE, SIZE, 3) float32: skin on face and neck, brown hair, a wall; noise on all."""
    image = np.empty((SIZE, SIZE, 3), np.float32)
    image[:] = wall
    image[hair] = (70, 50, 40)
    image[(FACE > 0) | NECK] = (210, 160, 140)
    return image + np.random.default_rng(seed).normal(0, 4, image.shape).astype(np.float32)


def region() -> np.ndarray:
    return cv2.GaussianBlur(cv2.dilate(FACE, np.ones((9, 9))), (0, 0), 8)


@pytest.mark.parametrize("hair", [HEAD, LONG], ids=["short", "long"])
@pytest.mark.parametrize("wall", [(220, 220, 225), (60, 110, 70), (20, 20, 30)])
def test_the_person_is_face_hair_and_neck(hair: np.ndarray, wall: tuple[int, int, int]) -> None:
    found = cv2.resize(person(portrait(hair, wall), region()), (SIZE, SIZE))
    true = (hair | (FACE > 0) | NECK).astype(np.uint8)
    kernel = np.ones((13, 13), np.uint8)
    assert found[cv2.erode(true, kernel) > 0].mean() > 0.97
    assert found[cv2.dilate(true, kernel) == 0].mean() < 0.03


def test_clothes_in_the_lower_corners_are_not_the_person() -> None:
    image = portrait(HEAD, (220, 220, 225))
    shirt = (Y > 225) & ~NECK
    image[shirt] = (40, 60, 160)
    found = cv2.resize(person(image, region()), (SIZE, SIZE))
    assert found[shirt & (np.abs(X - 128) > 50)].mean() < 0.05
    assert found[FACE > 0].mean() > 0.97


def test_a_face_that_has_turned_away_leaves_the_wall_behind() -> None:
    image = np.roll(portrait(HEAD, (220, 220, 225)), -16, axis=1)
    found = cv2.resize(person(image, region()), (SIZE, SIZE))
    left_behind = (FACE > 0) & ~np.roll(HEAD | (FACE > 0) | NECK, -16, axis=1)
    assert found[cv2.erode(left_behind.astype(np.uint8), np.ones((5, 5))) > 0].mean() < 0.4


def test_equal_pictures_give_equal_guesses() -> None:
    image = portrait(LONG, (60, 110, 70))
    assert np.array_equal(person(image, region()), person(image.copy(), region()))


def test_where_nothing_is_unlike_the_person_everything_is_the_person() -> None:
    """Skin on the face, its own hair's colour around it, both in turn along the sides."""
    image = np.empty((SIZE, SIZE, 3), np.float32)
    image[:] = (70, 50, 40)
    image[(FACE > 0) | ((np.abs(X - 128) > 98) & (X % 8 < 4))] = (210, 160, 140)
    assert np.array_equal(person(image, region()), np.ones((SIDE, SIDE)))


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_without_a_start_everything_is_the_person(value: float) -> None:
    nothing = np.full((64, 64), value, np.float32)
    assert np.array_equal(person(np.full((64, 64, 3), 99.0, np.float32), nothing), np.ones((SIDE, SIDE)))
