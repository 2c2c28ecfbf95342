"""app.clips: one clip at a time, progress for who waits, and an end for who does not."""

import base64
import io
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from app import clips, messages
from app.clips import Clips
from app.handlers import Handlers
from core.clips import clip
from core.engine import Engine
from core.refinement.running import Progress
from core.session import EditRequest, View

SMILE = EditRequest({"smile": 1.5}, view=View("photo", "photo"))
PATIENCE = 60


@pytest.fixture
def handlers(tiny_engine: Engine, photo: np.ndarray, tmp_path) -> Handlers:
    handlers = Handlers(tiny_engine)
    for token in ("ann", "bob"):
        path = tmp_path / f"{token}.png"
        Image.fromarray(photo[:256, 96:352]).save(path)
        [*handlers.open_file(token, EditRequest(), str(path))]
    return handlers


@pytest.fixture
def made(handlers: Handlers) -> Clips:
    return Clips(handlers.engine, handlers.visits, handlers.references)


def asked(token: str = "ann", **wishes: object) -> dict[str, object]:
    request = {"sliders": {"smile": 1.5}, "takes": [], **messages.settings(SMILE)}
    return {"token": token, "request": request, "kind": "GIF", "slider": "smile", **wishes}


def test_the_answer_is_the_clip_s_file(made: Clips, handlers: Handlers) -> None:
    answer = made.clip(asked())
    assert (answer["name"], answer["type"]) == ("ann-visagist-smile.gif", "image/gif")
    assert answer["said"] == "3.2 s, without end."
    image = Image.open(io.BytesIO(base64.b64decode(answer["data"])))
    assert (image.format, image.is_animated, image.size) == ("GIF", True, (256, 256))
    assert made.progress({"token": "ann"}) == {}


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (None, "unknown way"),
        ({"token": "ann"}, "unknown way"),
        (asked(kind="AVI"), "MP4, a GIF or a WebP"),
        (asked(slider="../nose"), "nose"),
        (asked(slider=["smile"]), "one slider"),
        (asked("nobody"), "no longer in memory"),
    ],
)
def test_what_cannot_be_is_a_sentence(made: Clips, payload: object, said: str) -> None:
    assert said in made.clip(payload)["error"]
    assert made.progress(payload) == {}


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Clips begin, say that they are half done, and wait for this."""
    go = threading.Event()

    def wait(engine, portraits, request, order, watcher, others):
        watcher.progress(Progress("Making the clip", 0.5))
        while not go.wait(0.02):
            watcher.check()
        return clip(engine, portraits, request, order, watcher, others)

    monkeypatch.setattr(clips, "clip", wait)
    yield go
    go.set()


def begun(made: Clips, token: str, step: str) -> tuple[threading.Thread, list[dict]]:
    """A clip that somebody else waits for, once it says this."""
    answers: list[dict] = []
    thread = threading.Thread(target=lambda: answers.append(made.clip(asked(token))), daemon=True)
    thread.start()
    until = time.monotonic() + PATIENCE
    while made.progress({"token": token}).get("step") != step:
        assert time.monotonic() < until
        time.sleep(0.01)
    return thread, answers


def test_one_at_a_time_each_told_and_each_cancelled_alone(made: Clips, held: threading.Event) -> None:
    ann, for_ann = begun(made, "ann", "Making the clip")
    assert made.progress({"token": "ann"}) == {"step": "Making the clip", "done": 0.5}
    bob, for_bob = begun(made, "bob", "Waiting for another portrait")
    made.progress({"token": "bob", "cancel": True})
    bob.join(PATIENCE)
    assert for_bob[0]["error"] == "The clip was cancelled; the picture is as it was."
    assert made.progress({"token": "ann"})["done"] == 0.5
    held.set()
    ann.join(PATIENCE)
    assert for_ann[0]["name"] == "ann-visagist-smile.gif"


def test_nothing_is_made_for_who_has_left(made: Clips, held: threading.Event, handlers: Handlers) -> None:
    thread, answers = begun(made, "ann", "Making the clip")
    handlers.forget("ann")
    thread.join(PATIENCE)
    assert "cancelled" in answers[0]["error"]
    assert made.progress({"token": "ann"}) == {}


def test_a_visitor_s_newest_clip_is_the_one(made: Clips, held: threading.Event) -> None:
    first, before = begun(made, "ann", "Making the clip")
    second = threading.Thread(target=lambda: before.append(made.clip(asked(slider="male"))), daemon=True)
    second.start()
    first.join(PATIENCE)
    held.set()
    second.join(PATIENCE)
    assert [answer.get("name") for answer in before] == [None, "ann-visagist-male.gif"]
