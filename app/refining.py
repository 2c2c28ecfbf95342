"""Refinements under way: each in a thread of its own, watched from the stage, taken back with one click."""

import dataclasses
import threading
from collections.abc import Iterator

from app.toasts import notify
from core.engine import Engine
from core.errors import OutOfMemory
from core.refinement.running import Progress
from core.session import EditRequest, Portrait, Refine

# How often the stage is told how far a refinement is.
TELL_SECONDS = 0.25


class Run:
    """One refinement of one visitor."""

    def __init__(self, engine: Engine, portrait: Portrait, mode: Refine) -> None:
        self.mode = mode
        self.progress = Progress("Refining")
        self.reached: Portrait | None = None  # with what it has come to so far
        self._engine, self._portrait = engine, portrait
        self._cancelled = threading.Event()
        self._outcome: Portrait | Exception | None = None
        self._thread = threading.Thread(target=self._work, name=f"refine-{mode}", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        def progress(progress: Progress) -> None:
            self.progress = progress

        def preview(reached: Portrait) -> None:
            self.reached = reached

        try:
            self._outcome = self._engine.refine(
                self._portrait, self.mode, progress, self._cancelled.is_set, preview
            )
        # Whatever it is, it belongs to who waits.
        except Exception as error:
            self._outcome = error

    def cancel(self) -> None:
        """Ask it to stop; it does so within a step."""
        self._cancelled.set()

    def watch(self) -> Iterator[None]:
        """Yields every TELL_SECONDS until it has ended."""
        while self._thread.is_alive():
            self._thread.join(TELL_SECONDS)
            if self._thread.is_alive():
                yield

    def result(self) -> Portrait:
        """The refined portrait, once `watch` has ended.

        Raises: whatever ended it, Cancelled for one.
        """
        if isinstance(self._outcome, Exception):
            raise self._outcome
        assert self._outcome is not None
        return self._outcome


class Runs:
    """At most one refinement for each visitor."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self._lock = threading.Lock()

    def put(self, token: str, run: Run) -> None:
        """The visitor's refinement from now on; one before it is cancelled."""
        with self._lock:
            before = self._runs.get(token)
            self._runs[token] = run
        if before is not None:
            before.cancel()

    def get(self, token: str) -> Run | None:
        """What runs for this visitor."""
        return self._runs.get(token)

    def drop(self, token: str) -> bool:
        """Cancel what runs for this visitor, for something else took its place; whether anything did."""
        with self._lock:
            run = self._runs.pop(token, None)
        if run is not None:
            run.cancel()
        return run is not None

    def end(self, token: str, run: Run) -> bool:
        """It is over, or nobody watches it any more; whether it still was the visitor's."""
        run.cancel()
        with self._lock:
            if self._runs.get(token) is not run:
                return False
            del self._runs[token]
            return True


def as_set(engine: Engine, portrait: Portrait, asked: EditRequest) -> tuple[Portrait, EditRequest]:
    """The portrait refined as the toggle says; but best takes a minute, and begins with a click alone.

    Where descent finds the code, fast comes as the portrait gets better: a photo opens before that.
    """
    mode = asked.refine
    if mode == "best" and mode not in portrait.residuals:
        mode = "fast"
    if engine.refinements.get(mode) is not None:
        mode = "off"
    waits = mode == "off" or engine.improves
    try:
        refined = portrait if waits else engine.refine(portrait, mode)
    except OutOfMemory as error:
        notify(error)
        return portrait, dataclasses.replace(asked, refine="off")
    return refined, dataclasses.replace(asked, refine=mode)
