"""What the server remembers of one visitor: the face in hand, the edits of all faces, those to take from."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from app.asides import Aside
from core.errors import BadRequest
from core.images import Original, Photo
from core.names import NAMELESS, safe_stem
from core.placing import shrink
from core.projects.restoring import Restored
from core.references import Reference
from core.session import EditRequest, Portrait, View
from core.together import MAX_OTHERS, FaceEdits, together

HISTORY_LENGTH = 100
MAX_FACES = 24
# The picture shown on a pause: more than a screen shows, less than a camera takes.
STILL_SIDE = 2048

_VIEW = tuple(field.name for field in dataclasses.fields(View))

Origin = Literal["upload", "earlier"]


@dataclass(frozen=True)
class KnownFace:
    """A face of the visitor's own to take from, and whether it was brought for that or opened earlier."""

    reference: Reference
    origin: Origin


@dataclass(frozen=True, eq=False)
class Visit:
    """One visitor's open photo, and the face of it that is in hand.

    preview: the same face in a reduced photo and of fewer pixels, so that dragging costs the same for every
    photo.
    history: every edit at which the visitor paused, oldest first; cursor: the one on the screen.
    faces: the visitor's own to take from, newest first, at most MAX_FACES.
    original: the file that the photo was opened from, if it was; exports are made of it.
    stem: what files made of it are named after.
    others: of the photo's faces those that were in hand before, the one put aside last at the end.
    still: the photo with no more pixels than a screen shows, made where it is not given.
    """

    portrait: Portrait
    preview: Portrait
    history: tuple[EditRequest, ...]
    cursor: int = 0
    faces: tuple[KnownFace, ...] = ()
    original: Original | None = None
    stem: str = NAMELESS
    others: tuple[Aside, ...] = ()
    still: np.ndarray = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.still is None:
            object.__setattr__(self, "still", shrink(self.portrait.photo, STILL_SIDE))
        self.still.setflags(write=False)

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
        cls,
        found: Restored,
        preview: Portrait,
        others: tuple[Aside, ...],
        original: Original | None,
        stem: str = NAMELESS,
    ) -> "Visit":
        """A visit that a project takes up again; others: those of the project, put aside."""
        visit = cls(
            found.portrait, preview, found.history, found.cursor, (), original, safe_stem(stem), others
        )
        return visit.with_faces(found.references, "upload")

    def after(self, before: "Visit") -> "Visit":
        """The same visit with the faces of the one before, among them the face that was open in it."""
        # Of a photo that was cropped, the face that was open may be the one in hand.
        own = {self.portrait.reference, *(face.reference for face in self.faces)}
        left = before.with_faces({before.portrait.reference} - own, "earlier").faces
        faces = (*self.faces, *(face for face in left if face.reference not in own))[:MAX_FACES]
        return dataclasses.replace(self, faces=faces)

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        asides = (part for other in self.others for part in other.parts)
        parts = (*self.portrait.parts, *self.preview.parts, *asides, *self.references, self.still)
        file = 0 if self.original is None else self.original.nbytes
        return file + sum({id(part): part.nbytes for part in parts}.values())  # portraits share much

    @property
    def references(self) -> set[Reference]:
        """All faces that it knows to take from, or took from."""
        return {face.reference for face in self.faces} | set(self._taken())

    def _taken(self) -> Iterable[Reference]:
        histories = (self.history, *(other.edits.history for other in self.others))
        return (take.reference for history in histories for request in history for take in request.takes)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the photo, as it is exported."""
        return Photo(self.portrait.photo, self.original).size

    @property
    def edits(self) -> FaceEdits:
        """The face in hand, with all that was edited of it."""
        return FaceEdits(self.portrait, self.history, self.cursor)

    @property
    def all_edits(self) -> tuple[FaceEdits, ...]:
        """Of every face that was in hand, in no order."""
        return (self.edits, *(other.edits for other in self.others))

    def turned(self, left: Aside, taken: Aside) -> "Visit":
        """The same visit with another face of its photo in hand; left: the one that was, put aside.

        It can be taken from, and the one that is in hand can not any more. Of more faces than are kept, the
        one goes first that was put aside longest ago and has no edit.
        """
        others = [other for other in (*self.others, left) if other.face != taken.face]
        for idle in [other for other in others if other.idle][: max(0, len(others) - MAX_OTHERS)]:
            others.remove(idle)
        visit = dataclasses.replace(
            self,
            portrait=dataclasses.replace(taken.edits.portrait, photo=self.portrait.photo),  # held once
            preview=taken.preview,
            history=taken.edits.history,
            cursor=taken.edits.cursor,
            others=tuple(others),
        )
        visit = visit.with_faces([left.edits.portrait.reference], "earlier")
        return visit.without_face(taken.edits.portrait.reference.key)

    def together(self, picture: np.ndarray, request: EditRequest, live: bool = False) -> np.ndarray:
        """What a request shows of the face in hand, (H, W, 3), as it is shown: a whole photo with the others.

        live: whether the picture is of the preview.
        """
        if request.view.output == "face":
            return picture
        changes = [other.preview_change if live else other.change for other in self.others]
        return together(picture, (self.preview if live else self.portrait).photo, changes)

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
