"""The Refine toggle without a browser: progress, cancel, history, and what happens when it does not work."""

import dataclasses
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import gradio as gr
import numpy as np
import pytest

from app import toasts as module
from app.handlers import Handlers
from app.refining import Run, Runs, as_set
from app.toggling import Refined
from core.engine import Engine
from core.errors import BadRequest, Cancelled, OutOfMemory
from core.generators.residual import WeightShift
from core.images import encode_png
from core.refinement.running import Progress
from core.session import EditRequest, Portrait

SMILE = EditRequest({"smile": 1.5})
OFF, FAST, BEST = (EditRequest(refine=mode) for mode in ("off", "fast", "best"))
CANCELLED = "The refinement was cancelled; the picture is as it was."


class SlowEngine:
    """The engine; its best refinement goes as far as it is let, and does what `end` says."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.end: Callable[[], None] = lambda: None
        self.computed = 0

    def __getattr__(self, name: str):
        return getattr(self._engine, name)

    def refine(self, portrait: Portrait, mode: str, progress=None, cancelled=None, preview=None) -> Portrait:
        if mode != "best" or mode in portrait.residuals:
            return self._engine.refine(portrait, mode)
        self.computed += 1
        # Not in proportion to the kernels: demodulation takes their common scale away again.
        kernels = self._engine.generator.kernels().values()
        shifts = WeightShift(tuple(0.2 * kernel.flip(0) for kernel in kernels))
        base = self._engine.renderer.render(portrait.w_plus[None], shifts)
        refined = portrait.refined({"best": shifts}, {"best": base})
        progress(Progress("Refining", 0.5, 7.5))
        preview(refined)
        self.begun.set()
        while not self.go_on.wait(0.01):
            if cancelled():
                raise Cancelled(CANCELLED)
        self.end()
        return refined


@pytest.fixture
def engine(refining_engine: Engine) -> SlowEngine:
    return SlowEngine(refining_engine)


@pytest.fixture
def handlers(engine: SlowEngine, monkeypatch: pytest.MonkeyPatch) -> Handlers:
    monkeypatch.setattr("app.refining.TELL_SECONDS", 0.01)
    return Handlers(engine)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Sentences for the visitor that end no event."""
    sentences: list[str] = []
    monkeypatch.setattr(module.gr, "Info", lambda text, **_: sentences.append(text))
    return sentences


@pytest.fixture
def upload(tmp_path: Path, photo: np.ndarray) -> Callable[..., list]:
    def write_and_open(handlers: Handlers, asked: EditRequest = OFF, flipped: bool = False) -> list:
        path = tmp_path / "face.png"
        path.write_bytes(encode_png(photo[:, ::-1] if flipped else photo))
        return list(handlers.open_file("me", asked, str(path)))

    return write_and_open


def until_begun(handlers: Handlers, asked: EditRequest) -> Iterator[Refined]:
    """The stream, read as far as the first message that has a picture."""
    stream = handlers.refine("me", asked)
    while "frame" not in next(stream)[0]:
        pass
    return stream


def test_fast_is_shown_and_is_an_entry_of_the_history(handlers: Handlers, upload) -> None:
    before = upload(handlers)[-1][0]
    message, mode = list(handlers.refine("me", FAST))[-1]
    assert (message["kind"], message["refining"], mode) == ("frame", False, None)
    assert message["request"]["refine"] == "fast"
    assert message["history"] == {"length": 2, "cursor": 1}
    assert message["frame"] != before["frame"]
    again, request = handlers.undo("me", FAST)
    assert request == OFF
    assert again["frame"] == before["frame"]
    again, request = handlers.redo("me", OFF)
    assert request == FAST
    assert again["frame"] == message["frame"]


def test_each_step_of_it_may_run_in_another_thread(
    handlers: Handlers, engine: SlowEngine, upload, wandering: Callable
) -> None:
    upload(handlers)
    stream = wandering(handlers.refine("me", BEST))
    while "frame" not in next(stream)[0]:
        pass
    engine.go_on.set()
    *_, (message, _) = stream
    assert message["request"]["refine"] == "best"
    assert handlers.preview("me", BEST) is not None


def test_toggling_again_computes_nothing(handlers: Handlers, engine: SlowEngine, upload) -> None:
    upload(handlers)
    engine.go_on.set()
    best = list(handlers.refine("me", BEST))[-1][0]
    list(handlers.refine("me", OFF))
    (message, _), *more = handlers.refine("me", BEST)
    assert more == []
    assert engine.computed == 1
    assert message["frame"] == best["frame"]
    assert message["history"] == {"length": 4, "cursor": 3}


def test_best_tells_how_far_it_is_and_shows_it(handlers: Handlers, engine: SlowEngine, upload) -> None:
    upload(handlers)
    stream = handlers.refine("me", BEST)
    message: dict = {}
    while "frame" not in message:
        message, mode = next(stream)
        assert mode is None
    assert message["kind"] == "refining"
    assert (message["step"], message["done"], message["seconds_left"]) == ("Refining", 0.5, 7.5)
    assert "frame" not in next(stream)[0]  # the same picture is not sent again
    engine.go_on.set()
    last = list(stream)[-1][0]
    assert (last["kind"], last["refining"], last["request"]["refine"]) == ("frame", False, "best")


def test_sliders_work_meanwhile_and_are_kept(handlers: Handlers, engine: SlowEngine, upload) -> None:
    upload(handlers)
    stream = until_begun(handlers, BEST)
    moved = dataclasses.replace(SMILE, refine="best")
    live = handlers.preview("me", moved)
    assert live["request"]["refine"] == "off"  # what a download would take
    settled = handlers.settle("me", moved)
    assert settled["history"] == {"length": 2, "cursor": 1}
    assert settled["request"] == {**live["request"]}
    engine.go_on.set()
    last = list(stream)[-1][0]
    assert last["request"]["sliders"] == {"smile": 1.5}
    assert last["history"] == {"length": 3, "cursor": 2}
    # What was reached by then is already what a moved slider showed.
    assert last["frame"] == settled["frame"]
    assert handlers.undo("me", moved)[1] == SMILE


def test_cancel_keeps_what_the_visitor_had(
    handlers: Handlers, engine: SlowEngine, upload, told: list[str]
) -> None:
    upload(handlers)
    settled = handlers.settle("me", SMILE)
    stream = until_begun(handlers, dataclasses.replace(SMILE, refine="best"))
    handlers.cancel("me")
    last, mode = list(stream)[-1]
    assert (mode, last["refining"], last["request"]["refine"]) == ("off", False, "off")
    assert last["frame"] == settled["frame"]
    assert last["history"] == settled["history"]
    assert told == [CANCELLED]
    handlers.cancel("me")  # nothing runs: nothing happens


def test_undo_takes_back_a_refinement_under_way(
    handlers: Handlers, engine: SlowEngine, upload, told: list[str]
) -> None:
    upload(handlers)
    settled = handlers.settle("me", SMILE)
    stream = until_begun(handlers, dataclasses.replace(SMILE, refine="best"))
    message, request = handlers.undo("me", dataclasses.replace(SMILE, refine="best"))
    assert request == SMILE
    assert (message["frame"], message["refining"]) == (settled["frame"], False)
    assert list(stream) == []  # no last word from what was taken back
    assert told == []


def test_another_choice_takes_the_place_of_best(
    handlers: Handlers, engine: SlowEngine, upload, told: list[str]
) -> None:
    upload(handlers)
    stream = until_begun(handlers, BEST)
    (message, mode), *_ = handlers.refine("me", OFF)
    assert (message["request"]["refine"], mode) == ("off", None)
    assert list(stream) == []
    assert told == []


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OutOfMemory("There is not enough memory."), "There is not enough memory."),
        (BadRequest("No <refiner>."), "No &lt;refiner&gt;."),
        (ZeroDivisionError(), "nothing you had is lost"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_failure_is_one_sentence_and_the_toggle_goes_back(
    handlers: Handlers, engine: SlowEngine, upload, told: list[str], error: Exception, sentence: str
) -> None:
    upload(handlers)
    settled = handlers.settle("me", SMILE)

    def fail() -> None:
        raise error

    engine.end = fail
    engine.go_on.set()
    last, mode = list(handlers.refine("me", dataclasses.replace(SMILE, refine="best")))[-1]
    assert (mode, last["frame"], last["history"]) == ("off", settled["frame"], settled["history"])
    assert len(told) == 1
    assert sentence in told[0]


def test_a_new_photo_opens_as_the_toggle_stands(handlers: Handlers, engine: SlowEngine, upload) -> None:
    answers = upload(handlers, FAST)
    assert "Refining" in [m.get("step") for m, _ in answers]
    assert answers[-1][1] == FAST
    assert answers[-1][0]["request"]["refine"] == "fast"
    # A minute of work begins with a click alone.
    assert upload(handlers, BEST, flipped=True)[-1][1] == FAST
    assert engine.computed == 0


def test_a_photo_that_was_refined_before_opens_with_it(
    handlers: Handlers, engine: SlowEngine, upload, photo: np.ndarray
) -> None:
    portrait = dataclasses.replace(engine.open_portrait(photo), residuals={}, bases={})
    engine.go_on.set()
    refined = engine.refine(portrait, "best", lambda _: None, lambda: False, lambda _: None)
    engine._engine._memory.put(refined)
    try:
        assert upload(handlers, BEST)[-1][1] == BEST
    finally:
        engine.forget(portrait)


def test_without_a_refiner_a_photo_opens_off(tiny_engine: Engine, upload) -> None:
    assert upload(Handlers(tiny_engine), FAST)[-1][1] == OFF


def test_too_little_memory_while_opening_opens_off_with_a_sentence(
    handlers: Handlers, engine: SlowEngine, upload, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_):
        raise OutOfMemory("There is not enough memory.")

    monkeypatch.setattr(engine, "refine", refuse, raising=False)
    assert upload(handlers, FAST)[-1][1] == OFF
    assert told == ["There is not enough memory."]


def test_another_photo_or_leaving_ends_the_refinement(handlers: Handlers, engine: SlowEngine, upload) -> None:
    upload(handlers)
    stream = until_begun(handlers, BEST)
    upload(handlers, flipped=True)
    assert list(stream) == []
    stream = until_begun(handlers, BEST)
    handlers.forget("me")
    assert list(stream) == []
    assert handlers._runs.get("me") is None
    answers: list[Refined] = []
    with pytest.raises(gr.Error, match="open the photo again"):
        answers.extend(handlers.refine("me", BEST))


def test_a_stream_that_nobody_reads_any_more_ends_its_refinement(
    handlers: Handlers, engine: SlowEngine, upload
) -> None:
    upload(handlers)
    stream = until_begun(handlers, BEST)
    run = handlers._runs.get("me")
    stream.close()
    assert handlers._runs.get("me") is None
    for _ in run.watch():
        pass
    with pytest.raises(Cancelled):
        run.result()


def test_strength_and_detail_are_part_of_the_history(handlers: Handlers, upload) -> None:
    upload(handlers, FAST)
    weak = dataclasses.replace(FAST, strength=0.4)
    plain = weak.seen(keep_detail=False)
    handlers.settle("me", weak)
    assert handlers.settle("me", plain)["history"] == {"length": 3, "cursor": 2}
    assert handlers.undo("me", plain)[1] == weak
    assert handlers.undo("me", weak)[1] == FAST


def test_a_download_has_the_refinement(handlers: Handlers, upload, refining_engine: Engine) -> None:
    opened = upload(handlers, FAST)[-1][0]
    answer = handlers.export({"token": "me", "format": "png", "request": opened["request"]})
    plain = {**opened["request"], "refine": "off"}
    assert answer["data"] != handlers.export({"token": "me", "format": "png", "request": plain})["data"]
    wrong = {**opened["request"], "refine": "best"}
    assert "not computed" in handlers.export({"token": "me", "format": "png", "request": wrong})["error"]
    wrong = {**opened["request"], "strength": 7}
    assert "from 0 to 1" in handlers.export({"token": "me", "format": "png", "request": wrong})["error"]


def test_a_visitor_has_one_refinement_at_a_time(engine: SlowEngine, photo: np.ndarray) -> None:
    portrait, runs = engine.open_portrait(photo), Runs()
    first, second = (Run(engine, portrait, "best") for _ in range(2))
    runs.put("me", first)
    runs.put("me", second)
    for _ in first.watch():
        pass
    with pytest.raises(Cancelled):
        first.result()
    assert runs.get("me") is second
    assert not runs.end("me", first)
    engine.go_on.set()
    for _ in second.watch():
        pass
    assert "best" in second.result().residuals
    assert runs.drop("me")
    assert not runs.drop("me")


def test_behind_descent_a_photo_opens_before_it_is_refined(engine: SlowEngine, photo: np.ndarray) -> None:
    portrait = dataclasses.replace(engine.open_portrait(photo), residuals={}, bases={})
    refined, asked = as_set(engine, portrait, FAST)  # type: ignore[arg-type]
    assert (set(refined.residuals), asked.refine) == ({"fast"}, "fast")

    engine.improves = True
    left, asked = as_set(engine, portrait, FAST)  # type: ignore[arg-type]
    assert left is portrait
    assert asked.refine == "fast"  # which it will have
    known, asked = as_set(engine, refined, FAST)  # type: ignore[arg-type]  # opened again, refined already
    assert known is refined
    assert asked.refine == "fast"
