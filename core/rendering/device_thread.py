"""The one thread in which a device computes."""

import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from core.rendering.cores import claim_cores

T = TypeVar("T")


class Runs(Protocol):
    """Where a job runs; returns its result, raises its exception."""

    def __call__(self, job: Callable[[], T]) -> T: ...


def at_once(job: Callable[[], T]) -> T:
    """In the caller's own thread."""
    return job()


class DeviceThread:
    """Runs one job after the other, in the order in which they came.

    Always in the same thread, which alone computes on all cores (`claim_cores`).
    """

    def __init__(self) -> None:
        here = self._here = threading.local()
        # No method of its own: a thread that knows this object would keep it from ever going.
        self._executor = ThreadPoolExecutor(1, "device", functools.partial(_begin, here))

    def run(self, job: Callable[[], T]) -> T:
        """The job's result or exception; at once if this is the thread already."""
        if getattr(self._here, "mine", False):
            return job()
        return self._executor.submit(job).result()


def _begin(here: threading.local) -> None:
    here.mine = True
    claim_cores()
