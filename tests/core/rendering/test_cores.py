"""Who computes on all cores, in a process of its own: the counts are the whole process'."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from core.rendering.cores import SideBySide

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = """
import threading
from concurrent.futures import ThreadPoolExecutor
import torch
from core.rendering.cores import SideBySide
from core.rendering.device_thread import DeviceThread

def cores():
    torch.ones(300_000) + 1  # large enough for a team
    return torch.get_num_threads()

def elsewhere():
    with ThreadPoolExecutor(1) as other:
        return other.submit(cores).result()

given = threading.Thread(target=torch.set_num_threads, args=(4,))  # whatever machine this is
given.start()
given.join()
thread = DeviceThread()
told = [thread.run(cores), cores(), elsewhere(), DeviceThread().run(cores), elsewhere(), thread.run(cores)]
print(*told, *SideBySide().run(cores, cores), elsewhere())
"""


def test_a_devices_thread_has_all_cores_and_others_have_one() -> None:
    ran = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["4", "1", "1", "4", "1", "4", "2", "2", "1"]


def test_two_jobs_run_side_by_side_in_threads_that_stay() -> None:
    beside, both = SideBySide(), threading.Barrier(2)

    def job() -> int:
        both.wait(30)  # or it breaks
        return threading.get_ident()

    first, second = beside.run(job, job)
    assert first != second
    assert beside.run(job, job) == (first, second)


def test_an_exception_comes_once_both_have_ended() -> None:
    ended = threading.Event()

    def slow() -> None:
        time.sleep(0.2)
        ended.set()

    with pytest.raises(ZeroDivisionError):
        SideBySide().run(lambda: 1 // 0, slow)
    assert ended.is_set()
