"""The Refine toggle: what is found is shown at once, the rest computed, and the page told how far it is."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from app import messages
from app.improving import Improver, Update, previewed
from app.messages import Message
from app.refining import Run, Runs
from app.toasts import notify
from app.visits import Visit
from core.engine import Engine
from core.session import EditRequest, Portrait, Refine, SessionStore

# A message, and where the toggle is to stand (None: leave it alone).
Refined = tuple[Message, str | None]


class Seen(Protocol):
    """What to edit for a request of a visit, and as which request; live: while the hand moves."""

    def __call__(
        self, token: str, visit: Visit, request: EditRequest, asked: Refine, live: bool = False
    ) -> tuple[Portrait, EditRequest]: ...


class Show(Protocol):
    """Change a visit, and the picture of a request as a message with more in it."""

    def __call__(
        self, token: str, change: Callable[[Visit], Visit], asked: EditRequest, **more: Any
    ) -> Message: ...


class Toggle:
    """The refinements that visitors ask for, one for each. Keeps nothing itself."""

    def __init__(
        self,
        engine: Engine,
        visits: SessionStore[Visit],
        runs: Runs,
        improver: Improver,
        update: Update,
        seen: Seen,
        show: Show,
    ) -> None:
        self._engine, self._visits, self._runs, self._improver = engine, visits, runs, improver
        self._update, self._seen, self._show = update, seen, show

    def refine(self, token: str, asked: EditRequest) -> Iterator[Refined]:
        """The toggle was moved: show the refinement; if this face has none, compute it, telling how far."""
        self._runs.drop(token)
        self._improver.settled(token)
        if asked.refine == "fast" and self._improver.get(token) is not None:  # which finds it
            self._update(token, lambda visit: visit.with_edit(asked))
        if self._visits.get(token).possible(asked) == asked:
            yield self._show(token, lambda visit: visit.with_edit(asked), asked, refining=False), None
            return
        self._improver.drop(token)  # what is refined is the portrait as it is now
        visit = self._update(token, lambda visit: visit.with_edit(visit.possible(asked)))
        run = Run(self._engine, visit.portrait, asked.refine)
        self._runs.put(token, run)
        try:
            yield from self._watched(token, run)
            if not self._runs.end(token, run):
                return  # the visitor has gone on to something else
            refined = run.result()
        except Exception as error:
            notify(error)
            request = self._visits.get(token).request
            yield self._show(token, lambda visit: visit, request, refining=False), request.refine
            return
        finally:
            self._runs.end(token, run)
        preview = previewed(self._engine, refined)
        visit = self._update(token, lambda visit: visit.knowing(refined, preview))
        request = dataclasses.replace(visit.request, refine=asked.refine)
        yield self._show(token, lambda visit: visit.with_edit(request), request, refining=False), None

    def _watched(self, token: str, run: Run) -> Iterator[Refined]:
        """How far it is, and a picture whenever there is a better one, until it ends or is not wanted."""
        painted = None
        for _ in run.watch():
            # Numbered first: what takes its place has a higher number, and the stage knows which came last.
            number = messages.next_number()
            if self._runs.get(token) is not run:
                return
            progress = dataclasses.asdict(run.progress)
            if run.reached is not painted:
                painted, visit = run.reached, self._visits.get(token)
                picture = self._engine.edit(*self._seen(token, visit, visit.request, run.mode, live=True))
                picture = visit.together(picture, visit.request, live=True)
                progress["frame"] = messages.frame(picture, visit.request, live=True)
            yield messages.message("refining", number, **progress), None

    def cancel(self, token: str) -> None:
        """Take back the refinement that is being computed, if there is one."""
        if (run := self._runs.get(token)) is not None:
            run.cancel()
