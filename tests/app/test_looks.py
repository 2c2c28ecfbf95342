"""Small pictures that nobody waits for, and looks that visitors bring, without a browser."""

import threading
from pathlib import Path

import numpy as np
import pytest

from app.handlers import Handlers
from app.looks import GLIMPSE_SIDE
from app.messages import thumbnail
from core.config import LookConfig
from core.engine import Engine
from core.images import encode_png
from core.looks import write_look
from core.session import EditRequest, View

SMILE = {"smile": 1.5}


@pytest.fixture
def handlers(tiny_engine: Engine, photo: np.ndarray, tmp_path: Path) -> Handlers:
    made = Handlers(tiny_engine)
    upload = tmp_path / "portrait.png"
    upload.write_bytes(encode_png(photo))
    list(made.open_file("me", EditRequest(view=View("photo", "photo")), str(upload)))
    return made


def test_a_glimpse_is_the_edit_of_the_face_and_changes_nothing(
    handlers: Handlers, tiny_engine: Engine
) -> None:
    visit = handlers.visits.get("me")
    answer = handlers.glimpses.glimpse({"token": "me", "sliders": SMILE})
    wanted = tiny_engine.edit(visit.preview, EditRequest(SMILE, view=View("photo", "face")))
    assert answer == {"picture": thumbnail(wanted, GLIMPSE_SIDE)}
    assert handlers.visits.get("me") is visit


def test_a_glimpse_of_the_history_is_of_its_entry(handlers: Handlers) -> None:
    handlers.settle("me", EditRequest(SMILE, view=View("photo", "photo")))
    ask = lambda **what: handlers.glimpses.glimpse({"token": "me", **what})["picture"]  # noqa: E731
    assert ask(entry=1) == ask(sliders=SMILE)
    assert ask(entry=0) != ask(entry=1)


def test_the_newest_glimpse_alone_is_made(handlers: Handlers, monkeypatch: pytest.MonkeyPatch) -> None:
    began, answers = threading.Event(), []

    def endless(portrait, request, cancelled):
        began.set()
        while not cancelled():
            threading.Event().wait(0.01)

    monkeypatch.setattr(handlers.engine, "glimpse", endless)
    ask = lambda: answers.append(handlers.glimpses.glimpse({"token": "me", "sliders": SMILE}))  # noqa: E731
    waits = threading.Thread(target=ask)
    waits.start()
    assert began.wait(60)
    monkeypatch.undo()
    ask()
    waits.join(60)
    assert answers[0] == {"picture": None}
    assert answers[1]["picture"]


def test_who_leaves_waits_for_no_glimpse(handlers: Handlers, monkeypatch: pytest.MonkeyPatch) -> None:
    def left(portrait, request, cancelled):
        assert not cancelled()
        handlers.forget("me")
        assert cancelled()

    monkeypatch.setattr(handlers.engine, "glimpse", left)
    assert handlers.glimpses.glimpse({"token": "me", "sliders": SMILE}) == {"picture": None}
    assert "no longer in memory" in handlers.glimpses.glimpse({"token": "me", "sliders": SMILE})["error"]


@pytest.mark.parametrize(
    "payload",
    [None, [], {}, {"token": "me"}, {"token": "me", "entry": 7}, {"token": "me", "entry": True},
     {"token": "me", "sliders": {"smile": "x"}}, {"token": "me", "sliders": {"hat": 1}},
     {"token": "nobody", "sliders": {"smile": 1}}],
)  # fmt: skip
def test_a_glimpse_that_cannot_be_is_one_sentence(handlers: Handlers, payload: object) -> None:
    answer = handlers.glimpses.glimpse(payload)
    assert answer.keys() == {"error"}
    assert answer["error"].endswith(".")


def test_a_look_that_a_visitor_brings(handlers: Handlers) -> None:
    explored = handlers.engine.explorable[0]
    text = write_look(LookConfig("Mine", {"smile": 1, explored: -2, "hat": 3, "wig": 1}))
    answer = handlers.glimpses.read_look({"text": text})
    assert answer == {"name": "Mine", "sliders": {"smile": 1, explored: -2}, "lacks": 2}
    for text in (write_look(LookConfig("Mine", {"hat": 3})), "{", "", "\ud800", None):
        assert handlers.glimpses.read_look({"text": text}).keys() == {"error"}
    assert handlers.glimpses.read_look(3).keys() == {"error"}
