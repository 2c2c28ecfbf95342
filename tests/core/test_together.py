"""core.together: the edits of several faces in one photo."""

import itertools

import numpy as np
import pytest

from core.engine import Engine
from core.errors import BadRequest
from core.session import EditRequest, View
from core.together import Change, FaceEdits, together

WHOLE = View("photo", "photo")


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)


def painted(photo: np.ndarray, box: tuple[int, int, int, int], seed: int) -> np.ndarray:
    """The photo with other pixels in the box (left, top, right, bottom), corners included."""
    left, top, right, bottom = box
    result = photo.copy()
    new = np.random.default_rng(seed).integers(0, 256, (bottom - top, right - left, 3))
    result[top:bottom, left:right] = new
    for y, x in itertools.product((top, bottom - 1), (left, right - 1)):
        result[y, x] = 255 - photo[y, x]
    return result


def test_a_change_is_the_smallest_box_and_keeps_what_is_there(noise: np.ndarray) -> None:
    after = painted(noise, (7, 3, 31, 22), 1)
    change = Change.between(noise, after)
    assert change is not None
    assert (change.left, change.top, change.after.shape) == (7, 3, (19, 24, 3))
    assert np.array_equal(change.after, after[3:22, 7:31])
    assert not change.after.flags.writeable
    after[:] = 0  # the caller's own, still
    assert change.after.any()
    assert Change.between(noise, noise.copy()) is None


def test_all_changes_are_added_and_the_sum_is_clipped_once(noise: np.ndarray) -> None:
    boxes = [(0, 0, 30, 30), (20, 10, 60, 40), (25, 5, 35, 38)]
    pictures = [painted(noise, box, seed) for seed, box in enumerate(boxes)]
    first, *others = pictures
    plain = sum((picture.astype(int) - noise for picture in pictures), noise.astype(int))
    assert (plain < 0).any()
    assert (plain > 255).any()
    wanted = plain.clip(0, 255)
    for one, *rest in itertools.permutations(pictures):
        found = together(one, noise, [Change.between(noise, picture) for picture in rest])
        assert np.array_equal(found, wanted)
    kept = first.copy()
    together(first, noise, [Change.between(noise, other) for other in others])
    assert np.array_equal(first, kept)


def test_where_nobody_changed_anything_the_photo_is_exact(noise: np.ndarray) -> None:
    boxes = [(2, 2, 12, 12), (40, 20, 55, 36)]
    one, other = (painted(noise, box, seed) for seed, box in enumerate(boxes))
    found = together(one, noise, [Change.between(noise, other), None])
    same = (one == noise).all(2) & (other == noise).all(2)
    assert 0 < same.sum() < same.size
    assert np.array_equal(found[same], noise[same])
    assert np.array_equal(found[2:12, 2:12], one[2:12, 2:12])
    assert np.array_equal(found[20:36, 40:55], other[20:36, 40:55])
    assert np.array_equal(together(one, noise, [None]), one)


def test_two_faces_of_a_photo_are_edited_each_in_its_own_way(tiny_engine: Engine, photo: np.ndarray) -> None:
    group = np.hstack([photo, photo[:, ::-1]])
    left, right = (tiny_engine.open_portrait(group, face) for face in (0, 1))
    smiling = tiny_engine.edit(left, EditRequest({"smile": 2.5}, view=WHOLE))
    younger = tiny_engine.edit(right, EditRequest({"young": -2}, view=WHOLE))
    found = together(younger, group, [Change.between(group, smiling)])
    wanted = (smiling.astype(int) + younger - group).clip(0, 255)
    assert np.array_equal(found, wanted)
    for alone in (smiling, younger):
        changed = (alone != group).any(2)
        assert changed.any()
        assert (found[changed] != group[changed]).any()


def test_edits_of_a_face_show_one_of_them(tiny_engine: Engine, photo: np.ndarray) -> None:
    portrait = tiny_engine.open_portrait(photo)
    history = (EditRequest(), EditRequest({"smile": 1}))
    assert FaceEdits(portrait, history, 1).request == history[1]
    for some, cursor in (((), 0), (history, 2), (history, -1)):
        with pytest.raises(BadRequest):
            FaceEdits(portrait, some, cursor)


def test_a_part_has_what_lies_in_it() -> None:
    random = np.random.default_rng(3)
    photo, after = (random.integers(0, 256, (20, 30, 3), dtype=np.uint8) for _ in range(2))
    changed = photo.copy()
    changed[4:15, 6:24] = after[4:15, 6:24]
    change = Change.between(photo, changed)
    assert change is not None
    for left, top, width, height in ((0, 0, 30, 20), (10, 8, 12, 12), (0, 0, 8, 6), (20, 10, 10, 10)):
        part = (slice(top, top + height), slice(left, left + width))
        inside = change.part(left, top, width, height)
        assert np.array_equal(together(photo[part], photo[part], [inside]), changed[part])
    assert change.part(24, 0, 6, 20) is None
    assert change.part(0, 15, 30, 5) is None
    assert change.part(0, 0, 6, 20) is None
