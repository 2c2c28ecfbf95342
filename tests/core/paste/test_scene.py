"""core.paste.scene: what is behind a person is the wall around, and nothing of the person."""

import numpy as np
import pytest

from core.faces.alignment import CropTransform, crop
from core.faces.kinds import Kind
from core.paste.scene import SIDE, WIDE, scene, spread, wider
from tests.core.paste.heads import classes_of

# In the middle of a photo of 600 x 600, with all of the wider square inside it.
INSIDE = CropTransform((299.5, 299.5), (150.0, 0.0))
V, U = np.mgrid[:600, :600]
HEAD = np.hypot(U - 300, V - 300) < 90


def photo_of(wall: np.ndarray) -> np.ndarray:
    """(600, 600, 3) uint8: a red head before a grey wall (600, 600)."""
    photo = np.repeat(wall[:, :, None], 3, 2).astype(np.uint8)
    photo[HEAD] = (220, 30, 30)
    return photo


def red(picture: np.ndarray) -> np.ndarray:
    """(S, S) uint8 kinds: skin where it is red."""
    return np.where(picture[:, :, 0] > picture[:, :, 1].astype(int) + 40, Kind.SKIN, Kind.BACKGROUND).astype(
        np.uint8
    )


def test_the_crop_and_a_wider_square_are_looked_at() -> None:
    photo, seen = photo_of(np.full((600, 600), 120)), []
    found = scene(photo, INSIDE, lambda picture: seen.append(picture) or classes_of(red(picture)))
    assert wider(INSIDE) == CropTransform(INSIDE.center, (WIDE * 150.0, 0.0))
    assert np.array_equal(seen[0], crop(photo, INSIDE, SIDE))
    assert np.array_equal(seen[1], crop(photo, wider(INSIDE), SIDE))
    assert np.array_equal(found.kinds, red(seen[0]))
    assert np.array_equal(found.classes, classes_of(red(seen[0])))
    assert np.array_equal(found.around, red(seen[1]))
    assert (found.kinds == Kind.SKIN).sum() > 2 * (found.around == Kind.SKIN).sum()
    assert [
        array is part
        for array, part in zip(
            found.arrays, (found.kinds, found.around, found.wall, found.classes), strict=True
        )
    ]


def test_the_wall_goes_on_behind_the_head() -> None:
    ramp = 60 + U / 600 * 120.0
    wall = scene(photo_of(ramp), INSIDE, lambda picture: classes_of(red(picture))).wall
    expected = crop(np.repeat(ramp[:, :, None], 3, 2).astype(np.uint8), wider(INSIDE), SIDE)
    assert wall.shape == (SIDE, SIDE, 3)
    assert wall.dtype == np.float32
    assert np.abs(wall - expected).max() < 12
    assert np.ptp(wall, axis=2).max() < 1  # nothing red


def test_what_is_reflected_beyond_the_photo_is_no_wall() -> None:
    """A head that the photo's edge cuts: the parser takes its mirror image for a wall."""
    photo = photo_of(np.full((600, 600), 120))[:, 260:]
    edge = CropTransform((60.0, 300.0), (150.0, 0.0))

    def kinds_of(picture: np.ndarray) -> np.ndarray:
        kinds = red(picture)
        kinds[:, : SIDE // 3] = Kind.BACKGROUND
        return kinds

    assert np.ptp(scene(photo, edge, lambda picture: classes_of(kinds_of(picture))).wall, axis=2).max() < 1


def test_clothes_count_less_than_a_wall() -> None:
    photo = photo_of(np.where(V < 330, 200, 20))

    def kinds_of(picture: np.ndarray) -> np.ndarray:
        kinds = red(picture)
        kinds[picture[:, :, 0] < 40] = Kind.CLOTHES
        return kinds

    wall = scene(photo, INSIDE, lambda picture: classes_of(kinds_of(picture))).wall[:, SIDE // 2, 0]
    assert wall[SIDE // 2 - 20] > 160
    assert wall[-10] < 40


def test_what_is_known_stays_and_the_rest_lies_between() -> None:
    picture = np.repeat(np.linspace(0, 200, 96, dtype=np.float32)[None, :, None], 96, 0).repeat(3, 2)
    known = np.ones((96, 96), np.float32)
    known[30:70, 20:80] = 0
    found = spread(picture, known)
    assert np.allclose(found[known > 0], picture[known > 0], atol=1e-3)
    assert found.min() >= 0
    assert found.max() <= 200
    assert np.abs(found - picture).max() < 45


@pytest.mark.parametrize("size", [3, 64, 100])
def test_one_colour_is_spread_everywhere(size: int) -> None:
    known = np.zeros((size, size), np.float32)
    known[1, 2] = 1
    found = spread(np.full((size, size, 3), (10, 90, 250), np.float32), known)
    assert np.allclose(found, (10, 90, 250), rtol=1e-3)


def test_where_nothing_is_known_nothing_is_made_up() -> None:
    picture = np.full((64, 64, 3), 99, np.float32)
    assert not spread(picture, np.zeros((64, 64), np.float32)).any()
