"""The faces that visitors take from: the model's gallery, photos brought for it, faces opened earlier."""

import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from app import messages
from app.improving import FIRST_SECONDS
from app.live import told, with_steps
from app.messages import Message
from app.openings import let_go
from app.toasts import tell, toasted, toasted_stream
from app.visits import Visit
from core.engine import Engine
from core.errors import BadRequest, SessionExpired
from core.images import open_photo
from core.pictures.limits import LIMITS, Limits
from core.references import MAX_TAKES, Reference, Take
from core.session import EditRequest, SessionStore

# Of a group photo, the first.
MAX_FACES_ADDED = 8
GONE = "That reference face is no longer here; pick another one."

# A message for the gallery (app/faces.js). Its keys: busy, a step under way or None; faces, all that are
# listed, where they changed; picked, the key of the one to take from at once.
Update = Callable[[str, Callable[[Visit], Visit]], Visit]


class References:
    """What visitors can take from. Nobody sees another visitor's faces; keys alone open none."""

    def __init__(
        self, engine: Engine, visits: SessionStore[Visit], update: Update, limits: Limits = LIMITS
    ) -> None:
        self._engine, self._limits = engine, limits
        self._visits = visits
        self._update = update
        self._gallery = {reference.key: reference for reference in engine.gallery}

    def gallery(self) -> list[dict[str, str]]:
        """The model's own faces, for the page to hold from the start."""
        return [messages.face_dict(reference, "gallery") for reference in self._gallery.values()]

    def takes(self, token: str, stack: object, lenient: bool = False) -> tuple[Take, ...]:
        """The stack that the page sent, as takes; lenient leaves out faces that are not known.

        Raises: BadRequest if it is none, or names a face unknown to this visitor; SessionExpired where the
        visitor's own faces are gone with the portrait.
        """
        if stack is None:
            return ()
        if not isinstance(stack, list):
            raise BadRequest("What to take came in an unknown way; reload the page.")
        if len(stack) > MAX_TAKES:
            raise BadRequest(f"An edit takes from at most {MAX_TAKES} references; remove one first.")
        takes = []
        for entry in stack:
            if not isinstance(entry, Mapping) or not isinstance(entry.get("what"), list):
                raise BadRequest("What to take came in an unknown way; reload the page.")
            reference = self._find(token, entry.get("reference"), lenient)
            if reference is not None:
                takes.append(Take(reference, tuple(entry["what"]), entry.get("amount", 1.0)))
        return tuple(takes)

    def _find(self, token: str, key: object, lenient: bool) -> Reference | None:
        if isinstance(key, str) and key in self._gallery:
            return self._gallery[key]
        try:
            reference = self._visits.get(token).reference(str(key))
        except SessionExpired:
            if not lenient:
                raise
            return None
        if reference is None and not lenient:
            raise BadRequest(GONE)
        return reference

    def listed(self, token: str, **more: Any) -> Message:
        """The visitor's own faces as a message for the gallery; the portrait's own is not among them."""
        visit = self._visits.get(token)
        own = visit.portrait.reference
        faces = [face for face in visit.faces if face.reference != own]
        listed = [messages.face_dict(face.reference, face.origin) for face in faces]
        return messages.message("faces", faces=listed, busy=None, **more)

    @toasted_stream(lambda: messages.message("faces", busy=None))
    def add(self, token: str, path: str) -> Iterator[Message]:
        """Add the faces of an uploaded photo, which is erased from the disk, and pick the largest."""
        try:
            photo = open_photo(path, self._limits).pixels
        finally:
            Path(path).unlink(missing_ok=True)
        self._visits.get(token)  # before the work: without a portrait there is nothing to take for
        yield messages.message("faces", busy="Finding faces")
        inverting = with_steps(functools.partial(self._references, token, photo))
        found = yield from told(inverting, lambda step: messages.message("faces", busy=step))
        # The open face gives itself nothing.
        own = self._visits.get(token).portrait.reference
        new = [reference for reference in found if reference != own]
        if not new:
            raise BadRequest("This photo shows the face that is open; choose another one to take from.")
        self._update(token, lambda visit: visit.with_faces(new, "upload"))
        yield self.listed(token, picked=new[0].key)

    def _references(self, token: str, photo: np.ndarray, progress: Callable[[str], None]) -> list[Reference]:
        """Of each face in the photo by its number; of the photo itself nothing stays in memory.

        Raises: Cancelled once the visitor has left.
        """
        found = len(self._engine.find_faces(photo))
        count = max(1, min(found, MAX_FACES_ADDED))  # 1: opening it says what is missing
        portrait = None

        def left() -> bool:
            return self._visits.peek(token) is None

        try:
            references = []
            for face in range(count):
                tell_step = functools.partial(_numbered, progress, face, count)
                portrait = self._engine.open_portrait(
                    photo, face, tell_step, seconds=FIRST_SECONDS, cancelled=left
                )
                references.append(portrait.reference)
            return references
        finally:
            if portrait is not None:
                let_go(self._engine, self._visits, token, portrait)

    @toasted
    def remove(self, token: str, asked: EditRequest, key: object) -> Message:
        """Take a face off the list; edits that take from it stay."""
        used = any(take.reference.key == key for take in asked.takes)

        def change(visit: Visit) -> Visit:
            # What is on the screen may not have settled; only the history keeps its faces.
            kept = visit.with_edit(visit.possible(asked)) if used else visit
            return kept.without_face(str(key))

        self._update(token, change)
        if used:
            tell("The face has left the list; the edit that takes from it stays.")
        return self.listed(token)


def _numbered(progress: Callable[[str], None], face: int, count: int, step: str) -> None:
    """A step of one face of so many."""
    progress(step if count == 1 else f"{step} ({face + 1} of {count})")
