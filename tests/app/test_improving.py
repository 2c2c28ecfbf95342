"""A face that gets better while it is edited: what the page is told, and when the visit takes it over."""

import base64
import dataclasses
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from app import toasts
from app.handlers import Handlers
from app.live import HAND_SECONDS, Hands
from app.messages import Message
from app.resting import MAX_VISITORS
from app.ui import LAUNCH
from core.engine import Engine
from core.errors import Cancelled, OutOfMemory
from core.generators.residual import WeightShift
from core.images import encode_png, open_image
from core.session import EditRequest, Portrait, View

ME = "me"
PHOTO = EditRequest(view=View("photo", "photo"))
FAST = EditRequest(refine="fast")
SMILE = EditRequest({"smile": 2.0}, view=View("photo", "photo"))


class ImprovingEngine:
    """The tiny engine as one that descends: each `give` finds the portrait another code."""

    improves = True

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.opened: list[dict] = []
        self.given: list[Portrait] = []
        self.better, self.told, self.end = threading.Event(), threading.Event(), threading.Event()
        self.during_opening, self.after_opening = lambda: None, lambda: None

    def __getattr__(self, name: str):
        return getattr(self._engine, name)

    def open_portrait(
        self, photo, face=0, progress=None, seconds=12.0, shown=None, cancelled=None, steps=None
    ):
        self.opened.append({"seconds": seconds, "steps": steps})
        self.during_opening()
        if cancelled is not None and cancelled():
            raise Cancelled("The opening was cancelled; the picture is as it was.")
        portrait = self._engine.open_portrait(photo, face, progress)
        self.after_opening()
        return portrait

    def improve(self, portrait, seconds=30.0, better=None, cancelled=None, refined=False):
        assert refined  # a visit has fast as soon as it can
        while not (self.end.is_set() or cancelled()):
            if self.better.wait(0.05):
                self.better.clear()
                w = portrait.w_plus + 0.3 * (1 + len(self.given))
                resumed = self._engine.resume(portrait.photo, portrait.faces, portrait.face, w.numpy())
                found = dataclasses.replace(resumed, key=portrait.key, identity=portrait.identity)
                self.given.append(found)
                better(found)
                self.told.set()
        return portrait

    def give(self) -> Portrait:
        """Have something better found."""
        self.told.clear()
        self.better.set()
        assert self.told.wait(30)
        return self.given[-1]


@pytest.fixture
def engine(tiny_engine: Engine) -> Iterator[ImprovingEngine]:
    engine = ImprovingEngine(tiny_engine)
    yield engine
    engine.end.set()


@pytest.fixture
def handlers(engine: ImprovingEngine, photo: np.ndarray, tmp_path) -> Handlers:
    handlers = Handlers(engine)
    upload(handlers, photo, tmp_path)
    return handlers


def upload(handlers: Handlers, photo: np.ndarray, tmp_path, asked: EditRequest = PHOTO) -> Message:
    path = tmp_path / "photo.png"
    path.write_bytes(encode_png(photo))
    *_, (message, _) = handlers.open_file(ME, asked, str(path))
    return message


def until(messages: Iterator[Message], kind: str) -> Message:
    return next(message for message in messages if message["kind"] == kind)


def shown(message: Message) -> np.ndarray:
    return open_image(base64.b64decode(message["frame"].split(",")[1]))


def test_a_photo_opens_soon_and_the_page_asks_for_more(
    engine: ImprovingEngine, photo: np.ndarray, tmp_path, tiny_engine: Engine
) -> None:
    message = upload(Handlers(engine), photo, tmp_path)
    assert message["improves"] is True
    assert engine.opened[0]["seconds"] <= 2
    assert engine.opened[0]["steps"] == 1
    assert upload(Handlers(tiny_engine), photo, tmp_path)["improves"] is False


def test_the_face_is_told_as_it_gets_better_and_then_that_it_does_no_more(
    handlers: Handlers, engine: ImprovingEngine
) -> None:
    told = handlers.improve(ME)
    first = next(told)
    engine.give()
    second = until(told, "improving")
    assert None not in (first["picture"], second["picture"])
    assert first["picture"] != second["picture"]
    engine.end.set()
    *_, last = told
    assert last == {**last, "kind": "improving", "picture": None}


def test_a_visit_takes_it_over_and_its_edits_are_shown_anew(
    handlers: Handlers, engine: ImprovingEngine
) -> None:
    before = handlers.settle(ME, SMILE)
    history = handlers.visits.get(ME).history
    told = handlers.improve(ME)
    next(told)
    better = engine.give()
    frame = until(told, "frame")
    visit = handlers.visits.get(ME)
    assert visit.portrait is better
    assert visit.preview.w_plus is better.w_plus
    assert visit.history == history
    assert frame["request"] == before["request"]
    assert not np.array_equal(shown(frame), shown(before))
    wanted = engine.edit(better, SMILE)
    answer = handlers.export({"token": ME, "format": "png", "request": frame["request"]})
    assert np.array_equal(open_image(base64.b64decode(answer["data"])), wanted)
    assert handlers.undo(ME, SMILE, unsettled=False)[1] == PHOTO


def test_the_untouched_photo_is_not_sent_again(handlers: Handlers, engine: ImprovingEngine) -> None:
    told = handlers.improve(ME)
    next(told)
    better = engine.give()
    threading.Timer(1.5, engine.end.set).start()
    assert {message["kind"] for message in told} == {"improving"}
    assert handlers.visits.get(ME).portrait is better


def test_each_of_its_steps_may_run_in_another_thread(
    handlers: Handlers, engine: ImprovingEngine, wandering: Callable
) -> None:
    handlers.settle(ME, SMILE)
    told = wandering(handlers.improve(ME))
    next(told)
    better = engine.give()
    until(told, "frame")
    engine.end.set()
    assert [message["picture"] for message in told] == [None]
    assert handlers.visits.get(ME).portrait is better
    assert handlers.preview(ME, SMILE) is not None  # it waits for nobody


def test_a_slider_in_hand_is_not_jumped(handlers: Handlers, engine: ImprovingEngine) -> None:
    now = [100.0]
    handlers._hands = Hands(clock=lambda: now[0])
    before = handlers.visits.get(ME).portrait
    told = handlers.improve(ME)
    next(told)
    assert handlers.preview(ME, SMILE) is not None
    better = engine.give()
    until(told, "improving")
    again = handlers.preview(ME, SMILE)
    assert handlers._taken_over(ME) is None
    assert handlers.visits.get(ME).portrait is before
    rested = handlers.settle(ME, SMILE)  # the pause brings it
    assert handlers.visits.get(ME).portrait is better
    assert again is not None
    assert not np.array_equal(shown(rested), shown(again))


def test_a_hand_of_which_no_pause_is_told_holds_it_up_for_a_moment_only(
    handlers: Handlers, engine: ImprovingEngine
) -> None:
    now = [100.0]
    handlers._hands = Hands(clock=lambda: now[0])
    handlers.settle(ME, SMILE)
    told = handlers.improve(ME)
    next(told)
    handlers.preview(ME, PHOTO)
    better = engine.give()
    assert handlers._taken_over(ME) is None
    now[0] += HAND_SECONDS
    frame = handlers._taken_over(ME)
    assert frame is not None
    assert frame["better"] is True  # by which the page knows that it need not be shown, where one holds on
    assert handlers.visits.get(ME).portrait is better


def test_who_has_left_holds_nothing(handlers: Handlers) -> None:
    handlers._hands = Hands(lambda: 0.0)
    handlers.preview(ME, SMILE)
    assert handlers._hands.busy(ME)
    handlers.forget(ME)
    assert not handlers._hands.busy(ME)
    assert handlers.preview(ME, SMILE)["kind"] == "gone"
    assert not handlers._hands.busy(ME)


def test_what_ends_it_too_early_is_told(
    handlers: Handlers, engine: ImprovingEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentences: list[str] = []
    monkeypatch.setattr(toasts.gr, "Info", sentences.append)

    def fail(*args, **more) -> None:
        raise OutOfMemory("There is not enough memory.")

    monkeypatch.setattr(engine, "improve", fail)
    assert [message["kind"] for message in handlers.improve(ME)][-1] == "improving"
    assert sentences == ["There is not enough memory."]
    assert handlers.settle(ME, SMILE)["history"]["length"] == 2


def test_what_was_refined_meanwhile_stays(handlers: Handlers, engine: ImprovingEngine) -> None:
    told = handlers.improve(ME)
    next(told)
    engine.give()
    visit = handlers.visits.get(ME)
    refined = visit.portrait.refined({"fast": WeightShift(())}, {"fast": visit.portrait.rendered})
    handlers.visits.put(ME, dataclasses.replace(visit, portrait=refined))
    assert handlers._improver.settled(ME) is None
    assert handlers.visits.get(ME).portrait is refined


def shifted(portrait: Portrait) -> Portrait:
    """With a "fast" that shows."""
    base = portrait.rendered.flip(-1)
    return portrait.refined({"fast": WeightShift(())}, {"fast": base})


@pytest.fixture
def hoping(engine: ImprovingEngine, photo: np.ndarray, tmp_path, monkeypatch: pytest.MonkeyPatch) -> Handlers:
    """Of a model that has fast, opened with the toggle at it, as it stands at first."""
    monkeypatch.setattr(engine, "refinements", {"fast": None, "best": None}, raising=False)
    handlers = Handlers(engine)
    upload(handlers, photo, tmp_path, FAST)
    return handlers


def test_fast_is_wished_for_from_the_start_and_shown_once_it_is_there(
    hoping: Handlers, engine: ImprovingEngine
) -> None:
    def exported(refine: str) -> str:
        request = {"refine": refine, "start": "inversion", "output": "face"}
        return hoping.export({"token": ME, "format": "png", "request": request})["data"]

    visit = hoping.visits.get(ME)
    assert visit.history == (FAST,)
    assert shown(hoping.settle(ME, FAST)).any()
    assert exported("fast") == exported("off")
    assert hoping.export({"token": ME, "format": "project", "request": {"refine": "fast"}})["data"]
    hoping._update(ME, lambda visit: visit.knowing(shifted(visit.portrait), shifted(visit.preview)))
    assert exported("fast") != exported("off")
    assert hoping.visits.get(ME).history == (FAST,)


def test_what_gets_better_finds_fast_so_that_the_toggle_waits_for_it(
    hoping: Handlers, engine: ImprovingEngine
) -> None:
    told = hoping.improve(ME)
    next(told)
    running = hoping._improver.get(ME)
    (off,) = hoping.refine(ME, EditRequest(refine="off"))
    assert hoping._improver.get(ME) is running
    (fast,) = hoping.refine(ME, FAST)
    assert hoping._improver.get(ME) is running
    assert [message["request"]["refine"] for message, _ in (off, fast)] == ["off", "fast"]
    assert hoping.visits.get(ME).request == FAST
    engine.end.set()
    list(told)


def test_best_ends_it_with_what_was_reached(
    hoping: Handlers, engine: ImprovingEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Portrait] = []

    def refine(portrait: Portrait, mode: str, *_) -> Portrait:
        begun.append(portrait)
        return portrait.refined({mode: WeightShift(())}, {mode: portrait.rendered})

    monkeypatch.setattr(engine, "refine", refine, raising=False)
    told = hoping.improve(ME)
    next(told)
    better = engine.give()
    list(hoping.refine(ME, EditRequest(refine="best")))
    assert begun == [better]
    assert hoping.visits.get(ME).request.refine == "best"
    assert list(told) == []


def test_a_face_is_left_as_it_is_known_by_then(
    handlers: Handlers, engine: ImprovingEngine, photo: np.ndarray, tmp_path
) -> None:
    upload(handlers, np.hstack([photo, photo[:, ::-1]]), tmp_path)
    told = handlers.improve(ME)
    next(told)
    better = engine.give()
    *_, (message, _) = handlers.choose_face(ME, PHOTO, 1)
    assert list(told) == []
    assert (message["face"], message["improves"]) == (1, True)
    (left,) = handlers.visits.get(ME).others
    assert left.edits.portrait.w_plus is better.w_plus


@pytest.mark.parametrize("leaving", ["another", "forget"])
def test_leaving_ends_it(
    handlers: Handlers, engine: ImprovingEngine, photo: np.ndarray, tmp_path, leaving: str
) -> None:
    told = handlers.improve(ME)
    next(told)
    if leaving == "forget":
        handlers.forget(ME)
    else:
        upload(handlers, np.ascontiguousarray(photo[:, ::-1]), tmp_path)
    assert list(told) == []
    assert handlers._improver.get(ME) is None


@pytest.mark.parametrize("when", ["during_opening", "after_opening", "first picture"])
def test_of_an_opening_whose_visitor_leaves_nothing_stays(
    engine: ImprovingEngine, photo: np.ndarray, tmp_path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    engine.close()
    handlers = Handlers(engine)

    def leave() -> None:
        handlers.forget(ME)

    def edit(*args):
        leave()
        return engine._engine.edit(*args)

    if when == "first picture":
        monkeypatch.setattr(engine, "edit", edit, raising=False)
    else:
        monkeypatch.setattr(engine, when, leave)
    with pytest.raises(Exception, match="opening was cancelled"):
        upload(handlers, photo, tmp_path)
    assert len(handlers.visits) == len(handlers._openings) == 0
    assert len(engine._engine._memory._portraits) == 0


def test_no_visitor_takes_the_thread_of_another() -> None:
    """Each may have a portrait that improves, another that is being opened, and a small picture."""
    assert LAUNCH["max_threads"] >= 3 * MAX_VISITORS
