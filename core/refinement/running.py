"""How long work runs: progress, cancelling, one at a time, after what visitors wait for, memory errors."""

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch

from core.errors import Cancelled, OutOfMemory

# How often somebody who waits for another's refinement looks whether to go on waiting.
PATIENCE_SECONDS = 0.2
# A hand on a slider asks for the next picture soon after the last: until then nobody else begins.
QUIET_SECONDS = 0.7
# Who is waited for, too, begins sooner, and in any case after so long.
SHORT_QUIET_SECONDS, LONGEST_SECONDS = 0.1, 0.25


@dataclass(frozen=True)
class Progress:
    """How far it is.

    step: for the visitor to read; done: the share of the work in [0, 1]; seconds_left: None while unknown.
    """

    step: str
    done: float = 0.0
    seconds_left: float | None = None


@dataclass(frozen=True)
class Watcher:
    """Who waits for something long: is told how far it is, and is asked whether to go on.

    what: a word for it.
    """

    progress: Callable[[Progress], None] = lambda _: None
    cancelled: Callable[[], bool] = lambda: False
    started: float = field(default_factory=time.monotonic)
    what: str = "refinement"

    def check(self) -> None:
        """Raises: Cancelled."""
        if self.cancelled():
            raise Cancelled(f"The {self.what} was cancelled; the picture is as it was.")

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


class Precedence:
    """Lets what visitors wait for go first: what nobody waits for begins in the pauses between."""

    def __init__(self, quiet_seconds: float = QUIET_SECONDS) -> None:
        self._changed = threading.Condition()
        self._first, self._last = 0, -math.inf  # how many are under way; when the last of them ended
        self._quiet = quiet_seconds

    @contextlib.contextmanager
    def first(self) -> Iterator[None]:
        """Somebody waits for what is done meanwhile."""
        with self._changed:
            self._first += 1
        try:
            yield
        finally:
            with self._changed:
                self._first -= 1
                self._last = time.monotonic()
                self._changed.notify_all()

    def wait(self, cancelled: Callable[[], bool]) -> bool:
        """Wait until nobody has waited for anything for a moment; False as soon as it is cancelled."""
        return self._wait(cancelled, self._quiet, math.inf)

    def wait_shortly(self, cancelled: Callable[[], bool]) -> None:
        """The same for whom somebody waits, too: a shorter moment, and not for ever."""
        self._wait(cancelled, SHORT_QUIET_SECONDS, LONGEST_SECONDS)

    def _wait(self, cancelled: Callable[[], bool], quiet: float, most: float) -> bool:
        end = time.monotonic() + most
        with self._changed:
            while not cancelled():
                now = time.monotonic()
                left = self._last + quiet - now
                if now >= end or (not self._first and left <= 0):
                    return True
                self._changed.wait(
                    min(PATIENCE_SECONDS if self._first else left, PATIENCE_SECONDS, end - now)
                )
        return False


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
