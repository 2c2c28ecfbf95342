"""Openings: who waits for one, and what is left of those that nobody waits for."""

import threading

import pytest

from app.openings import Opening, Openings, let_go
from app.visits import Visit
from core.engine import Engine
from core.errors import Cancelled, NoFaceFound
from core.projects.restoring import Restored
from core.session import EditRequest, Portrait, SessionStore


class RecordingEngine:
    """Remembers what it is told to forget, and asks each opening whether it goes on."""

    def __init__(self, portrait: Portrait) -> None:
        self._portrait = portrait
        self.forgotten: list[Portrait] = []
        self.goes_on: list[bool] = []
        self.ends = lambda: None

    def forget(self, portrait: Portrait) -> None:
        self.forgotten.append(portrait)

    def open_portrait(self, photo, face, progress, seconds, cancelled, steps) -> Portrait:
        assert seconds <= 2
        self.goes_on.append(not cancelled())
        self.ends()
        return self._portrait


@pytest.fixture(scope="module")
def portrait(tiny_engine: Engine, photo) -> Portrait:
    return tiny_engine.open_portrait(photo)


@pytest.fixture
def engine(portrait: Portrait) -> RecordingEngine:
    return RecordingEngine(portrait)


@pytest.fixture
def store() -> SessionStore[Visit]:
    return SessionStore(4, 2**30)


def opened(opening: Opening, portrait: Portrait) -> Portrait:
    return opening.photo(portrait.photo, 0, None, lambda step: None)


def test_of_a_visitors_openings_the_newest_is_waited_for(
    engine: RecordingEngine, store: SessionStore[Visit], portrait: Portrait
) -> None:
    openings = Openings(engine, store)
    with openings.one("me") as first, openings.one("you") as other:
        assert opened(first, portrait) is portrait
        with openings.one("me") as second:
            with pytest.raises(Cancelled):
                opened(first, portrait)
            assert opened(second, portrait) is opened(other, portrait) is portrait
    assert engine.goes_on == [True, False, True, True]
    assert engine.forgotten == [portrait]


@pytest.mark.parametrize("end", ["returns", "fails", "leaves"])
def test_nothing_is_kept_of_an_opening_that_has_ended(
    engine: RecordingEngine, store: SessionStore[Visit], portrait: Portrait, end: str
) -> None:
    openings, kept = Openings(engine, store), []

    def run() -> None:
        with openings.one("me") as opening:
            kept.append(opening)
            assert len(openings) == 1
            if end == "fails":
                raise NoFaceFound("Nobody here.")
            if end == "leaves":
                openings.drop("me")

    if end == "fails":
        with pytest.raises(NoFaceFound):
            run()
    else:
        run()
    assert len(openings) == 0
    with pytest.raises(Cancelled):
        kept[0].check(portrait)


def test_an_opening_that_ends_leaves_the_one_after_it_alone(
    engine: RecordingEngine, store: SessionStore[Visit], portrait: Portrait
) -> None:
    openings, first = Openings(engine, store), threading.Event()
    entered = threading.Event()

    def run() -> None:
        with openings.one("me"):
            entered.set()
            first.wait(30)

    thread = threading.Thread(target=run)
    thread.start()
    assert entered.wait(30)
    with openings.one("me") as second:
        first.set()
        thread.join(30)
        assert len(openings) == 1
        second.check(portrait)
        openings.drop("me")
        with pytest.raises(Cancelled):
            second.check(portrait)


def test_who_leaves_just_as_it_ends_leaves_nothing(
    engine: RecordingEngine, store: SessionStore[Visit], portrait: Portrait
) -> None:
    openings = Openings(engine, store)
    engine.ends = lambda: openings.drop("me")
    with openings.one("me") as opening, pytest.raises(Cancelled, match="the picture is as it was"):
        opened(opening, portrait)
    assert engine.goes_on == [True]
    assert engine.forgotten == [portrait]


def test_nor_does_who_leaves_just_as_a_project_is_open(
    engine: RecordingEngine, store: SessionStore[Visit], portrait: Portrait, monkeypatch: pytest.MonkeyPatch
) -> None:
    openings = Openings(engine, store)

    def restore(engine, project, progress, seconds, cancelled) -> Restored:
        assert not cancelled()
        openings.drop("me")
        return Restored(portrait, (EditRequest(),), 0, (), None)

    monkeypatch.setattr("app.openings.restore", restore)
    with openings.one("me") as opening, pytest.raises(Cancelled):
        opening.project(None, lambda step: None)
    assert engine.forgotten == [portrait]


def test_the_photo_that_is_open_is_not_let_go(
    engine: RecordingEngine, store: SessionStore[Visit], portrait: Portrait
) -> None:
    store.put("me", Visit.begin(portrait, portrait, EditRequest()))
    let_go(engine, store, "me", portrait)
    assert engine.forgotten == []
    let_go(engine, store, "you", portrait)
    assert engine.forgotten == [portrait]
