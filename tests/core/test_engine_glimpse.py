"""Pictures that nobody waits for: the same as an edit's, after what others wait for."""

import threading

import numpy as np
import pytest

from core.checkpoints import Bundle
from core.engine import Engine
from core.session import EditRequest, Portrait, View

SMILE = EditRequest({"smile": 1.5}, view=View("photo", "face"))
VIEWS = [View(start, output) for start in ("inversion", "photo") for output in ("face", "photo")]


@pytest.fixture(scope="module")
def engine(tiny_bundle: Bundle) -> Engine:
    made = Engine(tiny_bundle)
    made._precedence._quiet = 0.0
    return made


@pytest.fixture(scope="module")
def portrait(engine: Engine, photo: np.ndarray) -> Portrait:
    return engine.open_portrait(photo)


@pytest.mark.parametrize("view", VIEWS)
def test_a_glimpse_is_the_edit(engine: Engine, portrait: Portrait, view: View) -> None:
    request = EditRequest({"smile": 1.5}, view=view)
    found = engine.glimpse(portrait, request, lambda: False)
    assert found is not None
    np.testing.assert_array_equal(found, engine.edit(portrait, request))


def test_it_waits_while_somebody_waits_and_holds_nobody_up(engine: Engine, portrait: Portrait) -> None:
    found: list[np.ndarray | None] = []
    waits = threading.Thread(target=lambda: found.append(engine.glimpse(portrait, SMILE, lambda: False)))
    with engine._precedence.first():
        waits.start()
        waits.join(0.3)
        assert waits.is_alive()
        edited = engine.edit(portrait, SMILE)  # goes ahead meanwhile
    waits.join(60)
    np.testing.assert_array_equal(found[0], edited)


def test_one_that_is_not_wanted_any_more_is_none(engine: Engine, portrait: Portrait) -> None:
    with engine._precedence.first():
        assert engine.glimpse(portrait, SMILE, lambda: True) is None
