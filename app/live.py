"""Two small pieces of scheduling: frames where only the newest counts, and a job that tells its steps."""

import queue
import threading
from collections import OrderedDict
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")

# Visitors whose frame counter is kept; beyond it the one idle for longest starts anew.
MAX_TRACKED = 1024


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
