"""Clips for visitors: one is made at a time, however many are asked for; who waits is told how far it is."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from app import messages
from app.downloads import asked_of
from app.messages import Message
from app.references import References
from app.toasts import toast
from app.visits import Visit
from core.clips import ClipOrder, clip
from core.engine import Engine
from core.errors import VisagistError
from core.pictures.moving import TYPES
from core.refinement.running import Progress, Turns, Watcher
from core.session import SessionStore

# What may be said of a clip in a payload, as `ClipOrder` has it.
_WISHES = ("kind", "slider", "picture")


@dataclass
class _Making:
    """A visitor's clip, while it is made."""

    progress: Progress = Progress("Making the clip")  # noqa: RUF009  # frozen
    cancelled: threading.Event = field(default_factory=threading.Event)


class Clips:
    """Called by the stage itself, so that answers carry errors too. Thread-safe."""

    def __init__(self, engine: Engine, visits: SessionStore[Visit], references: References) -> None:
        self._engine, self._visits, self._references = engine, visits, references
        self._turns, self._lock = Turns(), threading.Lock()
        self._making: dict[str, _Making] = {}

    def clip(self, payload: object) -> Message:
        """The edit on the stage as a clip's file, when it is made; a visitor's earlier one is given up.

        payload: {"token", "request": as in a message, and what a `ClipOrder` says}.
        """
        try:
            token, request, visit = asked_of(payload, self._visits, self._references)
            said = payload if isinstance(payload, Mapping) else {}
            order = ClipOrder(**{wish: said[wish] for wish in _WISHES if wish in said})
            making = _Making()
            self._begin(token, making)
            try:
                watcher = Watcher(
                    lambda told: setattr(making, "progress", told),
                    lambda: making.cancelled.is_set() or self._visits.peek(token) is None,
                    what="clip",
                )
                with self._turns.take(watcher):
                    seen, others = visit.portrait.shown(request), [other.edits for other in visit.others]
                    made = clip(self._engine, (visit.portrait,), seen, order, watcher, others)
            finally:
                self._end(token, making)
            file = messages.file(made.data, order.file_name(visit.stem), TYPES[order.kind])
            return {**file, "said": made.said}
        except VisagistError as error:
            return {"error": str(error)}
        except Exception as error:
            return {"error": toast(error).message}

    def progress(self, payload: object) -> Message:
        """How far a visitor's clip is: {"step", "done": in [0, 1]}; empty where none is made.

        payload: {"token"} and, where it is not wanted any more, {"cancel": True}.
        """
        said = payload if isinstance(payload, Mapping) else {}
        with self._lock:
            making = self._making.get(str(said.get("token")))
        if making is None:
            return {}
        if said.get("cancel") is True:
            making.cancelled.set()
        return {"step": making.progress.step, "done": making.progress.done}

    def _begin(self, token: str, making: _Making) -> None:
        with self._lock:
            before = self._making.get(token)
            self._making[token] = making
        if before is not None:
            before.cancelled.set()

    def _end(self, token: str, making: _Making) -> None:
        with self._lock:
            if self._making.get(token) is making:
                del self._making[token]
