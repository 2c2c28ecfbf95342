"""Several faces of one photo, without a browser: each keeps its edits, and the photo shows them all."""

import base64
import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest

from app.asides import Aside
from app.closer import Closer
from app.handlers import Handlers
from app.messages import LIVE_QUALITY, Message, frame, request_dict
from app.visits import Visit
from core.engine import Engine
from core.errors import NoFaceFound
from core.images import encode_jpeg, encode_png, open_image
from core.placing import reduced
from core.projects.project import open_project
from core.projects.request_json import request_to_json
from core.session import EditRequest, View
from core.together import MAX_OTHERS, Change, FaceEdits

WHOLE = View("photo", "photo")
OFF = EditRequest(view=WHOLE)
SMILE, OLDER = EditRequest({"smile": 2.5}, view=WHOLE), EditRequest({"young": -2.5}, view=WHOLE)


@pytest.fixture
def group(photo: np.ndarray) -> np.ndarray:
    """(512, 1024, 3), two faces of one size."""
    return np.hstack([photo, photo[:, ::-1]])


@pytest.fixture
def upload(tmp_path: Path) -> Callable[..., str]:
    def write(data: bytes, name: str = "group.png") -> str:
        path = tmp_path / name
        path.write_bytes(data)
        return str(path)

    return write


@pytest.fixture
def handlers(tiny_engine: Engine, group: np.ndarray, upload: Callable) -> Handlers:
    """A photo of two faces is open, nothing is edited."""
    handlers = Handlers(tiny_engine)
    list(handlers.open_file("me", OFF, upload(encode_png(group))))
    return handlers


def turn(handlers: Handlers, index: int, asked: EditRequest = OFF, unsettled: bool = False) -> Message:
    *_, (message, shown) = handlers.choose_face("me", asked, index, unsettled)
    assert message["kind"] == "opened"
    assert message["request"] == request_dict(shown)
    return message


def exported(handlers: Handlers, request: EditRequest, kind: str = "png", **more: Any) -> np.ndarray:
    payload = {"token": "me", "format": kind, "request": request_dict(request), **more}
    return open_image(base64.b64decode(handlers.export(payload)["data"])).astype(int)


def meter(handlers: Handlers, message: Message) -> Any:
    return handlers.meters.tell({"token": "me", "number": message["number"]})["likeness"]


def shown(message: Message) -> np.ndarray:
    return open_image(base64.b64decode(message["frame"].split(",")[1])).astype(int)


def test_coming_back_to_a_face_brings_everything_back(handlers: Handlers) -> None:
    older = EditRequest({"smile": 2.5, "male": -1}, view=WHOLE)
    for request in (SMILE, older, EditRequest({"smile": 3}, view=WHOLE)):
        handlers.settle("me", request)
    handlers.undo("me", EditRequest({"smile": 3}, view=WHOLE))
    before = handlers.visits.get("me")
    there = turn(handlers, 1, older)
    assert (there["face"], there["history"]) == (1, {"length": 1, "cursor": 0})
    assert there["request"]["sliders"] == {}
    handlers.settle("me", OLDER)
    back = turn(handlers, 0, OLDER)
    after = handlers.visits.get("me")
    assert (back["face"], back["history"]) == (0, {"length": 4, "cursor": 2})
    assert back["request"]["sliders"] == dict(older.sliders)
    assert (after.history, after.cursor) == (before.history, before.cursor)
    assert after.portrait.w_plus is before.portrait.w_plus
    assert handlers.undo("me", older, False)[1] == SMILE
    assert handlers.redo("me", SMILE, False)[1] == older
    again = turn(handlers, 1, older)
    assert (again["history"], again["request"]["sliders"]) == ({"length": 2, "cursor": 1}, {"young": -2.5})


def test_the_whole_photo_shows_the_edits_of_all_its_faces(handlers: Handlers, group: np.ndarray) -> None:
    handlers.settle("me", SMILE)
    smiling = exported(handlers, SMILE)
    turn(handlers, 1, SMILE)
    assert np.array_equal(exported(handlers, OFF), smiling)
    rest = handlers.settle("me", OLDER)
    both = exported(handlers, OLDER)
    alone = handlers.engine.edit(handlers.visits.get("me").portrait, OLDER).astype(int)
    assert np.array_equal(both, (smiling + alone - group).clip(0, 255))
    untouched = (smiling == group).all(2) & (alone == group).all(2)
    assert np.array_equal(both[untouched], group[untouched])
    # Before JPEG, the very same at rest, while the hand moves, closer, and when the first is back.
    picture = both.astype(np.uint8)
    assert rest["frame"] == frame(picture, OLDER, live=False)
    assert handlers.preview("me", OLDER)["frame"] == frame(picture, OLDER, live=True)
    closer = Closer(handlers.engine, handlers.visits).look("me", OLDER, before=True)
    assert closer["frame"] == frame(picture, OLDER, live=False)
    assert closer["before"] == frame(group, OFF, live=False)
    assert turn(handlers, 0, OLDER)["frame"] == rest["frame"]
    assert np.array_equal(exported(handlers, SMILE), both)


def test_what_follows_a_finger_shows_the_others_too(handlers: Handlers, group: np.ndarray) -> None:
    handlers.settle("me", SMILE)
    turn(handlers, 1, SMILE)
    following = handlers.following
    (other,) = handlers.visits.get("me").others
    # As if the crops met: the other face's edit is all over the photo.
    everywhere = dataclasses.replace(other, preview_change=Change.between(group, 255 - group))
    handlers._update("me", lambda visit: dataclasses.replace(visit, others=(everywhere,)))
    taken = following.take("me", "young", request_to_json(OFF), 0)
    left, top, width, height = taken.box
    made, _ = following.made(taken, 0)
    wanted = (255 - group)[top : top + height, left : left + width]
    assert made.jpegs[0] == encode_jpeg(np.ascontiguousarray(wanted), LIVE_QUALITY)
    assert following.take("me", "young", request_to_json(OFF), 0, (made,)) is made
    handlers._update("me", lambda visit: dataclasses.replace(visit, others=(other,)))
    assert following.take("me", "young", request_to_json(OFF), 0, (made,)) is not made


def test_the_face_alone_and_before_know_nothing_of_the_others(handlers: Handlers, group: np.ndarray) -> None:
    handlers.settle("me", SMILE)
    message = turn(handlers, 1, SMILE)
    assert message["before"]["photo"] == frame(group, OFF, live=False)
    assert meter(handlers, message) is None  # of this face nothing is edited
    face = OLDER.seen(output="face")
    portrait = handlers.visits.get("me").portrait
    assert np.array_equal(exported(handlers, face, picture="face"), handlers.engine.edit(portrait, face))
    assert np.array_equal(exported(handlers, OLDER, picture="both")[:, :1024], group)
    alone = Handlers(handlers.engine)
    alone.visits.put("me", Visit.begin(portrait, portrait, OFF))
    assert meter(handlers, handlers.settle("me", OLDER)) == meter(alone, alone.settle("me", OLDER))


def test_each_is_marked_that_has_edits(handlers: Handlers) -> None:
    handlers.settle("me", SMILE)
    assert [face["edited"] for face in turn(handlers, 1, SMILE)["faces"]] == [True, False]
    handlers.settle("me", OLDER)
    assert [face["edited"] for face in turn(handlers, 0, OLDER)["faces"]] == [True, True]
    handlers.reset("me", SMILE)
    assert [face["edited"] for face in turn(handlers, 1)["faces"]] == [False, True]


def test_the_view_stays_as_it_is(handlers: Handlers) -> None:
    handlers.settle("me", SMILE)
    turn(handlers, 1, SMILE)
    back = turn(handlers, 0, OFF.seen(output="face"))
    assert (back["request"]["output"], back["request"]["sliders"]) == ("face", {"smile": 2.5})
    assert shown(back).shape == (512, 512, 3)


def test_a_move_that_has_not_settled_stays_with_its_face(handlers: Handlers) -> None:
    turn(handlers, 1, SMILE, unsettled=True)
    # Its own pause, told before, and run after.
    assert handlers.settle("me", SMILE, 0) is None
    assert handlers.visits.get("me").history == (OFF,)
    back = turn(handlers, 0)
    assert (back["request"]["sliders"], back["history"]) == ({"smile": 2.5}, {"length": 2, "cursor": 1})
    assert handlers.settle("me", SMILE, 0)["history"] == {"length": 2, "cursor": 1}
    # Of a face that was just undone, the controls may be late.
    handlers.undo("me", SMILE, False)
    turn(handlers, 1, SMILE, unsettled=False)
    assert turn(handlers, 0)["history"] == {"length": 2, "cursor": 0}


def test_a_face_that_does_not_open_leaves_all_as_it_was(
    handlers: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    handlers.settle("me", SMILE)
    before = handlers.visits.get("me")

    def fails(*_: Any, **__: Any) -> None:
        raise NoFaceFound("No face.")

    with monkeypatch.context() as patch:
        patch.setattr(handlers.engine, "open_portrait", fails)
        with pytest.raises(gr.Error, match="No face"):
            turn(handlers, 1, SMILE)
    for index in (2, -1, "1", None, True):
        with pytest.raises(gr.Error, match="pick another"):
            list(handlers.choose_face("me", SMILE, index))
    assert handlers.visits.get("me") is before
    assert turn(handlers, 0, SMILE)["history"] == {"length": 2, "cursor": 1}
    assert handlers.visits.get("me").others == ()


def test_while_a_face_opens_the_photo_is_seen_with_its_edits(handlers: Handlers) -> None:
    handlers.settle("me", SMILE)
    handlers.engine.close()
    opening, *_ = [message for message, _ in handlers.choose_face("me", SMILE, 1)]
    turn(handlers, 0)
    assert (opening["kind"], opening["face"], len(opening["faces"])) == ("opening", 1, 2)
    edited = exported(handlers, SMILE).astype(np.uint8)
    assert opening["photo"] == frame(edited, SMILE, live=True)


def test_each_step_may_run_in_another_thread(handlers: Handlers, wandering: Callable) -> None:
    handlers.settle("me", SMILE)
    for index in (1, 0):
        *_, (message, _) = wandering(handlers.choose_face("me", SMILE, index))
        assert message["face"] == index


def test_who_leaves_while_a_face_opens_leaves_nothing(handlers: Handlers) -> None:
    handlers.engine.close()
    stream = handlers.choose_face("me", OFF, 1)
    next(stream)
    forget = threading.Thread(target=handlers.forget, args=("me",))
    forget.start()
    forget.join(60)
    with pytest.raises(gr.Error):
        list(stream)
    assert len(handlers.visits) == len(handlers.engine._memory._portraits) == 0


def test_it_can_be_taken_from_the_face_that_was_left_and_not_from_the_one_in_hand(handlers: Handlers) -> None:
    first = handlers.visits.get("me").portrait.reference.key
    turn(handlers, 1)
    assert [face["key"] for face in handlers.references.listed("me")["faces"]] == [first]
    second = handlers.visits.get("me").portrait.reference.key
    turn(handlers, 0)
    assert [face["key"] for face in handlers.references.listed("me")["faces"]] == [second]


def test_a_project_holds_all_faces_and_is_taken_up_again(handlers: Handlers, upload: Callable) -> None:
    handlers.settle("me", SMILE)
    turn(handlers, 1, SMILE)
    handlers.settle("me", OLDER)
    wanted = exported(handlers, OLDER)
    answer = handlers.export({"token": "me", "format": "project", "request": request_dict(OLDER)})
    data = base64.b64decode(answer["data"])
    assert [other.face for other in open_project(data).others] == [0]
    elsewhere = Handlers(handlers.engine)
    *_, (message, request) = elsewhere.open_file("me", OFF, upload(data, "group.visagist"))
    assert (message["face"], request) == (1, OLDER)
    assert [face["edited"] for face in message["faces"]] == [True, True]
    assert message["frame"] == frame(wanted.astype(np.uint8), OLDER, live=False)
    assert np.array_equal(exported(elsewhere, OLDER), wanted)
    back = turn(elsewhere, 0, OLDER)
    assert (back["history"], back["request"]["sliders"]) == ({"length": 2, "cursor": 1}, {"smile": 2.5})


def many(handlers: Handlers, requests: list[EditRequest]) -> Visit:
    """The visit, with so many faces put aside: in truth the first again and again, by other numbers."""
    visit = handlers.visits.get("me")
    portrait = dataclasses.replace(visit.portrait, faces=visit.portrait.faces * 8)

    def put_aside(face: int, request: EditRequest) -> Aside:
        history = (OFF,) if request == OFF else (OFF, request)
        edits = FaceEdits(dataclasses.replace(portrait, face=face), history, len(history) - 1)
        return Aside.of(handlers.engine, edits, visit.preview)

    others = tuple(put_aside(face, request) for face, request in enumerate(requests, 2))
    return dataclasses.replace(visit, portrait=portrait, others=others)


def test_of_too_many_faces_those_without_an_edit_go(handlers: Handlers) -> None:
    visit = many(handlers, [SMILE, OFF, OFF, *[SMILE] * (MAX_OTHERS - 3)])
    left = Aside.of(handlers.engine, visit.with_edit(SMILE).edits, visit.preview)
    taken = many(handlers, [*[OFF] * MAX_OTHERS, OFF]).others[-1]
    turned = visit.turned(left, taken)
    assert turned.portrait.face == MAX_OTHERS + 2
    assert [other.face for other in turned.others] == [2, *range(4, MAX_OTHERS + 2), 0]
    assert turned.portrait.photo is visit.portrait.photo


def test_more_edits_than_are_kept_are_refused_and_none_is_lost(handlers: Handlers) -> None:
    visit = many(handlers, [SMILE] * MAX_OTHERS)
    handlers.visits.put("me", visit)
    with pytest.raises(gr.Error, match="9 faces of this photo have edits already; reset one of them first"):
        list(handlers.choose_face("me", OFF, MAX_OTHERS + 3))
    assert handlers.visits.get("me") is visit


def test_faces_put_aside_count_as_memory(handlers: Handlers) -> None:
    alone = handlers.visits.get("me").nbytes
    handlers.settle("me", SMILE)
    turn(handlers, 1, SMILE)
    visit = handlers.visits.get("me")
    (aside,) = visit.others
    assert aside.change is not None
    assert visit.nbytes > 2 * alone - visit.portrait.photo.nbytes - 10**5
    assert aside.edits.portrait.photo is visit.portrait.photo


def test_a_preview_s_change_is_of_the_reduced_photo(tiny_engine: Engine, group: np.ndarray) -> None:
    portrait = tiny_engine.open_portrait(np.repeat(np.repeat(group, 2, 0), 2, 1))
    aside = Aside.of(tiny_engine, FaceEdits(portrait, (OFF, SMILE), 1), reduced(portrait, 1024))
    assert aside.change is not None
    assert aside.preview_change is not None
    whole, small = np.array(aside.change.after.shape), np.array(aside.preview_change.after.shape)
    np.testing.assert_allclose(whole[:2] / 2, small[:2], atol=1)
    assert not aside.idle
    assert Aside.of(tiny_engine, FaceEdits(portrait, (OFF,)), reduced(portrait, 1024)).idle
