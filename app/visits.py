"""What the server remembers of one visitor: the open portrait, the edits made to it, other faces."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np

from core.errors import BadRequest
from core.images import Original
from core.names import NAMELESS, safe_stem
from core.placing import placed
from core.projects.project import Restored
from core.references import Reference
from core.session import EditRequest, Portrait, View

# Longest side, in pixels, of the photo that is edited while a slider is being dragged.
PREVIEW_SIDE = 1024
HISTORY_LENGTH = 100
MAX_FACES = 24

_VIEW = tuple(field.name for field in dataclasses.fields(View))

Origin = Literal["upload", "earlier"]


@dataclass(frozen=True)
class KnownFace:
    """A face of the visitor's own to take from, and whether it was brought for that or opened earlier."""

    reference: Reference
    origin: Origin


@dataclass(frozen=True, eq=False)
class Visit:
    """One visitor's open portrait.

    preview: the same face in a reduced photo and of fewer pixels, so that dragging costs the same for every
    photo.
    history: every edit at which the visitor paused, oldest first; cursor: the one on the screen.
    faces: the visitor's own to take from, newest first, at most MAX_FACES.
    original: the file that the photo was opened from, if it was; exports are made of it.
    stem: what files made of it are named after.
    """

    portrait: Portrait
    preview: Portrait
    history: tuple[EditRequest, ...]
    cursor: int = 0
    faces: tuple[KnownFace, ...] = ()
    original: Original | None = None
    stem: str = NAMELESS

    @classmethod
    def begin(
        cls,
        portrait: Portrait,
        preview: Portrait,
        request: EditRequest,
        original: Original | None = None,
        stem: str = NAMELESS,
    ) -> "Visit":
        """A fresh visit; request: the state to which undo can return; stem: whatever the photo is called."""
        return cls(portrait, preview, (request,), original=original, stem=safe_stem(stem))

    @classmethod
    def restored(
        cls, found: Restored, preview: Portrait, original: Original | None, stem: str = NAMELESS
    ) -> "Visit":
        """A visit that a project takes up again."""
        stem = safe_stem(stem)
        visit = cls(found.portrait, preview, found.history, found.cursor, original=original, stem=stem)
        return visit.with_faces(found.references, "upload")

    def after(self, before: "Visit") -> "Visit":
        """The same visit with the faces of the one before, among them the face that was open in it."""
        own = {face.reference for face in self.faces}
        left = before.with_faces([before.portrait.reference], "earlier").faces
        faces = (*self.faces, *(face for face in left if face.reference not in own))[:MAX_FACES]
        return dataclasses.replace(self, faces=faces)

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        references = {face.reference for face in self.faces} | set(self._taken())
        parts = (*self.portrait.parts, *self.preview.parts, *references)
        file = 0 if self.original is None else self.original.nbytes
        return file + sum({id(part): part.nbytes for part in parts}.values())  # the two portraits share most

    def _taken(self) -> Iterable[Reference]:
        return (take.reference for request in self.history for take in request.takes)

    @property
    def request(self) -> EditRequest:
        """The edit on the screen."""
        return self.history[self.cursor]

    @property
    def untouched(self) -> bool:
        """Whether the screen shows the photo as it is: nothing of it is edited."""
        request = self.request
        return request.view.start == "photo" and not (request.sliders or request.takes)

    def with_edit(self, request: EditRequest) -> "Visit":
        """Append an edit, dropping those that were undone; the very same edit again adds nothing."""
        if _same_edit(request, self.request):
            return self
        kept = (*self.history[: self.cursor + 1], request)[-HISTORY_LENGTH:]
        return dataclasses.replace(self, history=kept, cursor=len(kept) - 1)

    def possible(self, request: EditRequest) -> EditRequest:
        """The request as it can be shown: with the screen's refinement, while its own is not computed."""
        if request.refine == "off" or request.refine in self.portrait.residuals:
            return request
        return dataclasses.replace(request, refine=self.request.refine)

    def shown(self, request: EditRequest) -> EditRequest:
        """The request as it is rendered now: without fast, while it is being found."""
        found = request.refine != "fast" or "fast" in self.portrait.residuals
        return request if found else dataclasses.replace(request, refine="off")

    def knowing(self, portrait: Portrait, preview: Portrait) -> "Visit":
        """The same visit, its face known better: refined, or its code nearer; of another face, nothing.

        Nor what lacks a refinement that this one has: a code found meanwhile would take it away again.
        Requests hold as before: they say nothing of codes.
        """
        if portrait.key != self.portrait.key or self.portrait.residuals.keys() - portrait.residuals.keys():
            return self
        return dataclasses.replace(self, portrait=portrait, preview=preview)

    def reference(self, key: str) -> Reference | None:
        """The face of this key: of the visitor's own, or of the history, which outlives the list."""
        known = (*(face.reference for face in self.faces), *self._taken())
        return next((reference for reference in known if reference.key == key), None)

    def with_faces(self, references: Iterable[Reference], origin: Origin) -> "Visit":
        """The same visit, these faces first in its list; the oldest fall off its end."""
        new = tuple(dict.fromkeys(references))
        kept = (face for face in self.faces if face.reference not in new)
        faces = (*(KnownFace(reference, origin) for reference in new), *kept)[:MAX_FACES]
        return dataclasses.replace(self, faces=faces)

    def without_face(self, key: str) -> "Visit":
        """The same visit, this face no longer in its list; edits that take from it stay."""
        faces = tuple(face for face in self.faces if face.reference.key != key)
        return dataclasses.replace(self, faces=faces)

    def at(self, cursor: int) -> "Visit":
        """The same history at another entry; beyond either end it stays at the end."""
        return dataclasses.replace(self, cursor=max(0, min(len(self.history) - 1, cursor)))


def _same_edit(one: EditRequest, other: EditRequest) -> bool:
    # Face or whole photo is a way of looking, which nobody expects undo to change.
    return one.seen(output=other.view.output) == other


def reduced(portrait: Portrait, side: int) -> Portrait:
    """The same face in a photo whose longest side is at most `side` px; same code, same directions."""
    height, width = portrait.photo.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return portrait
    photo = shrink(portrait.photo, side)
    return placed(portrait, photo, photo.shape[1::-1])


def shrink(image: np.ndarray, side: int) -> np.ndarray:
    """HWC uint8 with its longest side at most `side`; as it is where that already holds."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def parse_request(sliders: Mapping[str, float | None], **settings: Any) -> EditRequest:
    """The widgets' values as a request; an emptied number box (None) means what the widget starts with.

    settings: the other fields of EditRequest and View, those that are given.
    Raises: BadRequest.
    """
    moved = {name: 0.0 if value is None else value for name, value in sliders.items()}
    given = {name: value for name, value in settings.items() if value is not None}
    view = View(**{name: given.pop(name) for name in _VIEW if name in given})
    return EditRequest(moved, view=view, **given)


def chosen(value: object, length: int) -> int:
    """The place, from 0, of one of so many that the page offers. Raises: BadRequest."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < length:
        raise BadRequest("That choice is no longer there; pick another one.")
    return value
