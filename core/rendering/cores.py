"""Who computes on how many cores: a device's thread on all, jobs side by side on half, others on one.

OpenMP gives every thread that computes on several cores a team of its own.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import torch

T = TypeVar("T")

_claiming = threading.Lock()
_cores = 0


def claim_cores(parts: int = 1) -> None:
    """This thread computes on one of so many parts of the cores, each that has not computed yet will on one.

    Once there are more threads in teams than cores, a team goes to sleep between two operations instead of
    waiting for the next: on two cores a picture of 1024 px then takes half as long again. So nobody has a
    team who does not need one.
    """
    global _cores
    with _claiming:
        # Asked first, always: a thread that was never asked takes its count anew when it begins to compute.
        _cores = max(_cores, torch.get_num_threads())
        torch.set_num_threads(max(1, _cores // parts))
        # That set what threads begin with, too, and so does this.
        other = threading.Thread(target=torch.set_num_threads, args=(1,))
        other.start()
        other.join()


class SideBySide:
    """Runs two jobs at a time, each on half of the cores.

    On two cores they wait for nobody, where a team would at every operation: as fast alone, and more than
    twice as fast where other programs want the cores, too.
    """

    def __init__(self) -> None:
        self._halves = [ThreadPoolExecutor(1, "half", lambda: claim_cores(2)) for _ in range(2)]

    def run(self, one: Callable[[], T], other: Callable[[], T]) -> tuple[T, T]:
        """Both results; an exception once both have ended."""
        both = [half.submit(job) for half, job in zip(self._halves, (one, other), strict=True)]
        wait(both)
        return both[0].result(), both[1].result()
