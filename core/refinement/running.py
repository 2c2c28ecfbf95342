"""How a refinement runs: progress, cancelling, one long one at a time, memory errors as a sentence."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch

from core.errors import Cancelled, OutOfMemory

# How often somebody who waits for another's refinement looks whether to go on waiting.
PATIENCE_SECONDS = 0.2


@dataclass(frozen=True)
class Progress:
    """How far a refinement is.

    step: for the visitor to read; done: the share of the work in [0, 1]; seconds_left: None while unknown.
    """

    step: str
    done: float = 0.0
    seconds_left: float | None = None


@dataclass(frozen=True)
class Watcher:
    """Who waits for a refinement: is told how far it is, and is asked whether to go on."""

    progress: Callable[[Progress], None] = lambda _: None
    cancelled: Callable[[], bool] = lambda: False
    started: float = field(default_factory=time.monotonic)

    def check(self) -> None:
        """Raises: Cancelled."""
        if self.cancelled():
            raise Cancelled("The refinement was cancelled; the picture is as it was.")

    def count(self, done: int, total: int) -> None:
        """Tell that `done` of `total` steps are over since `started`."""
        left = (time.monotonic() - self.started) / done * (total - done) if done else None
        self.progress(Progress("Refining", done / total, left))


class Turns:
    """Lets one through at a time; those who wait are told so, and may give up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def take(self, watcher: Watcher) -> Iterator[None]:
        """Hold the turn. Raises: Cancelled while waiting."""
        while not self._lock.acquire(timeout=PATIENCE_SECONDS):
            watcher.progress(Progress("Waiting for another portrait"))
            watcher.check()
        try:
            yield
        finally:
            self._lock.release()


@contextlib.contextmanager
def memory_errors() -> Iterator[None]:
    """Turn every way in which torch says that memory is short into OutOfMemory."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError
        words = str(error).lower()
        named = "defaultcpuallocator" in words or "not enough memory" in words
        if not (named or isinstance(error, MemoryError | torch.OutOfMemoryError)):
            raise
        raise OutOfMemory(
            "There is not enough memory for this refinement; the picture is as it was, without it."
        ) from error
