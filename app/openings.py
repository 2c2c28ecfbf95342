"""Openings under way: of each visitor's only the newest is waited for, and nothing stays of the others."""

import contextlib
import threading
from collections.abc import Callable, Generator, Iterator
from typing import TypeVar

import numpy as np

from app import messages
from app.improving import FIRST_SECONDS, FIRST_STEPS
from app.live import told
from app.messages import Message
from app.visits import Visit
from core.engine import Engine
from core.errors import Cancelled, SessionExpired
from core.projects.project import Project
from core.projects.restoring import Restored, restore
from core.session import Portrait, SessionStore

Steps = Callable[[str], None]
T = TypeVar("T")


class Opening:
    """One opening of one visitor, in whatever threads. What it opens soon may get better later."""

    def __init__(self, engine: Engine, visits: SessionStore[Visit], token: str) -> None:
        self._engine, self._visits, self._token = engine, visits, token
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Nobody waits for it any more."""
        self._cancelled.set()

    def photo(self, photo: np.ndarray, face: int, seed: int | None, progress: Steps) -> Portrait:
        """A face of (H, W, 3) uint8; seed: of the face that the photo is, where the model made it.

        Raises: as `Engine.open_portrait`.
        """
        if seed is not None:
            portrait = self._engine.open_generated(seed)
        else:
            portrait = self._engine.open_portrait(
                photo,
                face,
                progress,
                seconds=FIRST_SECONDS,
                cancelled=self._cancelled.is_set,
                steps=FIRST_STEPS,
            )
        self.check(portrait)
        return portrait

    def project(self, project: Project, progress: Steps) -> Restored:
        """A project, as this model has it. Raises: as `restore`."""
        restored = restore(
            self._engine, project, progress, seconds=FIRST_SECONDS, cancelled=self._cancelled.is_set
        )
        self.check(restored.portrait)
        return restored

    def check(self, portrait: Portrait) -> None:
        """Raises: Cancelled where nobody waits for this portrait any more; nothing of it stays then."""
        if self._cancelled.is_set():
            let_go(self._engine, self._visits, self._token, portrait)
            raise Cancelled("The opening was cancelled; the picture is as it was.")


class Openings:
    """The opening of each visitor, while it lasts. Thread-safe."""

    def __init__(self, engine: Engine, visits: SessionStore[Visit]) -> None:
        self._engine, self._visits = engine, visits
        self._running: dict[str, Opening] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def one(self, token: str) -> Iterator[Opening]:
        """An opening that ends with the block, if nothing ends it before; one before it has had its time."""
        opening = Opening(self._engine, self._visits, token)
        with self._lock:
            before = self._running.get(token)
            self._running[token] = opening
        if before is not None:
            before.cancel()
        try:
            yield opening
        finally:
            opening.cancel()
            with self._lock:
                if self._running.get(token) is opening:
                    del self._running[token]

    def drop(self, token: str) -> None:
        """Nobody waits for this visitor's opening any more."""
        with self._lock:
            opening = self._running.pop(token, None)
        if opening is not None:
            opening.cancel()

    def __len__(self) -> int:
        return len(self._running)


def let_go(engine: Engine, visits: SessionStore[Visit], token: str, portrait: Portrait) -> None:
    """Forget a portrait's photo, unless it is the one that the visitor has open."""
    try:
        if visits.get(token).portrait.key.photo == portrait.key.photo:
            return
    except SessionExpired:
        pass
    engine.forget(portrait)


def as_told(opening: Generator[str, None, T], known: Message) -> Generator[tuple[Message, None], None, T]:
    """The steps of an opening as messages for the stage; returns what was opened."""
    return told(opening, lambda step: (messages.opening(known, step), None))
