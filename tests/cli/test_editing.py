"""cli.editing: every face of a photo or one, and projects that go on."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from cli.editing import UNEDITED, Asked, edited, names_of, read
from core.engine import Engine
from core.errors import BadRequest, NoFaceFound
from core.images import Photo, encode_png
from core.projects.project import Project, open_project, save_project
from core.projects.request_json import MAX_HISTORY
from core.projects.restoring import restore
from core.references import Take
from core.session import EditRequest, View
from core.together import FaceEdits

SMILE = EditRequest({"smile": 2.0}, view=View("photo", "photo"))


@pytest.fixture(scope="module")
def two(photo: np.ndarray) -> np.ndarray:
    """(512, 1024, 3): the face, and its mirror image."""
    return np.concatenate([photo, photo[:, ::-1]], axis=1)


def picture(data: bytes) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(data)))


def sides(changed: np.ndarray, original: np.ndarray) -> tuple[bool, bool]:
    """Whether the left and the right half differ."""
    different = (changed != original).any(axis=2)
    half = different.shape[1] // 2
    return bool(different[:, :half].any()), bool(different[:, half:].any())


def test_every_face_is_edited_as_if_it_were_alone(tiny_engine: Engine, two: np.ndarray) -> None:
    found = edited(tiny_engine, Photo(two), Asked({"smile": 2.0}), "a.png")
    assert sides(picture(found.picture.data), two) == (True, True)
    alone = [
        picture(edited(tiny_engine, Photo(two), Asked({"smile": 2.0}, face=i), "a.png").picture.data)
        for i in (0, 1)
    ]
    assert sorted(sides(one, two) for one in alone) == [(False, True), (True, False)]
    # They lie apart: each is what it is alone, bit for bit.
    both = np.where((alone[0] != two).any(axis=2, keepdims=True), alone[0], alone[1])
    assert np.array_equal(picture(found.picture.data), both)
    answer = found.answer("a.png", "out.png", {})
    assert (answer["faces"], answer["face"], answer["width"], answer["height"]) == (2, None, 1024, 512)


def test_one_face_is_the_first_unless_another_is_named(tiny_engine: Engine, two: np.ndarray) -> None:
    first = edited(tiny_engine, Photo(two), Asked({"smile": 2.0}, face=0), "a.png")
    assert (
        edited(tiny_engine, Photo(two), Asked({"smile": 2.0}, one_face=True), "a.png").picture.data
        == first.picture.data
    )
    assert first.face == 0
    with pytest.raises(NoFaceFound):
        edited(tiny_engine, Photo(two), Asked({"smile": 2.0}, face=2), "a.png")
    with pytest.raises(NoFaceFound):
        edited(tiny_engine, Photo(two), Asked({"smile": 2.0}, face=-1), "a.png")


def test_nothing_asked_is_nothing_changed(tiny_engine: Engine, two: np.ndarray) -> None:
    for asked in (Asked(), Asked({"smile": 0.0}, refine="off", keep_detail=False)):
        found = edited(tiny_engine, Photo(two), asked, "a.png")
        assert np.array_equal(picture(found.picture.data), two)
        assert found.history == (asked.request(),)
    assert Asked().request() == UNEDITED


def test_a_photo_is_forgotten_when_it_is_edited(tiny_engine: Engine, photo: np.ndarray) -> None:
    other = photo.copy()
    other[0, 0] = 1, 2, 3
    edited(tiny_engine, Photo(other), Asked({"smile": 1.0}), "a.png")
    assert not tiny_engine._memory.knows(tiny_engine.open_portrait(photo).key.__class__.opened(other, 0))


def test_a_photos_edit_is_a_project_that_can_be_undone(tiny_engine: Engine, photo: np.ndarray) -> None:
    project = edited(tiny_engine, Photo(photo), Asked({"smile": 2.0}, one_face=True), "a.png").project(
        tiny_engine
    )
    assert (project.history, project.cursor) == ((UNEDITED, SMILE), 1)
    assert isinstance(read(save_project(project)), Project)
    given = read(encode_png(photo))
    assert isinstance(given, Photo)
    assert np.array_equal(given.pixels, photo)


def test_a_project_goes_on(tiny_engine: Engine, photo: np.ndarray) -> None:
    portrait = tiny_engine.open_portrait(photo)
    shown = dataclasses.replace(
        SMILE, strength=0.5, order="linear", view=View("inversion", "face", keep_detail=False)
    )
    undone = EditRequest({"young": 3.0})
    project = Project.of(tiny_engine, portrait, (EditRequest(), shown, undone), 1)
    found = edited(tiny_engine, project, Asked({"male": 1.0}), "a.png")
    wanted = dataclasses.replace(shown, sliders={"smile": 2.0, "male": 1.0}).seen(output="photo")
    assert found.history == (EditRequest(), shown, wanted)
    assert np.array_equal(picture(found.picture.data), tiny_engine.edit(portrait, wanted))
    assert found.answer("a.visagist", "a.png", {})["sliders"] == {"male": 1.0, "smile": 2.0}
    # Saved, it is what was written.
    again = restore(tiny_engine, open_project(save_project(found.project(tiny_engine))))
    assert np.array_equal(
        tiny_engine.edit(again.portrait, again.history[again.cursor]), picture(found.picture.data)
    )
    # What is said anew holds.
    more = Asked({"smile": 0.0}, order="first", strength=1.0, start="photo", keep_detail=True, face_only=True)
    assert edited(tiny_engine, project, more, "a.png").history[-1] == EditRequest(view=View("photo", "face"))


def test_a_project_with_nothing_asked_stays_as_it_is(tiny_engine: Engine, photo: np.ndarray) -> None:
    portrait = tiny_engine.open_portrait(photo)
    project = Project.of(tiny_engine, portrait, (EditRequest(), SMILE.seen(output="face")), 1)
    found = edited(tiny_engine, project, Asked(), "a.png")
    assert (found.history, found.cursor) == (project.history, 1)
    assert np.array_equal(picture(found.picture.data), tiny_engine.edit(portrait, SMILE))
    with pytest.raises(BadRequest, match="leave --face out"):
        edited(tiny_engine, project, Asked(face=0), "a.png")


def test_a_project_goes_on_with_the_face_in_hand_and_the_others_edits_stay(
    tiny_engine: Engine, photo: np.ndarray
) -> None:
    group = np.hstack([photo, photo[:, ::-1]])
    other, portrait = (tiny_engine.open_portrait(group, face) for face in (0, 1))
    kept = FaceEdits(other, (UNEDITED, SMILE), 1)
    project = Project.of(tiny_engine, portrait, (UNEDITED,), 0, others=(kept,))
    found = edited(tiny_engine, open_project(save_project(project)), Asked({"young": -2.0}), "a.png")
    assert (found.face, dict(found.history[-1].sliders)) == (1, {"young": -2.0})
    request = dataclasses.replace(UNEDITED, sliders={"young": -2.0})
    alone = (tiny_engine.edit(other, SMILE), tiny_engine.edit(portrait, request))
    wanted = sum((one.astype(int) - group for one in alone), group.astype(int)).clip(0, 255)
    assert np.array_equal(picture(found.picture.data), wanted)
    # Saved, they are still there.
    (again,) = open_project(save_project(found.project(tiny_engine))).others
    assert (again.face, again.history, again.cursor) == (0, (UNEDITED, SMILE), 1)


def test_a_project_keeps_as_many_edits_as_it_can(tiny_engine: Engine, photo: np.ndarray) -> None:
    history = tuple(EditRequest({"smile": i / 1000}) for i in range(MAX_HISTORY))
    project = Project.of(tiny_engine, tiny_engine.open_portrait(photo), history, MAX_HISTORY - 1)
    saved = edited(tiny_engine, project, Asked({"smile": 2.0}), "a.png").project(tiny_engine)
    assert saved.history[:-1] == history[1:]
    assert saved.history[saved.cursor].sliders == {"smile": 2.0}


def test_a_project_keeps_what_it_takes_and_takes_more(taking_engine: Engine, photo: np.ndarray) -> None:
    one, other = taking_engine.gallery[:2]
    before = dataclasses.replace(SMILE, takes=(Take(one, ("young",)),))
    project = Project.of(taking_engine, taking_engine.open_portrait(photo), (before,), 0)
    takes = (Take(other, ("colour",), 0.5),)
    found = edited(taking_engine, project, Asked(takes=takes), "a.png")
    assert found.history[-1].takes == (*before.takes, *takes)
    told = found.answer("a.visagist", "a.png", names_of(takes, ["gallery:2"]))["takes"]
    assert [take["reference"] for take in told] == [one.key, "gallery:2"]
