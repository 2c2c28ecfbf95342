"""The history in words, and edits that come back, without a browser."""

import dataclasses
from pathlib import Path

import gradio as gr
import numpy as np
import pytest

from app.handlers import Handlers
from app.past import MINUS
from core.checkpoints import Bundle
from core.config import LookConfig
from core.editing.explore import explorations
from core.engine import Engine
from core.images import encode_png
from core.references import Reference, Take
from core.session import EditRequest, View

MOOD = LookConfig("Sunny", {"smile": 1.2, "male": -0.5})


@pytest.fixture(scope="module")
def engine(tiny_bundle: Bundle) -> Engine:
    looks = (MOOD, LookConfig("In a hat", {"hat": 1}))
    return Engine(
        dataclasses.replace(tiny_bundle, config=dataclasses.replace(tiny_bundle.config, looks=looks))
    )


@pytest.fixture
def handlers(engine: Engine, photo: np.ndarray, tmp_path: Path) -> Handlers:
    made = Handlers(engine)
    upload = tmp_path / "portrait.png"
    upload.write_bytes(encode_png(photo))
    list(made.open_file("me", EditRequest(), str(upload)))
    return made


def words(handlers: Handlers, *edits: EditRequest) -> list[str]:
    for edit in edits:
        message = handlers.settle("me", edit)
    return [entry["words"] for entry in message["entries"]]


def test_each_entry_says_what_it_changed(handlers: Handlers) -> None:
    explored = handlers.engine.explorable[0]
    said = words(
        handlers,
        EditRequest({"smile": 1.2}),
        EditRequest({"smile": 1.2, "young": -0.35}),
        EditRequest({"young": -0.35}),
        EditRequest({"young": -0.35, "smile": 1, "male": 2}),
        EditRequest(),
        EditRequest({"smile": 1, "male": 2, explored: 0.5}),
        EditRequest(MOOD.sliders),
        EditRequest({**MOOD.sliders, "young": 1}, view=View("photo")),
    )
    label = explorations(handlers.engine.generator.layout)[0].label
    assert said == [
        "As opened",
        "Smile +1.2",
        f"Youth {MINUS}0.35",
        "Smile 0",
        "Smile +1, Gender +2",
        "Reset",
        f"{label} +0.5, Smile +1, Gender +2",
        "Sunny",
        "Youth +1, Starts from the photo",
    ]


def test_many_sliders_are_named_in_part(handlers: Handlers) -> None:
    first, second = handlers.engine.explorable[:2]
    said = words(handlers, EditRequest({"smile": 1, "young": 1, first: 1, second: -1}))
    assert said[1].endswith(", 2 more")


def test_what_is_taken_is_said_too(handlers: Handlers) -> None:
    face = Reference(np.zeros((8, 32), np.float32), np.zeros((32, 32, 3), np.uint8))
    said = words(handlers, EditRequest(takes=(Take(face, ("coarse",)),)), EditRequest(strength=0.5))
    assert said == ["As opened", "Taken from another face", "Nothing taken, Strength 0.5"]


def test_equal_edits_share_a_picture_however_they_are_seen(handlers: Handlers) -> None:
    handlers.settle("me", EditRequest({"smile": 1}, view=View(output="photo")))
    handlers.settle("me", EditRequest({"smile": 2}))
    message = handlers.settle("me", EditRequest({"smile": 1}))
    first, second, third, fourth = (entry["id"] for entry in message["entries"])
    assert second == fourth
    assert len({first, second, third}) == 3


def test_a_look_is_one_entry_and_moves_its_own_sliders_alone(handlers: Handlers) -> None:
    current = EditRequest({"young": 1}, view=View(output="photo"))
    handlers.settle("me", current)
    message, request = handlers.recall("me", current, {"moves": {"smile": 1.2, "male": -0.5}}, False)
    assert request == EditRequest({"young": 1, "smile": 1.2, "male": -0.5}, view=View(output="photo"))
    assert message["history"] == {"length": 3, "cursor": 2}
    assert message["entries"][-1]["words"] == "Sunny"
    assert handlers.undo("me", request, False)[1] == current
    message, _ = handlers.recall("me", current, {"moves": {"smile": 1.2, "male": -0.5}}, False)
    off = {"moves": {"smile": 0, "male": 0}}
    message, request = handlers.recall("me", handlers.visits.get("me").request, off, False)
    assert message["entries"][-1]["words"] == "Sunny: off"
    assert request.sliders == {"young": 1}
    message, request = handlers.recall("me", current, {"moves": {"young": 0}}, False)
    assert request == EditRequest(view=View(output="photo"))


def test_a_move_that_had_not_settled_is_an_entry_before_it(handlers: Handlers) -> None:
    current = EditRequest({"young": 1})
    message, _ = handlers.recall("me", current, {"moves": {"smile": 1}}, True)
    assert [entry["words"] for entry in message["entries"]] == ["As opened", "Youth +1", "Smile +1"]


def test_a_snapshot_and_pasted_settings_replace_all_they_name(handlers: Handlers) -> None:
    face = handlers.visits.get("me").portrait.reference
    handlers.settle("me", EditRequest({"young": 1}, takes=(Take(face, ("coarse",)),)))
    current = EditRequest({"young": 2}, strength=0.5)
    take = {"reference": face.key, "what": ["coarse"], "amount": 0.5}
    unknown = {**take, "reference": "0" * 64}
    _, request = handlers.recall("me", current, {"sliders": {"smile": 1}, "takes": [take, unknown]}, False)
    assert request == EditRequest({"smile": 1}, strength=0.5, takes=(Take(face, ("coarse",), 0.5),))
    _, request = handlers.recall(
        "me", request, {"sliders": {}, "takes": [], "start": "photo", "output": "photo"}, False
    )
    assert request == EditRequest(strength=0.5, view=View("photo", "face"))


def test_a_refinement_that_is_not_there_is_not_asked_for(handlers: Handlers) -> None:
    _, request = handlers.recall("me", EditRequest(), {"sliders": {"smile": 1}, "refine": "best"}, False)
    assert request == EditRequest({"smile": 1})


@pytest.mark.parametrize(
    "edit", [None, [], {}, {"moves": 3}, {"sliders": [1]}, {"moves": {"smile": 9}}, {"moves": {"hat": 1}},
             {"sliders": {}, "takes": 3}, {"sliders": {}, "order": "x"}],
)  # fmt: skip
def test_what_cannot_be_recalled_is_one_sentence_and_changes_nothing(
    handlers: Handlers, edit: object
) -> None:
    before = handlers.visits.get("me")
    with pytest.raises(gr.Error):
        handlers.recall("me", EditRequest(), edit, False)
    assert handlers.visits.get("me") is before
