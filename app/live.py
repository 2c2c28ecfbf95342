"""Small pieces of scheduling: the newest frame alone counts, hands at rest, jobs that tell their steps."""

import math
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")
Said = TypeVar("Said")

# Visitors whose frame counter is kept; beyond it the one idle for longest starts anew.
MAX_TRACKED = 1024
# A slider that moved so lately is taken to be in hand; the page tells of a pause much sooner.
HAND_SECONDS = 1.0


@dataclass
class _Lane:
    newest: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)


class LatestWins:
    """One job at a time for each visitor; of those waiting, only the newest runs.

    Slider events bypass Gradio's queue, so this is what keeps a fast hand (or a script) from piling
    up work: an overtaken job returns None at once when its turn comes.
    """

    def __init__(self) -> None:
        self._lanes: OrderedDict[str, _Lane] = OrderedDict()
        self._lock = threading.Lock()

    def run(self, token: str, job: Callable[[], T]) -> T | None:
        """The job's result, or None if a newer job of the same visitor came meanwhile."""
        lane, ticket = self._enter(token)
        with lane.lock:
            return job() if ticket == lane.newest else None

    def alone(self, token: str) -> AbstractContextManager[bool]:
        """While it is held, no job of this visitor runs, nor another's that holds it; may be nested."""
        with self._lock:
            return self._lane(token).lock

    def forget(self, token: str) -> None:
        """Drop a visitor's lane."""
        with self._lock:
            self._lanes.pop(token, None)

    def _enter(self, token: str) -> tuple[_Lane, int]:
        with self._lock:
            lane = self._lane(token)
            lane.newest += 1
            return lane, lane.newest

    def _lane(self, token: str) -> _Lane:
        lane = self._lanes.setdefault(token, _Lane())
        self._lanes.move_to_end(token)
        if len(self._lanes) > MAX_TRACKED:
            self._lanes.popitem(last=False)
        return lane


class Hands:
    """Who has a slider in hand: whose last frame was asked for less than HAND_SECONDS ago. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._moved: dict[str, float] = {}

    def move(self, token: str) -> None:
        """A slider moves now."""
        now = self._clock()
        with self._lock:
            self._moved = {who: then for who, then in self._moved.items() if now - then < HAND_SECONDS}
            self._moved[token] = now

    def rest(self, token: str) -> None:
        """The hand rests, or is gone."""
        with self._lock:
            self._moved.pop(token, None)

    def busy(self, token: str) -> bool:
        """Whether this visitor has a slider in hand."""
        return self._clock() - self._moved.get(token, -math.inf) < HAND_SECONDS


def with_steps(job: Callable[[Callable[[str], None]], T]) -> Generator[str, None, T]:
    """Run `job(progress)` in a thread; yield each step that it names, return its result.

    An exception of the job is raised here.
    """
    steps: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    outcome: list[T] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            outcome.append(job(steps.put))
        # Whatever it is, it belongs to the thread that waits.
        except BaseException as error:
            failure.append(error)
        finally:
            steps.put(None)

    threading.Thread(target=work, name="open-portrait", daemon=True).start()
    while (step := steps.get()) is not None:
        yield step
    if failure:
        raise failure[0]
    return outcome[0]


def told(job: Generator[str, None, T], say: Callable[[str], Said]) -> Generator[Said, None, T]:
    """A generator of steps, each of them as it is said; returns what that returns."""
    while True:
        try:
            step = next(job)
        except StopIteration as done:
            return done.value
        yield say(step)
