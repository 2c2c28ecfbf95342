"""Projects in the app: saved beside pictures, opened like photos."""

import base64
from collections.abc import Callable
from pathlib import Path

import gradio as gr
import numpy as np
import pytest

from app import toasts
from app.handlers import Handlers
from app.messages import Answer, request_dict, stack
from app.ui import LAUNCH
from app.wiring import Wiring
from core.engine import Engine
from core.images import encode_png
from core.projects import restoring
from core.projects.archive import MAX_FILE_BYTES
from core.projects.project import is_project
from core.references import Take
from core.session import EditRequest, View

OFF = EditRequest()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Sentences for the visitor that end no event."""
    sentences: list[str] = []
    monkeypatch.setattr(toasts.gr, "Info", lambda text, **_: sentences.append(text))
    return sentences


@pytest.fixture
def upload(tmp_path: Path) -> Callable[..., str]:
    """Writes bytes as an upload, and says where."""

    def write(data: bytes, name: str = "upload.visagist") -> str:
        path = tmp_path / name
        path.write_bytes(data)
        return str(path)

    return write


def export(handlers: Handlers, kind: str, request: EditRequest) -> bytes:
    answer = handlers.export({"token": "me", "format": kind, "request": request_dict(request)})
    assert "error" not in answer
    return base64.b64decode(answer["data"])


@pytest.fixture
def edited(taking_engine: Engine, upload: Callable, photo: np.ndarray) -> tuple[Handlers, EditRequest]:
    """A visit of "me" with a face of its own, four entries in its history, the third on the screen."""
    taking_engine.close()  # whatever others have found of this photo
    handlers = Handlers(taking_engine)
    list(handlers.open_file("me", OFF, upload(encode_png(photo))))
    *_, added = handlers.references.add("me", upload(encode_png(photo[:, ::-1])))
    own = handlers.references.takes("me", [{"reference": added["picked"], "what": ["young"]}])
    gallery = Take(taking_engine.gallery[0], ("smile", "middle"), -0.5)
    request = EditRequest({"male": 1}, "second", takes=(*own, gallery), view=View("photo", "photo"))
    handlers.settle("me", EditRequest({"smile": 1}))
    handlers.settle("me", request)
    handlers.settle("me", EditRequest(takes=own))
    handlers.undo("me", EditRequest(takes=own, view=View(output="photo")))
    return handlers, request


def test_a_project_brings_everything_back_elsewhere(
    edited: tuple[Handlers, EditRequest], upload: Callable, told: list[str]
) -> None:
    handlers, request = edited
    data, picture = export(handlers, "project", request), export(handlers, "png", request)
    before = handlers.visits.get("me")
    elsewhere = Handlers(handlers.engine)
    # By its content: whatever it is called.
    path = upload(data, "face.png")
    *steps, (opened, shown) = elsewhere.open_file("me", OFF, path)
    assert not Path(path).exists()
    assert steps[0][0]["step"] == "Opening the project"
    assert (opened["kind"], shown, told) == ("opened", request, [])
    assert opened["history"] == {"length": 4, "cursor": 2}
    assert opened["request"]["takes"] == stack(request)
    after = elsewhere.visits.get("me")
    assert after.history == before.history
    assert [face.reference for face in after.faces] == [face.reference for face in before.faces]
    np.testing.assert_array_equal(after.portrait.photo, before.portrait.photo)
    assert export(elsewhere, "png", request) == picture
    assert elsewhere.undo("me", request)[1].sliders == {"smile": 1}
    assert elsewhere.redo("me", EditRequest({"smile": 1}, view=View(output="photo")))[1] == request
    assert elsewhere.references.takes("me", stack(request)) == request.takes


def test_a_change_that_has_not_settled_is_in_the_project(
    edited: tuple[Handlers, EditRequest], upload: Callable
) -> None:
    handlers, _ = edited
    moved = EditRequest({"young": -2})
    data = export(handlers, "project", moved)
    assert handlers.visits.get("me").cursor == 2
    elsewhere = Handlers(handlers.engine)
    *_, (opened, shown) = elsewhere.open_file("me", OFF, upload(data))
    assert (shown, opened["history"]) == (moved, {"length": 4, "cursor": 3})


def test_faces_of_before_come_along_and_the_open_face_is_not_listed(
    edited: tuple[Handlers, EditRequest], upload: Callable, photo: np.ndarray
) -> None:
    handlers, request = edited
    data = export(handlers, "project", request)
    own = handlers.visits.get("me").faces[0].reference.key
    other = np.ascontiguousarray(photo[12:])
    elsewhere = Handlers(handlers.engine)
    list(elsewhere.open_file("me", OFF, upload(encode_png(other))))
    left = elsewhere.visits.get("me").portrait.reference.key
    wiring = Wiring(elsewhere)
    *_, (_, *_, faces) = wiring._opened("me", elsewhere.open_file("me", OFF, upload(data)))
    assert [face["key"] for face in faces["faces"]] == [own, left]


def test_a_damaged_project_is_one_sentence_and_loses_nothing(
    edited: tuple[Handlers, EditRequest], upload: Callable
) -> None:
    handlers, request = edited
    data = export(handlers, "project", request)
    assert is_project(data[: len(data) // 2])
    before = handlers.visits.get("me")
    path = upload(data[: len(data) // 2])
    answers: list[Answer] = []

    def read() -> None:
        for answer in handlers.open_file("me", request, path):
            answers.append(answer)

    with pytest.raises(gr.Error, match="project file is damaged"):
        read()
    assert answers[-1][0]["kind"] == "failed"
    assert not Path(path).exists()
    assert handlers.visits.get("me") is before


def test_another_model_opens_it_too_and_says_so(
    edited: tuple[Handlers, EditRequest], upload: Callable, told: list[str], refining_engine: Engine
) -> None:
    handlers, request = edited
    elsewhere = Handlers(refining_engine)
    *_, (opened, shown) = elsewhere.open_file("me", OFF, upload(export(handlers, "project", request)))
    assert opened["kind"] == "opened"
    assert len(told) == 1
    assert told[0].endswith(".")
    assert shown.sliders == {"male": 1}
    # It has mixes, but no editors.
    assert {name for take in shown.takes for name in take.what} == {"middle"}


class DescendingEngine:
    """The engine as one whose portraits may get better."""

    improves = True

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __getattr__(self, name: str):
        return getattr(self._engine, name)


@pytest.mark.parametrize("refine", ["off", "fast"])
def test_a_project_goes_on_improving_unless_it_was_refined(
    edited: tuple[Handlers, EditRequest], upload: Callable, refine: str
) -> None:
    handlers, _ = edited
    list(handlers.refine("me", EditRequest(refine=refine)))
    data = export(handlers, "project", EditRequest(refine=refine))
    for engine, improves in ((handlers.engine, False), (DescendingEngine(handlers.engine), refine == "off")):
        *_, (opened, _) = Handlers(engine).open_file("me", OFF, upload(data))
        assert opened["improves"] is improves


def test_who_leaves_ends_the_opening_of_a_project(
    edited: tuple[Handlers, EditRequest], upload: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    handlers, request = edited
    data = export(handlers, "project", request)
    elsewhere, asked = Handlers(handlers.engine), []

    def restore(engine, project, progress, seconds, cancelled):
        asked.append((seconds <= 2, cancelled()))
        restored = restoring.restore(engine, project, progress)
        elsewhere.forget("me")
        asked.append((seconds <= 2, cancelled()))
        return restored

    handlers.forget("me")
    monkeypatch.setattr("app.openings.restore", restore)
    with pytest.raises(gr.Error, match="opening was cancelled"):
        list(elsewhere.open_file("me", OFF, upload(data)))
    assert asked == [(True, False), (True, True)]
    assert len(elsewhere.visits) == len(handlers.engine._memory._portraits) == 0


def test_the_upload_lets_a_project_through_and_pictures_are_still_judged_as_pictures(
    edited: tuple[Handlers, EditRequest], upload: Callable
) -> None:
    handlers, _ = edited
    # The largest photo, uncompressed, and as much again for the rest.
    assert LAUNCH["max_file_size"] == MAX_FILE_BYTES > 2 * 3 * 40_000_000
    with pytest.raises(gr.Error, match="not a picture we can open"):
        list(handlers.open_file("me", OFF, upload(b"PK\x03\x04 some other zip")))
