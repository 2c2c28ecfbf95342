"""The visit beside the open one: where undo leads over an opening, and how long."""

from pathlib import Path

import numpy as np
import pytest

from app import beside
from app.beside import Beside
from app.handlers import Handlers
from app.visits import Visit
from core.engine import Engine
from core.images import encode_png
from core.session import EditRequest, View

OFF = EditRequest(view=View("photo", "photo"))
SMILE = EditRequest({"smile": 1}, view=View("photo", "photo"))


@pytest.fixture
def opened(tiny_engine: Engine, photo: np.ndarray, tmp_path: Path) -> Handlers:
    """A visit of "me" to a mirrored photo, after one to the photo that was edited and undone."""
    handlers = Handlers(tiny_engine)
    open_photo(handlers, photo, tmp_path)
    handlers.settle("me", SMILE)
    handlers.undo("me", SMILE)
    open_photo(handlers, photo[:, ::-1], tmp_path)
    return handlers


def open_photo(handlers: Handlers, photo: np.ndarray, folder: Path) -> None:
    path = folder / "photo.png"
    path.write_bytes(encode_png(photo))
    list(handlers.open_file("me", OFF, str(path)))


def test_back_over_an_opening_and_forward_again(opened: Handlers, photo: np.ndarray) -> None:
    second = opened.visits.get("me")
    ((back, shown),) = opened.beside("me", True)
    assert (back["kind"], back["history"], shown) == ("opened", {"length": 2, "cursor": 0}, OFF)
    assert len(back["faces"]) == 1
    first = opened.visits.get("me")
    np.testing.assert_array_equal(first.portrait.photo, photo)
    assert opened.redo("me", OFF)[1] == SMILE
    assert [answer["kind"] for answer, _ in opened.beside("me", True)] == ["elsewhere"]
    ((forward, _),) = opened.beside("me", False)
    assert forward["history"] == {"length": 1, "cursor": 0}
    assert opened.visits.get("me").portrait is second.portrait
    list(opened.beside("me", True))
    assert opened.visits.get("me").request == SMILE  # as it was left


def test_its_faces_come_along_and_the_open_one_is_not_listed(opened: Handlers) -> None:
    second = opened.visits.get("me").portrait.reference.key
    list(opened.beside("me", True))
    assert [face["key"] for face in opened.references.listed("me")["faces"]] == [second]


def test_only_the_visit_before_is_kept(opened: Handlers, photo: np.ndarray, tmp_path: Path) -> None:
    second = opened.visits.get("me").portrait
    open_photo(opened, np.ascontiguousarray(photo[8:]), tmp_path)
    list(opened.beside("me", True))
    assert opened.visits.get("me").portrait is second
    assert [answer["kind"] for answer, _ in opened.beside("me", True)] == ["elsewhere"]


def test_an_opening_that_fails_leaves_both(opened: Handlers, tmp_path: Path) -> None:
    before = opened.visits.get("me")
    with pytest.raises(Exception, match="No face"):
        open_photo(opened, np.full((300, 200, 3), 128, np.uint8), tmp_path)
    assert opened.visits.get("me") is before
    ((back, _),) = opened.beside("me", True)
    assert back["history"] == {"length": 2, "cursor": 0}


def test_who_leaves_leaves_nothing(opened: Handlers) -> None:
    assert len(opened._beside) == 1
    opened.forget("me")
    assert len(opened._beside) == 0
    assert [answer["kind"] for answer, _ in opened.beside("me", True)] == ["elsewhere"]


def test_memory_is_bounded(opened: Handlers, monkeypatch: pytest.MonkeyPatch) -> None:
    visit: Visit = opened.visits.get("me")
    monkeypatch.setattr(beside, "MAX_BYTES", 2 * visit.nbytes)
    kept = Beside()
    for token in ("one", "two", "three"):
        kept.put(token, visit, earlier=True)
    assert kept.get("one", True) is None
    assert kept.get("three", True) is visit
    assert kept.get("three", False) is None
    assert len(kept) == 2
