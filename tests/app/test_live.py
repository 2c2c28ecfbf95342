"""Frames of which only the newest counts, and jobs that tell their steps."""

import threading
from collections.abc import Callable

import pytest

from app import live
from app.live import HAND_SECONDS, Hands, LatestWins, told, with_steps
from core.errors import NoFaceFound


def test_of_those_waiting_only_the_newest_runs() -> None:
    lane, started, release = LatestWins(), threading.Event(), threading.Event()
    results: dict[int, str | None] = {}

    def slow() -> str:
        started.set()
        release.wait(30)
        return "first"

    def ask(number: int, job: Callable[[], str]) -> None:
        results[number] = lane.run("visitor", job)

    threads = [threading.Thread(target=ask, args=(0, slow))]
    threads[0].start()
    assert started.wait(30)
    for number in (1, 2, 3):
        threads.append(threading.Thread(target=ask, args=(number, lambda n=number: f"job {n}")))
        threads[-1].start()
        # Each must have drawn its ticket before the next one comes.
        while lane._lanes["visitor"].newest < number + 1:
            pass
    release.set()
    for thread in threads:
        thread.join(30)
    assert results == {0: "first", 1: None, 2: None, 3: "job 3"}


def test_visitors_do_not_wait_for_each_other() -> None:
    lane = LatestWins()
    inner: list[str | None] = []
    outer = lane.run("one", lambda: inner.append(lane.run("other", lambda: "inside")) or "outside")
    assert (outer, inner) == ("outside", ["inside"])


def test_who_is_alone_waits_and_lets_others_wait() -> None:
    lane, began, order = LatestWins(), threading.Event(), []

    def job() -> None:
        began.set()
        order.append("job")

    with lane.alone("visitor"), lane.alone("visitor"):
        thread = threading.Thread(target=lane.run, args=("visitor", job))
        thread.start()
        while lane._lanes["visitor"].newest < 1:
            pass
        assert not began.wait(0.1)
        order.append("alone")
        assert lane.run("other", lambda: "goes on") == "goes on"
    thread.join(30)
    assert order == ["alone", "job"]
    with pytest.raises(ZeroDivisionError), lane.alone("visitor"):
        1 / 0  # noqa: B018
    assert lane.run("visitor", lambda: "after") == "after"


def test_lanes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAX_TRACKED", 3)
    lane = LatestWins()
    for number in range(10):
        lane.run(str(number), lambda: None)
    assert list(lane._lanes) == ["7", "8", "9"]


def test_a_slider_is_in_hand_until_it_rests_or_moved_long_ago() -> None:
    now = [100.0]
    hands = Hands(clock=lambda: now[0])
    assert not hands.busy("me")
    hands.move("me")
    now[0] += 0.9 * HAND_SECONDS
    hands.move("you")
    assert hands.busy("me")
    now[0] += 0.2 * HAND_SECONDS
    assert (hands.busy("me"), hands.busy("you")) == (False, True)
    hands.rest("you")
    assert not hands.busy("you")


def test_hands_that_moved_long_ago_are_not_remembered() -> None:
    now = [100.0]
    hands = Hands(clock=lambda: now[0])
    for number in range(10):
        hands.move(str(number))
        now[0] += 0.6 * HAND_SECONDS
    assert set(hands._moved) == {"8", "9"}


def test_steps_come_before_the_result() -> None:
    def job(progress: Callable[[str], None]) -> int:
        progress("Aligning")
        progress("Inverting")
        return 7

    seen: list[str] = []

    def collect():
        seen.append((yield from with_steps(job)))

    assert list(collect()) == ["Aligning", "Inverting"]
    assert list(told(collect(), str.upper)) == ["ALIGNING", "INVERTING"]
    assert seen == [7, 7]


def test_a_jobs_error_is_raised_where_it_was_asked_for() -> None:
    def job(progress: Callable[[str], None]) -> None:
        progress("Finding faces")
        raise NoFaceFound("Nobody here.")

    steps = with_steps(job)
    assert next(steps) == "Finding faces"
    with pytest.raises(NoFaceFound, match="Nobody here"):
        next(steps)
