"""Visits that rest while others work, and are as they were when somebody comes back to them."""

import dataclasses
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from app import resting
from app.asides import Aside
from app.handlers import Handlers
from app.improving import previewed
from app.resting import Resting, Visits, packed
from app.visits import Visit
from core.engine import Engine
from core.errors import SessionExpired
from core.images import Photo, encode_png, open_photo, save_image
from core.session import EditRequest, Portrait, View

SMILE = EditRequest({"smile": 2.0}, refine="fast", view=View("photo", "photo"))


@pytest.fixture
def busy() -> set[str]:
    return set()


@pytest.fixture
def visits(refining_engine: Engine, busy: set[str]) -> Iterator[Visits]:
    visits = Visits(refining_engine, busy.__contains__, awake=1, idle_seconds=0)
    yield visits
    visits.quiet()


def refined(handlers: Handlers, token: str) -> Visit:
    """The visit with its face refined, and an edit."""
    known = handlers.engine.refine(handlers.visits.get(token).portrait, "fast")
    handlers._update(token, lambda visit: visit.knowing(known, previewed(handlers.engine, known)))
    handlers.settle(token, SMILE)
    return handlers.visits.get(token)


@pytest.fixture
def open_visit(refining_engine: Engine, photo: np.ndarray, tmp_path: Path) -> Callable[[int], Visit]:
    """Of a photo of its own by number, refined, with an edit."""

    def opened(number: int) -> Visit:
        save_image(np.roll(photo, number, axis=1), tmp_path / "photo.png")
        handlers = Handlers(refining_engine)
        list(handlers.open_file("me", SMILE, str(tmp_path / "photo.png")))
        return refined(handlers, "me")

    return opened


def same(one: Portrait, other: Portrait) -> bool:
    """Bit for bit, whatever they hold."""
    for field in dataclasses.fields(Portrait):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, np.ndarray):
            equal = np.array_equal(a, b)
        elif isinstance(a, torch.Tensor):
            equal = torch.equal(a, b)
        elif field.name in ("directions", "bases"):
            equal = a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
        elif field.name == "scene":
            pairs = () if a is None else zip(a.arrays, b.arrays, strict=True)
            equal = (a is None) == (b is None) and all(np.array_equal(*pair) for pair in pairs)
        elif field.name == "identity":
            equal = np.array_equal(a.descriptor, b.descriptor)
        else:
            equal = a == b
        if not equal:
            return False
    return True


def test_a_visit_that_rested_is_as_it_was(
    visits: Visits, open_visit: Callable, refining_engine: Engine
) -> None:
    visit = open_visit(0)
    picture = refining_engine.edit(visit.portrait, SMILE)
    visits.put("me", visit)
    visits.put("you", open_visit(3))
    visits.quiet()
    at_rest = visits.peek("me")
    assert isinstance(at_rest, Resting)
    assert isinstance(visits.peek("you"), Visit)
    assert visits.tokens() == ("me", "you")
    woken = visits.get("me")
    assert woken is not visit
    assert same(woken.portrait, visit.portrait)
    assert same(woken.preview, visit.preview)
    for field in ("history", "cursor", "faces", "original", "stem", "others"):
        assert getattr(woken, field) == getattr(visit, field)
    assert np.array_equal(refining_engine.edit(woken.portrait, SMILE), picture)
    visits.quiet()
    assert isinstance(visits.peek("you"), Resting)  # now that one is the other
    assert visits.get("me") is woken


def test_at_rest_it_holds_a_small_part(open_visit: Callable) -> None:
    visit = open_visit(0)
    at_rest = Resting.of(visit)
    residual = sum(part.nbytes for part in visit.portrait.residuals.values())
    assert residual > 0
    assert at_rest.photo is None
    assert at_rest.nbytes == residual + visit.portrait.w_plus.nbytes + visit.original.nbytes
    assert at_rest.nbytes < visit.nbytes / 2
    without = Resting.of(dataclasses.replace(visit, original=None))
    assert without.nbytes == residual + visit.portrait.w_plus.nbytes + len(without.photo)


def test_who_is_busy_stays_awake_and_so_do_several_faces(
    visits: Visits, open_visit: Callable, busy: set[str]
) -> None:
    busy.add("me")
    visit = open_visit(0)
    visits.put("me", visit)
    aside = Aside(visit.edits, visit.preview, None, None)
    visits.put("group", dataclasses.replace(visit, others=(aside,)))
    visits.put("you", visit)
    visits.quiet()
    assert visits.peek("me") is visit
    assert isinstance(visits.peek("group"), Visit)
    busy.clear()
    visits.put("you", visit)
    visits.quiet()
    assert isinstance(visits.peek("me"), Resting)


def test_who_has_just_worked_is_not_put_to_rest_unless_all_together_are_too_large(
    refining_engine: Engine, open_visit: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit = open_visit(0)
    visits = Visits(refining_engine, lambda _: False, awake=1, idle_seconds=1e6)
    for token in "abc":
        visits.put(token, visit)
        visits.quiet()
    assert [isinstance(visits.peek(token), Resting) for token in "abc"] == [False, False, False]
    monkeypatch.setattr(resting, "MOST_AWAKE_BYTES", 2 * visit.nbytes)
    visits.put("c", visit)
    visits.quiet()
    assert [isinstance(visits.peek(token), Resting) for token in "abc"] == [True, False, False]


def test_large_visits_rest_sooner(
    refining_engine: Engine, open_visit: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit = open_visit(0)
    visits = Visits(refining_engine, lambda _: False, idle_seconds=0)
    monkeypatch.setattr(resting, "AWAKE_BYTES", 2 * visit.nbytes)
    for token in "abc":
        visits.put(token, visit)
        visits.quiet()
    assert [isinstance(visits.peek(token), Resting) for token in "abc"] == [True, False, False]
    monkeypatch.setattr(resting, "AWAKE_BYTES", 0)
    visits.put("d", visit)
    visits.quiet()
    assert [isinstance(visits.peek(token), Resting) for token in "abcd"] == [True, True, True, False]


def test_nothing_of_a_photo_at_rest_is_left_in_the_engine(
    visits: Visits, open_visit: Callable, refining_engine: Engine
) -> None:
    visit = open_visit(5)
    assert refining_engine._memory.knows(visit.portrait.key)
    visits.put("me", visit)
    visits.put("you", open_visit(0))
    visits.quiet()
    assert not refining_engine._memory.knows(visit.portrait.key)


def test_a_visit_that_changed_while_it_was_put_to_rest_is_not_lost(
    visits: Visits, open_visit: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit = open_visit(0)
    later = visit.with_edit(EditRequest({"smile": 1.0}))
    packing, changed = threading.Event(), threading.Event()
    of = Resting.of

    def slow(given: Visit) -> Resting:
        packing.set()
        assert changed.wait(60)
        return of(given)

    monkeypatch.setattr(Resting, "of", slow)
    visits.put("me", visit)
    visits.put("you", visit)
    assert packing.wait(60)
    visits.put("me", later)
    changed.set()
    visits.quiet()
    assert visits.get("me") is later


def test_who_left_while_waking_is_gone(
    visits: Visits, open_visit: Callable, refining_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit = open_visit(0)
    visits.put("me", visit)
    visits.put("you", open_visit(3))
    visits.quiet()
    woken = Resting.woken

    def left(resting: Resting, engine: Engine) -> Visit:
        found = woken(resting, engine)
        visits.drop("me")
        return found

    monkeypatch.setattr(Resting, "woken", left)
    with pytest.raises(SessionExpired):
        visits.get("me")
    assert not refining_engine._memory.knows(visit.portrait.key)
    assert len(visits) == 1


def test_a_photos_own_file_is_enough_where_it_gives_the_same_pixels(photo: np.ndarray) -> None:
    opened = open_photo(encode_png(photo))
    turned = opened.turned(1)
    part = opened.cropped((40, 30, 300, 400)).turned(3)
    for known in (opened, turned, part):
        assert packed(known.pixels, known.original) is None
    for other in (Photo(255 - photo, opened.original), Photo(photo)):
        again = packed(other.pixels, other.original)
        assert again is not None
        assert np.array_equal(open_photo(again).pixels, other.pixels)


def test_the_app_goes_on_with_a_visit_that_rested(
    refining_engine: Engine, photo: np.ndarray, tmp_path: Path
) -> None:
    """The same answers as of a visit that never did; who leaves at rest is gone."""
    handlers = Handlers(refining_engine)
    handlers.visits._awake, handlers.visits._idle_seconds = 1, 0.0
    for token in ("me", "you"):
        save_image(photo, tmp_path / "photo.png")
        list(handlers.open_file(token, SMILE, str(tmp_path / "photo.png")))
        refined(handlers, token)
    handlers.visits.quiet()
    assert isinstance(handlers.visits.peek("me"), Resting)
    answers = [handlers.undo(token, SMILE, False) for token in ("you", "me")]
    assert answers[0][0]["frame"] == answers[1][0]["frame"]
    assert answers[0][1] == answers[1][1]
    handlers.visits.quiet()
    assert isinstance(handlers.visits.peek("you"), Resting)
    handlers.forget("you")
    with pytest.raises(SessionExpired):
        handlers.visits.get("you")
    assert handlers.visits.get("me").cursor == answers[1][0]["history"]["cursor"]
