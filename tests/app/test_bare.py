"""A model that lacks parts: the page offers what works, and begins with the faces that the model makes up."""

import base64
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest

from app.handlers import Handlers
from app.messages import request_dict
from app.panel import best_takes
from app.starts import Generated, find_starts, picture
from app.ui import build
from core.config import GeneratorConfig
from core.engine import Engine
from core.images import encode_png
from core.session import EditRequest

EXPLORED = EditRequest({"explore-overall-1": 1})


@pytest.fixture
def handlers(bare_engine: Engine, tmp_path: Path) -> Handlers:
    bare_engine.close()
    return Handlers(bare_engine, find_starts(bare_engine, tmp_path))


def controls(engine: Engine) -> dict[str, gr.blocks.Block]:
    """Those that are on the page, by their ids."""
    blocks = build(engine).blocks.values()
    return {block.elem_id: block for block in blocks if block.elem_id and getattr(block, "visible", True)}


def test_it_starts_with_six_of_its_own_faces_in_which_one_is_seen(handlers: Handlers) -> None:
    assert [start.seed for start in handlers.examples] == [0, 2, 4, 6, 8, 10]
    for start in handlers.examples:
        np.testing.assert_array_equal(picture(start), handlers.engine.samples(1, start.seed)[0])


def test_where_no_face_is_seen_there_are_none_to_start_with(
    bare_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bare_engine, "find_faces", lambda picture: ())
    assert find_starts(bare_engine, tmp_path) == ()
    assert build(bare_engine)


def test_a_face_of_its_own_is_opened_edited_and_taken_up_from_a_project(
    handlers: Handlers, tmp_path: Path
) -> None:
    *_, (message, asked) = handlers.open_example("me", EditRequest(refine="fast"), 1)
    assert message["kind"] == "opened"
    assert asked == EditRequest()  # there is no refinement to have
    portrait = handlers.visits.get("me").portrait
    start = handlers.examples[1]
    assert isinstance(start, Generated)
    np.testing.assert_array_equal(portrait.inversion, start.picture)
    np.testing.assert_array_equal(portrait.crop, start.picture)
    assert handlers.settle("me", EXPLORED)["history"] == {"length": 2, "cursor": 1}
    answer = handlers.export({"token": "me", "format": "project", "request": request_dict(EXPLORED)})
    path = tmp_path / "portrait.visagist"
    path.write_bytes(base64.b64decode(answer["data"]))
    *_, (message, asked) = handlers.open_file("you", EditRequest(), str(path))
    assert message["kind"] == "opened"
    assert asked == EXPLORED
    np.testing.assert_array_equal(handlers.visits.get("you").portrait.inversion, start.picture)


def test_the_face_that_was_open_can_be_taken_from(handlers: Handlers) -> None:
    for index in (0, 1):
        list(handlers.open_example("me", EditRequest(), index))
    (face,) = handlers.references.listed("me")["faces"]
    assert face["origin"] == "earlier"
    stack = [{"reference": face["key"], "what": ["coarse"], "amount": 1.0}]
    request = handlers.request("me", {}, stack)
    assert handlers.settle("me", request)["request"]["takes"] == stack


def test_a_photo_is_one_sentence_and_the_face_stays(
    handlers: Handlers, tmp_path: Path, photo: np.ndarray
) -> None:
    list(handlers.open_example("me", EditRequest(), 0))
    path = tmp_path / "photo.png"
    path.write_bytes(encode_png(photo))
    answers = handlers.open_file("me", EditRequest(), str(path))
    told: list[str] = []
    with pytest.raises(gr.Error, match="cannot open photos"):
        told.extend(message["kind"] for message, _ in answers)
    assert told[-1] == "failed"
    assert handlers.settle("me", EXPLORED)["history"] == {"length": 2, "cursor": 1}


def test_the_page_shows_what_can_work(bare_engine: Engine, taking_engine: Engine) -> None:
    gone = {"order", "start", "output", "keep-detail", "refine", "strength"}
    whole, bare = controls(taking_engine), controls(bare_engine)
    assert gone <= whole.keys()
    assert not gone & bare.keys()
    assert not [name for name in bare if name.startswith("slider-")]
    assert (whole["tabs"].props["first"], bare["tabs"].props["first"]) == ("attributes", "explore")
    assert (whole["explore"].props["named"], bare["explore"].props["named"]) == (True, False)
    assert (whole["stage"].props["photos"], bare["stage"].props["photos"]) == (True, False)
    assert len(bare["stage"].props["examples"]) == 6
    assert whole["stage"].props["lacks"] == ""
    told = bare["stage"].props["lacks"]
    assert all(sentence in told for sentence in bare_engine.lacks)
    assert "cannot open photos" in told
    assert told.endswith("launch.py models import FILE --into bare")


def test_a_large_model_promises_no_minute(taking_engine: Engine) -> None:
    def words(resolution: int, improves: bool = False) -> str:
        generator = GeneratorConfig(resolution, (8,) * (resolution.bit_length() - 2))
        return best_takes(SimpleNamespace(config=SimpleNamespace(generator=generator), improves=improves))

    assert [words(side) for side in (32, 256, 512, 1024)] == ["a minute or more"] * 2 + ["many minutes"] * 2
    assert words(1024, improves=True) == "a minute or more"  # behind descent
    (refine,) = [b for b in build(taking_engine).blocks.values() if b.elem_id == "refine"]
    assert ("Best", "best") in refine.choices
