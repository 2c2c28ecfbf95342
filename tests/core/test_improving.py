"""core.improving: a portrait gets better meanwhile, with "fast" as soon as its code is worth it."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from descending import STEPS, Beginner

from core.checkpoints import Bundle
from core.engine import Engine
from core.inversion import seeker
from core.opening import SETTLED_STEPS
from core.refinement.running import Progress
from core.session import Portrait

SOON = 3


@pytest.fixture
def begin(refining_bundle: Bundle) -> Beginner:
    return Beginner(refining_bundle.generator)


@pytest.fixture
def engine(refining_bundle: Bundle, begin: Beginner, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """Opens by descent, though its refiner asks an encoder, which takes no time."""
    monkeypatch.setattr(seeker, "TOLD_SECONDS", 0.0)
    monkeypatch.setitem(SETTLED_STEPS, "fast", SOON)
    monkeypatch.setitem(SETTLED_STEPS, "best", STEPS)
    engine = Engine(refining_bundle, descent=begin)
    engine._precedence._quiet = 0.0
    yield engine
    engine.close()


@pytest.fixture
def portrait(engine: Engine, photo: np.ndarray) -> Portrait:
    return engine.open_portrait(photo, seconds=0)


def modes(portraits: list[Portrait]) -> list[str]:
    return ["+".join(sorted(portrait.residuals)) for portrait in portraits]


def test_fast_comes_soon_and_anew_for_the_code_of_the_end(
    engine: Engine, begin: Beginner, portrait: Portrait, photo: np.ndarray
) -> None:
    told: list[Portrait] = []
    steps: list[int] = []

    def better(found: Portrait) -> None:
        told.append(found)
        steps.append(begin.begun[0].steps)

    last = engine.improve(portrait, 1e6, better, refined=True)
    soon, end = told[-2:]
    assert modes(told) == [""] * (len(told) - 2) + ["fast", "fast"]
    assert steps[-2] == SOON
    assert steps[-1] > STEPS
    assert last is end
    assert not torch.equal(soon.w_plus, end.w_plus)
    for found in (soon, end):
        plain = dataclasses.replace(found, residuals={}, bases={})
        again = engine.refine(plain, "fast")
        assert torch.equal(again.w_plus, found.w_plus)
        assert torch.equal(again.bases["fast"], found.bases["fast"])
    known = engine.open_portrait(photo)
    assert torch.equal(known.w_plus, end.w_plus)
    assert modes([known]) == ["fast"]
    assert engine.improve(end, 1e6, refined=True) is end  # nothing is left to gain


def test_who_does_not_want_it_has_codes_alone(engine: Engine, portrait: Portrait) -> None:
    told: list[Portrait] = []
    last = engine.improve(portrait, 1e6, told.append)
    assert not any(modes([*told, last]))


def test_what_fast_was_found_for_is_not_what_best_begins_with(
    engine: Engine, begin: Beginner, portrait: Portrait
) -> None:
    fast = engine.refine(portrait, "fast")
    assert begin.begun[0].steps == SOON
    told: list[Progress] = []
    best = engine.refine(fast, "best", told.append)
    assert begin.begun[0].steps == STEPS
    assert modes([best]) == ["best+fast"]
    assert not torch.equal(best.w_plus, fast.w_plus)
    assert not torch.equal(best.bases["fast"], fast.bases["fast"])
    assert told[0].step == "Finding the face"
    assert engine.improve(best, 1e6, refined=True) is best


def test_a_cancelled_one_keeps_what_it_has(engine: Engine, begin: Beginner, portrait: Portrait) -> None:
    stopped = engine.improve(
        portrait, 1e6, refined=True, cancelled=lambda: bool(begin.begun) and begin.begun[0].steps >= SOON
    )
    assert modes([stopped]) == [""]
    fast = engine.refine(portrait, "fast")
    assert engine.improve(fast, 1e6, refined=True, cancelled=lambda: True) is fast
