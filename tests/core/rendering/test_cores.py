"""Who computes on all cores, in a process of its own: the counts are the whole process'."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = """
import threading
from concurrent.futures import ThreadPoolExecutor
import torch
from core.rendering.device_thread import DeviceThread

def cores():
    torch.ones(300_000) + 1  # large enough for a team
    return torch.get_num_threads()

def elsewhere():
    with ThreadPoolExecutor(1) as other:
        return other.submit(cores).result()

given = threading.Thread(target=torch.set_num_threads, args=(3,))  # whatever machine this is
given.start()
given.join()
thread = DeviceThread()
told = [thread.run(cores), cores(), elsewhere(), DeviceThread().run(cores), elsewhere(), thread.run(cores)]
print(*told)
"""


def test_a_devices_thread_has_all_cores_and_others_have_one() -> None:
    ran = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["3", "1", "1", "3", "1", "3"]
