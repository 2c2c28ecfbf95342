"""One photo or project, edited as the command line asks."""

import contextlib
import dataclasses
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from tqdm import tqdm

from cli.options import Effort
from core.clips import ClipOrder, clip
from core.engine import Engine
from core.errors import BadRequest
from core.exporting import Export, ExportOrder, export
from core.images import Original, Photo, open_photo
from core.pictures.moving import moving_kind_of
from core.pictures.writing import kind_of
from core.projects.project import Project, is_project, open_project
from core.projects.request_json import MAX_HISTORY
from core.projects.restoring import restore
from core.references import Reference, Take
from core.refinement.running import Progress, Watcher
from core.session import EditRequest, Order, Output, Portrait, Refine, Start, View
from core.together import FaceEdits

# The photo's own pixels, all of them; as the app shows an edit unless it is told otherwise.
UNEDITED = EditRequest(view=View("photo", "photo"))


@dataclass(frozen=True)
class Asked:
    """What is asked of every photo and project; None: as it is in the project, or in `UNEDITED`.

    face: its place, from 0; None: every face of a photo that is shown whole or, where one_face, the first.
    notes: whether pictures may say date, rights and camera. beside: before and after, side by side.
    sweep: the slider that a clip moves; fade: a clip of before and after.
    """

    sliders: Mapping[str, float] = field(default_factory=dict)
    takes: tuple[Take, ...] = ()
    order: Order | None = None
    refine: Refine | None = None
    strength: float | None = None
    start: Start | None = None
    keep_detail: bool | None = None
    face_only: bool = False
    face: int | None = None
    one_face: bool = False
    notes: bool = True
    beside: bool = False
    sweep: str | None = None
    fade: bool = False
    effort: Effort = Effort()  # noqa: RUF009  # frozen

    @property
    def chooses(self) -> bool:
        """Whether one face is edited, however many there are."""
        return self.one_face or self.face is not None

    def request(self, before: EditRequest = UNEDITED) -> EditRequest:
        """The edit that goes on from `before`.

        Raises: BadRequest if a word or number is out of range.
        """
        output: Output = "face" if self.face_only else "photo"
        view = {name: getattr(self, name) for name in ("start", "keep_detail")}
        edit = {name: getattr(self, name) for name in ("order", "refine", "strength")}
        return dataclasses.replace(
            before,
            sliders={**before.sliders, **self.sliders},
            takes=(*before.takes, *self.takes),
            view=dataclasses.replace(before.view, output=output, **_given(view)),
            **_given(edit),
        )

    def order_of(self, name: str) -> ExportOrder | ClipOrder:
        """The file of this name. Raises: BadRequest on an ending that says nothing."""
        shown: Literal["photo", "face"] = "face" if self.face_only else "photo"
        if self.sweep is not None or self.fade:
            return ClipOrder(moving_kind_of(name), self.sweep, shown)
        return ExportOrder(kind_of(name), "both" if self.beside else shown, notes=self.notes)

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON has it; references by their keys."""
        takes = [[take.reference.key, take.what, take.amount] for take in self.takes]
        plain = dataclasses.replace(self, takes=())
        return {**dataclasses.asdict(plain), "takes": takes}


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, eq=False)
class Edited:
    """What came of it.

    picture: its file. portrait: of the face that was edited last; face: its place, from 0, None where it was
    every one of several. history, cursor, references: as in a project. notice: what a project of another
    model lost. original: what the photo was opened from, if it was a file. others: faces of a project's photo
    with edits of their own, which stay as they were.
    """

    picture: Export
    portrait: Portrait
    face: int | None
    history: tuple[EditRequest, ...]
    cursor: int
    references: tuple[Reference, ...] = ()
    notice: str | None = None
    original: Original | None = None
    others: tuple[FaceEdits, ...] = ()

    def project(self, engine: Engine) -> Project:
        """All of it, to go on from."""
        known = self.references
        return Project.of(engine, self.portrait, self.history, self.cursor, known, self.original, self.others)

    def answer(self, source: str, out: str, names: Mapping[str, str]) -> dict[str, Any]:
        """What is said of it; names: what references are called, by their keys."""
        request = self.history[self.cursor]
        takes = (
            (names.get(take.reference.key, take.reference.key), list(take.what), take.amount)
            for take in request.takes
        )
        return {
            "photo": source,
            "out": out,
            "width": self.picture.size[0],
            "height": self.picture.size[1],
            "said": self.picture.said,
            "faces": len(self.portrait.faces),
            "face": None if self.face is None else self.face + 1,
            "boxes": boxes(self.portrait),
            "sliders": dict(request.sliders),
            "takes": [dict(zip(("reference", "what", "amount"), take, strict=True)) for take in takes],
            "refine": request.refine,
            "strength": request.strength,
        }


def read(source: str | bytes) -> Photo | Project:
    """A photo or a project, whichever it is; by its path or content.

    Raises: BadImage, BadProject.
    """
    return open_project(source) if is_project(source) else open_photo(source)


def edited(engine: Engine, given: Photo | Project, asked: Asked, name: str) -> Edited:
    """A photo with its faces edited, or a project that goes on; name: of the picture's file.

    Raises: BadRequest, NoFaceFound, BadProject, and as `Engine.refine` does.
    """
    if isinstance(given, Project):
        return _gone_on(engine, given, asked, name)
    return _edited(engine, given, asked, name)


def _edited(engine: Engine, photo: Photo, asked: Asked, name: str) -> Edited:
    request = asked.request()
    portraits = [*_portraits(engine, photo.pixels, asked)]
    picture = _made(engine, portraits, request, photo.original, asked.order_of(name))
    portrait = portraits[-1]
    engine.forget(portrait)
    one = asked.chooses or len(portrait.faces) == 1
    # The unedited face comes first, so that the edit can be undone.
    neutral = dataclasses.replace(request, sliders={}, takes=())
    history = (request,) if request == neutral else (neutral, request)
    face = portrait.face if one else None
    return Edited(picture, portrait, face, history, len(history) - 1, original=photo.original)


def _portraits(engine: Engine, photo: np.ndarray, asked: Asked) -> Iterator[Portrait]:
    """Of the faces that are asked for, one after the other."""
    effort, number, last = asked.effort, asked.face or 0, asked.face or 0
    while number <= last:
        portrait = engine.open_portrait(photo, number, seconds=effort.seconds, steps=effort.steps)
        yield refined(engine, portrait, asked.request())
        last = number if asked.chooses else len(portrait.faces) - 1
        number += 1


def _gone_on(engine: Engine, project: Project, asked: Asked, name: str) -> Edited:
    if asked.face is not None:
        raise BadRequest("A project edits the face that it was saved with; leave --face out.")
    restored = restore(engine, project, seconds=asked.effort.seconds, steps=asked.effort.steps)
    shown = restored.history[restored.cursor]
    request = asked.request(shown)
    portrait = refined(engine, restored.portrait, request)
    history, cursor = restored.history, restored.cursor
    if request.seen(output=shown.view.output) != shown:
        # As in the app: what was undone is gone.
        history = (*history[: cursor + 1], request)[-MAX_HISTORY:]
        cursor = len(history) - 1
    others = restored.others
    picture = _made(engine, (portrait,), request, project.original, asked.order_of(name), others)
    engine.forget(portrait)
    known, notice, original = restored.references, restored.notice, project.original
    return Edited(picture, portrait, portrait.face, history, cursor, known, notice, original, others)


def _made(
    engine: Engine,
    portraits: Sequence[Portrait],
    request: EditRequest,
    original: Original | None,
    order: ExportOrder | ClipOrder,
    others: Sequence[FaceEdits] = (),
) -> Export:
    if isinstance(order, ExportOrder):
        return export(engine, portraits, request, original, order, others)
    with _bar() as progress:
        return clip(engine, portraits, request, order, Watcher(progress, what="clip"), others)


def refined(engine: Engine, portrait: Portrait, request: EditRequest) -> Portrait:
    """The portrait with what the request shows of it; with a bar, where somebody looks at the terminal."""
    mode = request.refinement
    if mode is None:
        return portrait
    # Fast is over before a bar could be read.
    with _bar(hidden=mode == "fast") as progress:
        return engine.refine(portrait, mode, progress)


@contextlib.contextmanager
def _bar(hidden: bool = False) -> Iterator[Callable[[Progress], None]]:
    with tqdm(
        total=1.0, disable=True if hidden else None, leave=False,
        bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}",
        ncols=shutil.get_terminal_size().columns,  # tqdm itself draws nothing where none is told
    ) as bar:  # fmt: skip

        def progress(told: Progress) -> None:
            bar.set_description_str(told.step, refresh=False)
            bar.update(told.done - bar.n)

        yield progress


def boxes(portrait: Portrait) -> list[list[int]]:
    """Of every face by its number, from 1: left, top, right and bottom in pixels of the photo."""
    return [list(face.box) for face in portrait.faces]


def names_of(takes: Iterable[Take], words: Iterable[str]) -> dict[str, str]:
    """What references are called on the command line, by their keys; words: one for each take."""
    return {take.reference.key: word for take, word in zip(takes, words, strict=True)}
