"""Crops without a browser: what stays of the edits, what is exported, what undo leads back to."""

import base64
from pathlib import Path

import gradio as gr
import numpy as np
import pytest

from app.handlers import Handlers
from app.messages import Message, request_dict
from core.engine import Engine
from core.errors import BadRequest
from core.images import encode_jpeg, encode_png, open_image
from core.projects.project import open_project
from core.session import EditRequest, View

WHOLE = View("photo", "photo")
OFF, SMILE = EditRequest(view=WHOLE), EditRequest({"smile": 2.5}, view=WHOLE)
OLDER = EditRequest({"young": -2.5}, view=WHOLE)
# Of NASA's portrait (512, 512, 3): the head, and all that an edit looks at around it.
HEAD, AROUND = [120, 20, 400, 330], [5, 0, 480, 470]


def opened(engine: Engine, pixels: bytes, folder: Path, name: str = "photo.png") -> Handlers:
    path = folder / name
    path.write_bytes(pixels)
    handlers = Handlers(engine)
    list(handlers.open_file("me", OFF, str(path)))
    return handlers


@pytest.fixture
def handlers(tiny_engine: Engine, photo: np.ndarray, tmp_path: Path) -> Handlers:
    return opened(tiny_engine, encode_png(photo), tmp_path)


@pytest.fixture
def group(tiny_engine: Engine, photo: np.ndarray, tmp_path: Path) -> Handlers:
    """Two faces; the left one is the first."""
    return opened(tiny_engine, encode_png(np.hstack([photo, photo[:, ::-1]])), tmp_path)


def crop(handlers: Handlers, box: object, asked: EditRequest = OFF, unsettled: bool = False) -> Message:
    *_, (message, shown) = handlers.crop("me", asked, box, unsettled)
    assert message["kind"] == "opened"
    assert message["request"] == request_dict(shown)
    return message


def turn(handlers: Handlers, index: int, asked: EditRequest = OFF) -> None:
    list(handlers.choose_face("me", asked, index))


def exported(handlers: Handlers, request: EditRequest, kind: str = "png") -> bytes:
    payload = {"token": "me", "format": kind, "request": request_dict(request)}
    return base64.b64decode(handlers.export(payload)["data"])


def test_an_edit_stays_to_the_bit_and_its_export_is_the_part(handlers: Handlers, photo: np.ndarray) -> None:
    handlers.settle("me", SMILE)
    visit = handlers.visits.get("me")
    before = handlers.engine.edit(visit.portrait, SMILE)
    message = crop(handlers, AROUND, SMILE)
    left, top, right, bottom = AROUND
    assert message["size"] == (right - left, bottom - top)
    assert (message["history"], message["request"]["sliders"]) == ({"length": 1, "cursor": 0}, {"smile": 2.5})
    found = open_image(exported(handlers, SMILE))
    assert not np.array_equal(found, photo[top:bottom, left:right])
    assert np.array_equal(found, before[top:bottom, left:right])
    kept = handlers.visits.get("me")
    assert np.array_equal(kept.portrait.w_plus, visit.portrait.w_plus)  # nothing was inverted anew
    assert kept.stem == visit.stem


def test_undo_leads_back_to_the_whole_photo_and_all_of_its_history(handlers: Handlers) -> None:
    handlers.settle("me", SMILE)
    crop(handlers, HEAD, SMILE)
    handlers.settle("me", OLDER)
    *_, (message, _) = handlers.beside("me", True)
    assert (message["size"], message["history"]) == ((512, 512), {"length": 2, "cursor": 1})
    *_, (message, _) = handlers.beside("me", False)
    assert (message["size"], message["history"]) == ((280, 310), {"length": 2, "cursor": 1})


def test_a_change_that_is_no_entry_yet_comes_along(handlers: Handlers) -> None:
    assert crop(handlers, HEAD, SMILE, unsettled=True)["request"]["sliders"] == {"smile": 2.5}
    assert crop(handlers, [0, 0, 280, 310], OLDER)["request"]["sliders"] == {"smile": 2.5}


def test_undo_leads_back_to_it_as_well(handlers: Handlers) -> None:
    crop(handlers, HEAD, SMILE, unsettled=True)
    *_, (message, shown) = handlers.beside("me", True)
    assert (message["history"], shown) == ({"length": 2, "cursor": 1}, SMILE)


def test_the_face_in_hand_is_none_to_take_from(handlers: Handlers) -> None:
    crop(handlers, HEAD)
    assert handlers.visits.get("me").faces == ()


def test_a_project_of_the_part_holds_nothing_else_of_the_photo(
    tiny_engine: Engine, photo: np.ndarray, tmp_path: Path
) -> None:
    data = encode_jpeg(photo)
    handlers = opened(tiny_engine, data, tmp_path, "photo.jpg")
    crop(handlers, HEAD)
    project = open_project(exported(handlers, SMILE, "project"))
    left, top, right, bottom = HEAD
    part = open_image(data)[top:bottom, left:right]
    assert np.array_equal(project.photo, part)
    assert project.original is not None
    assert np.array_equal(project.original.native().values, part)


def test_every_face_that_is_whole_keeps_its_edits(group: Handlers, photo: np.ndarray) -> None:
    group.settle("me", SMILE)
    turn(group, 1, SMILE)
    group.settle("me", OLDER)
    before = open_image(exported(group, OLDER))
    message = crop(group, [5, 0, 1019, 470], OLDER)
    assert [face["edited"] for face in message["faces"]] == [True, True]
    assert message["face"] == 1
    assert np.array_equal(open_image(exported(group, OLDER)), before[:470, 5:1019])
    turn(group, 0, OLDER)
    assert group.visits.get("me").request.sliders == {"smile": 2.5}


def test_where_the_face_in_hand_is_cut_away_another_with_edits_is(group: Handlers) -> None:
    group.settle("me", SMILE)
    turn(group, 1, SMILE)
    message = crop(group, [0, 0, 512, 512])
    assert (message["face"], len(message["faces"])) == (0, 1)
    assert message["request"]["sliders"] == {"smile": 2.5}


def test_where_no_face_is_left_that_was_in_hand_the_part_opens_as_a_photo(group: Handlers) -> None:
    group.settle("me", SMILE)
    message = crop(group, [512, 0, 1024, 512], SMILE)
    assert (message["size"], message["request"]["sliders"]) == ((512, 512), {})
    assert message["faces"][0]["edited"] is False


@pytest.mark.parametrize(
    ("box", "sentence"),
    [
        ([400, 0, 512, 200], "No face is whole in this crop"),
        ([200, 100, 210, 110], "at least 64 pixels"),
        ([0, 0, 513, 512], "does not lie in the photo"),
        ([-5, 0, 300, 300], "does not lie in the photo"),
        ([300, 300, 0, 0], "does not lie in the photo"),
        ([0, 0, float("nan"), 300], "unknown way"),
        ([0, 0, 300.5, 300], "unknown way"),
        ([0, 0, True, 300], "unknown way"),
        ([0, 0, 300], "unknown way"),
        ("0123", "unknown way"),
        ({"left": 0}, "unknown way"),
        (None, "unknown way"),
    ],
)
def test_a_bad_crop_gets_a_sentence_and_loses_nothing(handlers: Handlers, box: object, sentence: str) -> None:
    handlers.settle("me", SMILE)
    visit = handlers.visits.get("me")
    with pytest.raises(gr.Error, match=sentence):
        list(handlers.crop("me", SMILE, box))
    assert handlers.visits.get("me") is visit


def test_where_taking_a_face_up_fails_all_is_as_it_was(
    handlers: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit = handlers.visits.get("me")

    def fails(*_: object) -> None:
        raise BadRequest("Not here.")

    monkeypatch.setattr(handlers.engine, "resume", fails)
    with pytest.raises(gr.Error, match=r"Not here\."):
        list(handlers.crop("me", OFF, HEAD))
    assert handlers.visits.get("me") is visit
