"""Who has left is forgotten, and who was only away for a moment is not."""

import threading

import pytest

from app.leaving import Leaving


class Forgetting:
    """What is told to forget, and when something is."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.told = threading.Event()

    def __call__(self, token: str) -> None:
        self.tokens.append(token)
        self.told.set()


@pytest.fixture
def forgetting() -> Forgetting:
    return Forgetting()


def test_who_leaves_is_forgotten_once(forgetting: Forgetting) -> None:
    leaving = Leaving(forgetting, seconds=0)
    leaving.leave("me")
    assert forgetting.told.wait(30)
    assert forgetting.tokens == ["me"]
    assert not leaving._timers


def test_who_is_back_is_not(forgetting: Forgetting) -> None:
    leaving = Leaving(forgetting, seconds=1e6)
    leaving.leave("me")
    (timer,) = leaving._timers.values()
    leaving.back("me")
    assert timer.finished.is_set()
    timer.function(*timer.args)  # its time had come just before
    assert forgetting.tokens == []


def test_a_connection_that_ends_twice_counts_from_its_last_end(forgetting: Forgetting) -> None:
    leaving = Leaving(forgetting, seconds=1e6)
    leaving.leave("me")
    (first,) = leaving._timers.values()
    leaving.leave("me")
    assert first.finished.is_set()
    (second,) = leaving._timers.values()
    first.function(*first.args)  # too late: it is not the one that counts
    assert forgetting.tokens == []
    assert list(leaving._timers.values()) == [second]
    leaving.back("me")
