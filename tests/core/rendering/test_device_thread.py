import gc
import threading
import time
import weakref

import pytest

from core.rendering.device_thread import DeviceThread


def test_all_jobs_run_in_one_thread_of_their_own() -> None:
    thread = DeviceThread()
    seen: list[int] = []
    callers = [
        threading.Thread(target=lambda: seen.append(thread.run(threading.get_ident))) for _ in range(5)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(seen) == 5
    assert set(seen) == {thread.run(threading.get_ident)}
    assert threading.get_ident() not in seen
    assert threading.get_ident() != DeviceThread().run(threading.get_ident) != seen[0]


def test_one_job_at_a_time() -> None:
    thread = DeviceThread()
    running: list[int] = []
    most: list[int] = []

    def job() -> None:
        running.append(1)
        most.append(len(running))
        time.sleep(0.01)
        running.pop()

    callers = [threading.Thread(target=thread.run, args=(job,)) for _ in range(5)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert most == [1] * 5


def test_a_job_may_ask_for_another() -> None:
    thread = DeviceThread()
    assert thread.run(lambda: thread.run(lambda: 3) + 1) == 4


def test_an_exception_is_the_callers_and_the_next_job_runs() -> None:
    thread = DeviceThread()
    with pytest.raises(ZeroDivisionError):
        thread.run(lambda: 1 // 0)
    assert thread.run(lambda: "still here") == "still here"


def test_it_goes_with_its_last_user() -> None:
    thread = DeviceThread()
    worker = thread.run(threading.current_thread)
    gone = weakref.ref(thread)
    del thread
    gc.collect()
    assert gone() is None
    worker.join(5)
    assert not worker.is_alive()
