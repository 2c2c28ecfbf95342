"""All the pixels for who looks closely, and how many they are."""

import base64
from pathlib import Path

import gradio as gr
import numpy as np
import pytest

from app.closer import Closer
from app.handlers import Handlers
from app.messages import FACE_SIDE
from app.toasts import GONE
from core.engine import Engine
from core.images import encode_png, open_image
from core.session import EditRequest, View

SMILE = EditRequest({"smile": 1.5}, view=View(output="photo"))


@pytest.fixture
def handlers(
    tiny_engine: Engine, photo: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Handlers:
    """A photo is open, and larger than what the stage is sent of it."""
    monkeypatch.setattr("app.messages.STILL_SIDE", 200)
    handlers, upload = Handlers(tiny_engine), tmp_path / "photo.png"
    upload.write_bytes(encode_png(photo))
    list(handlers.open_file("me", EditRequest(view=View(output="photo")), str(upload)))
    return handlers


def pixels(url: str) -> np.ndarray:
    return open_image(base64.b64decode(url.split(",")[1])).astype(int)


def test_the_picture_at_rest_comes_whole_and_nothing_changes(handlers: Handlers, photo: np.ndarray) -> None:
    settled = handlers.settle("me", SMILE)
    visit = handlers.visits.get("me")
    assert pixels(settled["frame"]).shape == (200, 200, 3)
    assert settled["width"] == photo.shape[1] == 512
    message = Closer(handlers.engine, handlers.visits).look("me", SMILE, before=True)
    wanted = handlers.engine.edit(visit.portrait, SMILE).astype(int)
    assert np.abs(pixels(message["frame"]) - wanted).mean() < 3  # a JPEG's loss
    assert np.abs(pixels(message["before"]) - photo).mean() < 3
    assert np.abs(wanted - photo).max() > 25
    assert message["number"] > settled["number"]
    assert handlers.visits.get("me") is visit


def test_the_photo_before_is_sent_when_it_is_wanted(handlers: Handlers) -> None:
    assert Closer(handlers.engine, handlers.visits).look("me", SMILE, before=False)["before"] is None


def test_a_face_is_as_wide_as_it_is_shown(handlers: Handlers) -> None:
    settled = handlers.settle("me", EditRequest({"smile": 1.5}, view=View(output="face")))
    assert settled["width"] == pixels(settled["frame"]).shape[1] == FACE_SIDE


def test_of_a_portrait_that_is_gone_it_says_so(handlers: Handlers) -> None:
    handlers.forget("me")
    with pytest.raises(gr.Error) as caught:
        Closer(handlers.engine, handlers.visits).look("me", SMILE, before=True)
    assert caught.value.title == GONE
