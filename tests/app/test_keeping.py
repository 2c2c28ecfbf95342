"""What the server gives a browser to keep: the visit's project, in parts of which its file can be made."""

import base64
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app import keeping
from app.handlers import Handlers
from app.messages import request_dict
from core.engine import Engine
from core.images import encode_png
from core.projects.archive import MIMETYPE_ENTRY, pack
from core.projects.project import open_project
from core.references import Take
from core.session import EditRequest, View

SMILE = EditRequest({"smile": 1}, view=View("photo", "photo"))


@pytest.fixture
def handlers(taking_engine: Engine, photo: np.ndarray, tmp_path: Path) -> Handlers:
    """A visit of "me" with two entries."""
    handlers = Handlers(taking_engine)
    path = tmp_path / "Holiday 1.png"
    path.write_bytes(encode_png(photo))
    list(handlers.open_file("me", EditRequest(view=View("photo", "photo")), str(path)))
    handlers.settle("me", SMILE)
    return handlers


def keep(handlers: Handlers, have: dict[str, bytes]) -> dict[str, Any]:
    """What a browser does with the answer: `have` holds all that it says afterwards, by key."""
    answer = handlers.keep({"token": "me", "have": [*have]})
    assert "error" not in answer
    for part in answer["parts"]:
        if "data" in part:
            have[part["key"]] = base64.b64decode(part["data"])
            assert part["crc"] == zlib.crc32(have[part["key"]])
    return answer


def file_of(answer: dict[str, Any], have: dict[str, bytes]) -> bytes:
    entries = {part["name"]: have[part["key"]] for part in answer["parts"]}
    return pack({name: data for name, data in entries.items() if data})


def test_the_parts_are_the_project(handlers: Handlers) -> None:
    have: dict[str, bytes] = {}
    answer = keep(handlers, have)
    assert answer["name"] == "Holiday-1" or answer["name"] == "Holiday 1"
    assert answer["parts"][0]["name"] == MIMETYPE_ENTRY
    asked = {"token": "me", "format": "project", "request": request_dict(SMILE)}
    exported = handlers.export(asked)
    assert file_of(answer, have) == base64.b64decode(exported["data"])
    project = open_project(file_of(answer, have))
    assert project.history == handlers.visits.get("me").history


def test_a_pause_costs_what_is_new_alone(handlers: Handlers) -> None:
    have: dict[str, bytes] = {}
    keep(handlers, have)
    before = set(have)
    assert not [part for part in keep(handlers, have)["parts"] if "data" in part]
    handlers.settle("me", EditRequest({"smile": 2}, view=View("photo", "photo")))
    answer = keep(handlers, have)
    assert [part["name"] for part in answer["parts"] if "data" in part] == ["project.json"]
    assert len(have.keys() - before) == 1
    assert open_project(file_of(answer, have)).cursor == 2


def test_a_face_to_take_from_and_a_refinement_are_new_parts(handlers: Handlers) -> None:
    have: dict[str, bytes] = {}
    keep(handlers, have)
    take = Take(handlers.engine.gallery[0], ("smile",))
    handlers.settle("me", EditRequest(takes=(take,)))
    new = {part["name"] for part in keep(handlers, have)["parts"] if "data" in part}
    assert new == {"project.json", "tensors.safetensors", "reference0.png"}
    list(handlers.refine("me", EditRequest(takes=(take,), refine="fast")))
    new = {part["name"] for part in keep(handlers, have)["parts"] if "data" in part}
    assert new == {"project.json", "tensors.safetensors"}


def test_an_original_that_is_too_large_is_asked_for_once(
    handlers: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.projects.original_file.MAX_ORIGINAL_BYTES", 10)
    have: dict[str, bytes] = {}
    answer = keep(handlers, have)
    (original,) = (part for part in answer["parts"] if part["name"] == "original")
    assert have[original["key"]] == b""
    assert "data" not in next(p for p in keep(handlers, have)["parts"] if p["name"] == "original")
    assert open_project(file_of(answer, have)).original is None


def test_what_cannot_be_kept_is_one_sentence(handlers: Handlers, monkeypatch: pytest.MonkeyPatch) -> None:
    for payload in (None, [], {"token": "me"}, {"token": "me", "have": "all"}):
        assert handlers.keep(payload)["error"].endswith("reload the page.")
    assert "no longer in memory" in handlers.keep({"token": "you", "have": []})["error"]
    monkeypatch.setattr(keeping, "MAX_BYTES", 1000)
    assert handlers.keep({"token": "me", "have": []}) == {"error": keeping.TOO_LARGE}
    monkeypatch.setattr(keeping, "project_of", lambda *_: 1 / 0)
    assert handlers.keep({"token": "me", "have": []})["error"].startswith("Something failed on our side")
