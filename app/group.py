"""Turning from one face of a photo to another: each keeps its own edits, and the photo shows them all."""

import dataclasses
from collections.abc import Callable, Generator, Iterator
from typing import Any

import numpy as np

from app import messages
from app.asides import Aside
from app.improving import previewed
from app.live import LatestWins, with_steps
from app.messages import Answer
from app.openings import Opening, Openings, as_told
from app.refining import as_set
from app.visits import Visit, chosen
from core.engine import Engine
from core.errors import BadRequest
from core.projects.restoring import Restored
from core.session import EditRequest, Portrait, SessionStore
from core.together import MAX_OTHERS, FaceEdits

Update = Callable[[str, Callable[[Visit], Visit]], Visit]
# What the page is told of a visit that goes on with a face: token, visit, request, what it shows of that face
# alone, faces as `messages.face_list` has them, whether the face's code may get better.
Opened = Callable[[str, Visit, EditRequest, np.ndarray, list[dict[str, Any]], bool], Answer]


class Group:
    """The faces of all visitors' photos. Keeps nothing itself."""

    def __init__(
        self,
        engine: Engine,
        visits: SessionStore[Visit],
        openings: Openings,
        frames: LatestWins,
        update: Update,
        opened: Opened,
    ) -> None:
        self._engine, self._visits, self._openings, self._frames = engine, visits, openings, frames
        self._update, self._opened = update, opened

    def turn(self, token: str, asked: EditRequest, index: object, unsettled: bool) -> Iterator[Answer]:
        """Put the face in hand aside and take up another, which is opened if it never was in hand.

        unsettled: whether `asked` may be a change that is no entry yet. Whatever fails, the visit stays as it
        was. Raises: BadRequest where there is no such face, or as many as are kept have edits; and as
        `Engine.open_portrait`.
        """
        visit = self._visits.get(token)
        face = chosen(index, len(visit.portrait.faces))
        faces = messages.face_list(visit.portrait.photo, visit.portrait.faces)
        with self._openings.one(token) as opening:
            found = next((other for other in visit.others if other.face == face), None)
            if found is None and face != visit.portrait.face:
                found = yield from self._first(opening, visit, face, asked, faces)
            # Nothing is locked at a yield: what comes after it may run in another thread, or never.
            visit, picture = self._taken_up(token, asked, unsettled, opening, found)
            request = visit.request.seen(output=asked.view.output)
            yield self._opened(token, visit, request, picture, faces, not visit.portrait.residuals)

    def restored(self, found: Restored) -> tuple[Aside, ...]:
        """The other faces of a project, put aside."""
        engine = self._engine
        return tuple(Aside.of(engine, other, previewed(engine, other.portrait)) for other in found.others)

    def _first(
        self, opening: Opening, visit: Visit, face: int, asked: EditRequest, faces: list[dict[str, Any]]
    ) -> Generator[Answer, None, Aside]:
        """The face as it is opened; meanwhile the photo is seen with all its edits."""
        if sum(not other.idle for other in visit.others) >= MAX_OTHERS:
            raise BadRequest(
                f"{MAX_OTHERS + 1} faces of this photo have edits already; reset one of them first."
            )
        photo, request = visit.portrait.photo, visit.edits.request.seen(output="photo")
        seen = visit.together(self._engine.edit(visit.preview, request), request, live=True)
        known = {**messages.known(seen, face), "faces": faces}

        def job(progress: Callable[[str], None]) -> Portrait:
            return opening.photo(photo, face, None, progress)

        portrait = yield from as_told(with_steps(job), known)
        portrait, asked = as_set(self._engine, portrait, asked)
        neutral = dataclasses.replace(asked, sliders={}, takes=())
        return Aside.of(self._engine, FaceEdits(portrait, (neutral,)), previewed(self._engine, portrait))

    def _taken_up(
        self, token: str, asked: EditRequest, unsettled: bool, opening: Opening, found: Aside | None
    ) -> tuple[Visit, np.ndarray]:
        """The visit with that face in hand, from now on, and what is seen of the face; None: the one that is.

        Raises: Cancelled.
        """
        with self._frames.alone(token):
            visit = self._visits.get(token)
            if unsettled:
                visit = visit.with_edit(visit.possible(asked))
            left = Aside.of(self._engine, visit.edits, visit.preview)
            taken = found or left
            portrait, request = taken.edits.portrait, taken.edits.request.seen(output=asked.view.output)
            whole = request.view.output == "photo"
            picture = taken.picture if whole else self._engine.edit(portrait, request)

            def turned(visit: Visit) -> Visit:
                opening.check(portrait)
                return visit.turned(left, taken)

            return self._update(token, turned), picture
