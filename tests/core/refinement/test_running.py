import threading
import time

import pytest
import torch

from core.errors import Cancelled, OutOfMemory
from core.refinement import running
from core.refinement.running import Precedence, Progress, Turns, Watcher, memory_errors


def test_the_time_left_follows_from_the_time_used() -> None:
    told: list[Progress] = []
    watcher = Watcher(told.append, started=time.monotonic() - 20)
    watcher.count(0, 100)
    watcher.count(25, 100)
    assert told[0] == Progress("Refining", 0.0, None)
    assert told[1].done == 0.25
    assert told[1].seconds_left == pytest.approx(60, abs=3)


def test_who_waits_is_told_and_gets_the_turn_when_the_other_is_done() -> None:
    turns, release, told, order = Turns(), threading.Event(), [], []
    waits = threading.Event()

    def first() -> None:
        with turns.take(Watcher()):
            order.append("first")
            holds.set()
            release.wait(30)

    def second() -> None:
        def progress(message: Progress) -> None:
            told.append(message)
            waits.set()

        with turns.take(Watcher(progress)):
            order.append("second")

    holds = threading.Event()
    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert holds.wait(30)
    threads[1].start()
    assert waits.wait(30)
    assert order == ["first"]
    release.set()
    for thread in threads:
        thread.join(30)
    assert order == ["first", "second"]
    assert told[0] == Progress("Waiting for another portrait")


def test_who_waits_may_give_up_and_the_turn_survives_a_failure() -> None:
    turns = Turns()
    impatient = Watcher(cancelled=lambda: True)
    with turns.take(Watcher()), pytest.raises(Cancelled, match="as it was"), turns.take(impatient):
        pytest.fail("two at a time")
    with pytest.raises(ZeroDivisionError), turns.take(Watcher()):
        raise ZeroDivisionError
    with turns.take(impatient):
        pass  # nobody to wait for


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory"
        ),
        RuntimeError("not enough memory: you tried to allocate 7 bytes"),
        MemoryError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_memory_errors_become_one_sentence(error: Exception) -> None:
    with pytest.raises(OutOfMemory, match="not enough memory") as caught, memory_errors():
        raise error
    assert "\n" not in str(caught.value)


def test_torchs_own_refusal_is_recognised() -> None:
    with pytest.raises(OutOfMemory), memory_errors():
        torch.empty(2**60)


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes"), memory_errors():
        raise RuntimeError("shapes cannot be multiplied")


def test_what_nobody_waits_for_begins_in_a_pause() -> None:
    precedence, began = Precedence(quiet_seconds=0.0), threading.Event()

    def background() -> None:
        if precedence.wait(lambda: False):
            began.set()

    thread = threading.Thread(target=background, daemon=True)
    with precedence.first():
        with precedence.first():
            thread.start()
        assert not began.wait(0.3)  # one is still under way
    assert began.wait(30)
    thread.join(30)


def test_a_moment_after_the_last_picture_still_belongs_to_the_hand() -> None:
    precedence, asked = Precedence(quiet_seconds=1e6), []
    with precedence.first():
        pass
    assert not precedence.wait(lambda: asked.append(1) or len(asked) > 2)
    assert len(asked) == 3
    assert Precedence(quiet_seconds=1e6).wait(lambda: False)  # where nothing was ever asked for


def test_who_is_waited_for_waits_for_pictures_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    precedence, began = Precedence(quiet_seconds=1e6), threading.Event()

    def waiting() -> None:
        precedence.wait_shortly(lambda: False)
        began.set()

    monkeypatch.setattr(running, "LONGEST_SECONDS", 1e6)
    thread = threading.Thread(target=waiting, daemon=True)
    with precedence.first():
        thread.start()
        assert not began.wait(0.3)
    assert began.wait(30)

    monkeypatch.setattr(running, "LONGEST_SECONDS", 0.01)
    with precedence.first():
        waiting()
