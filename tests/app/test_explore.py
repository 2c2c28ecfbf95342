"""Unnamed sliders: from the page to the engine and back, as it is with those that have names."""

import base64
from pathlib import Path

import gradio as gr
import numpy as np
import pytest

from app.handlers import Handlers
from app.messages import face_frame, request_dict
from app.panel import explore_groups, generator_key
from app.ui import build
from app.wiring import Wiring
from core.config import BundleConfig, SourceConfig
from core.engine import Engine
from core.images import encode_png, open_image
from core.projects.project import open_project
from core.session import EditRequest

SETTINGS = ("first", "inversion", "off", 1.0, "face", True)
EXPLORED = {"explore-coarse-2": -1.5, "explore-overall-1": 2}


@pytest.fixture
def handlers(tiny_engine: Engine, photo: np.ndarray, tmp_path: Path) -> Handlers:
    """With the photo open for "me"."""
    handlers = Handlers(tiny_engine)
    path = tmp_path / "photo.png"
    path.write_bytes(encode_png(photo))
    list(handlers.open_file("me", EditRequest(), str(path)))
    return handlers


def test_the_widgets_say_what_is_explored_and_show_it_again(handlers: Handlers) -> None:
    wiring = Wiring(handlers)
    asked = wiring._asked("me", (0, 1.5, 0, [], EXPLORED, *SETTINGS))
    assert asked == EditRequest({"young": 1.5, **EXPLORED})
    _, *shown = wiring._shown(({}, asked))
    assert shown == [0, 1.5, 0, [], EXPLORED, *SETTINGS]
    assert wiring._asked("me", (0, 0, 0, [], None, *SETTINGS)) == EditRequest()


@pytest.mark.parametrize(
    "wrong", ["explore-overall-1", [1], {"smile": 1}, {"explore-overall-9": 1}, {"explore-overall-1": "1"}]
)
def test_what_no_page_sends_is_one_sentence(handlers: Handlers, wrong: object) -> None:
    with pytest.raises(gr.Error):
        Wiring(handlers)._asked("me", (0, 0, 0, [], wrong, *SETTINGS))


def test_it_moves_the_picture_and_undo_and_reset_take_it_back(handlers: Handlers) -> None:
    request = EditRequest(EXPLORED)
    message = handlers.settle("me", request)
    shown = open_image(base64.b64decode(message["frame"].split(",")[1])).astype(int)
    portrait = handlers.visits.get("me").portrait
    wanted, untouched = (face_frame(handlers.engine.edit(portrait, r)) for r in (request, EditRequest()))
    assert np.abs(shown - wanted).mean() < 2
    assert np.abs(shown - untouched).mean() > 4
    assert message["history"] == {"length": 2, "cursor": 1}
    assert handlers.undo("me", request)[1] == EditRequest()
    assert handlers.redo("me", EditRequest())[1] == request
    assert handlers.reset("me", request)[1] == EditRequest()


def test_a_project_has_it(handlers: Handlers) -> None:
    request = EditRequest(EXPLORED)
    answer = handlers.export({"token": "me", "format": "project", "request": request_dict(request)})
    assert open_project(base64.b64decode(answer["data"])).history[-1] == request


def test_the_page_has_every_slider_once_in_groups_that_say_what_to_expect(tiny_engine: Engine) -> None:
    groups = explore_groups(tiny_engine.generator.layout)
    assert [(group["title"], group["hint"]) for group in groups] == [
        ("Overall", "what varies most"),
        ("Coarse", "pose, face shape"),
        ("Middle", "features, hair"),
    ]
    names = [slider["name"] for group in groups for slider in group["sliders"]]
    assert names == list(tiny_engine.explorable)
    (explore,) = [b for b in build(tiny_engine).blocks.values() if b.elem_id == "explore"]
    assert explore.props["groups"] == groups


def test_names_are_kept_for_a_generator_whatever_else_is_imported(tiny_config: BundleConfig) -> None:
    def key(*sources: tuple[str, str]) -> str:
        listed = tuple(SourceConfig("file.pt", sha256, "", "", (part,)) for sha256, part in sources)
        return generator_key(BundleConfig(**{**vars(tiny_config), "sources": listed}))

    one = key(("a" * 64, "generator"))
    assert key(("a" * 64, "generator"), ("b" * 64, "inverter")) == one
    assert key(("c" * 64, "generator")) != one
    assert key() != one
