"""Everything of a visit in one file: saved, read again as if a stranger had made it, and taken up again.

A file (`core.projects.archive`) holds `project.json` (format, model, faces, keys of references, history),
`tensors.safetensors` (codes, landmarks, residuals), `photo.png`, `original` (what the photo was opened from,
if that is not too large), and `reference0.png` and so on, a picture of each reference; all of it lossless.
"""

import dataclasses
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from core.config import AlignmentTemplate
from core.engine import Engine
from core.errors import BadImage, BadProject, BadRequest, Cancelled, OutOfMemory, RefinementFailed
from core.faces.alignment import Face
from core.generators.residual import Residual
from core.images import Original, encode_png, open_photo
from core.opening import OPENING_SECONDS
from core.pictures.limits import LIMITS, Limits
from core.projects.archive import Archive, Source, is_archive, pack
from core.projects.conversion import as_here, inverted_anew, lost_faces, lost_names, lost_refinements
from core.projects.faces_file import read_faces
from core.projects.original_file import MAX_ORIGINAL_BYTES, pack_original, read_original
from core.projects.request_json import request_from_json, request_to_json
from core.projects.strict_json import fields, index, mapping, number, parse, refuse, sequence, text
from core.projects.tensor_file import MAX_TENSOR_BYTES, MODES, TensorFile, convolutions, pack_tensors
from core.references import Reference
from core.session import EditRequest, Portrait

FORMAT = 1
# A visit keeps a hundred edits; every bound leaves room for more, none for a file that fills the memory.
MAX_HISTORY = 1000
MAX_REFERENCES = 200
MAX_JSON_BYTES = 8 * 2**20
# Of the photo that is worked on, and of all reference faces together.
MAX_PIXELS = 40_000_000
MAX_PICTURE_BYTES = 4 * MAX_PIXELS + 2**20

_JSON, _TENSORS, _PHOTO, _ORIGINAL = "project.json", "tensors.safetensors", "photo.png", "original"
_CODE, _CODES, _LANDMARKS = "w_plus", "references", "landmarks"
_FIELDS = ("format", "model", "face", "boxes", "residuals", "references", "picker", "history", "cursor")
_MODEL_FIELDS = ("title", "version", "fingerprint", "template")


@dataclass(frozen=True, eq=False)
class Project:
    """All that is kept of a visit.

    photo: (H, W, 3) uint8; faces: all that were found in it; face: the index of the one that is edited.
    w_plus: (L, D) float32, its code; residuals: LowRank for "fast", WeightShift for "best", on any device.
    history: every edit, oldest first; cursor: the one on the screen; references: the faces of the picker.
    model_title, model_version, fingerprint, template: of the model that made it. original: what pictures are
    exported from, None where that is the photo.
    Raises: BadProject if face or cursor point at nothing, or there is more than a file can hold.
    """

    photo: np.ndarray
    faces: tuple[Face, ...]
    face: int
    w_plus: np.ndarray
    history: tuple[EditRequest, ...]
    cursor: int
    model_title: str
    model_version: str
    fingerprint: str
    template: AlignmentTemplate
    residuals: Mapping[str, Residual] = field(default_factory=dict)
    references: tuple[Reference, ...] = ()
    original: Original | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "residuals", MappingProxyType(dict(self.residuals)))
        if not (0 < len(self.history) <= MAX_HISTORY and 0 <= self.cursor < len(self.history)):
            raise BadProject(f"A project has 1 to {MAX_HISTORY} edits, and one of them is on the screen.")
        if not 0 <= self.face < len(self.faces):
            raise BadProject("A project edits one of the faces of its photo.")
        references = self.all_references
        pixels = sum(len(reference.picture) ** 2 for reference in references)
        if len(references) > MAX_REFERENCES or pixels > MAX_PIXELS:
            raise BadProject(
                f"A project holds at most {MAX_REFERENCES} reference faces "
                f"of {MAX_PIXELS // 10**6} megapixels together."
            )

    @classmethod
    def of(
        cls,
        engine: Engine,
        portrait: Portrait,
        history: Iterable[EditRequest],
        cursor: int,
        references: Iterable[Reference] = (),
        original: Original | None = None,
    ) -> "Project":
        """A visit to this portrait of this engine's."""
        return cls(
            photo=portrait.photo,
            faces=portrait.faces,
            face=portrait.face,
            w_plus=portrait.w_plus.cpu().numpy(),
            history=tuple(history),
            cursor=cursor,
            model_title=engine.config.title,
            model_version=engine.config.version,
            fingerprint=engine.fingerprint,
            template=engine.config.template,
            residuals=portrait.residuals,
            references=tuple(references),
            original=original,
        )

    @property
    def all_references(self) -> tuple[Reference, ...]:
        """Those of the picker, then others that edits name, each once."""
        named = (take.reference for request in self.history for take in request.takes)
        return tuple(dict.fromkeys((*self.references, *named)))


def is_project(source: Source) -> bool:
    """Whether a file, given by its path or bytes, is a project, whole or not; its name does not matter."""
    return is_archive(source)


def save_project(project: Project) -> bytes:
    """The project as a file; equal projects give equal bytes."""
    references = project.all_references
    document = {
        "format": FORMAT,
        "model": {
            "title": project.model_title,
            "version": project.model_version,
            "fingerprint": project.fingerprint,
            "template": dataclasses.asdict(project.template),
        },
        "face": project.face,
        "boxes": [face.box for face in project.faces],
        "residuals": {mode: convolutions(residual) for mode, residual in project.residuals.items()},
        "references": [reference.key for reference in references],
        "picker": [reference.key for reference in project.references],
        "history": [request_to_json(request) for request in project.history],
        "cursor": project.cursor,
    }
    arrays = {_CODE: project.w_plus, _LANDMARKS: np.stack([face.landmarks for face in project.faces])}
    if references:
        arrays[_CODES] = np.stack([reference.w_plus for reference in references])
    description = json.dumps(document, ensure_ascii=False, allow_nan=False, sort_keys=True, indent=1)
    pictures = {_picture(i): encode_png(reference.picture) for i, reference in enumerate(references)}
    tensors = pack_tensors(arrays, project.residuals)
    files = {_JSON: description.encode(), _TENSORS: tensors, _PHOTO: encode_png(project.photo)}
    original = None if project.original is None else pack_original(project.original)
    return pack({**files, **({} if original is None else {_ORIGINAL: original}), **pictures})


def _picture(number: int) -> str:
    return f"reference{number}.png"


def open_project(source: Source, limits: Limits = LIMITS) -> Project:
    """The project in a file, given by its path or bytes; nothing of it is unpacked to disk.

    limits: how large its original may be. Whether codes and residuals fit a model, `restore` finds out.
    Raises: BadProject, with one sentence, whatever is wrong with it.
    """
    archive = Archive(source)
    document = parse(archive.read(_JSON, MAX_JSON_BYTES))
    # First of all: of a newer format nothing else is known.
    saved_as = index(document.get("format"), "the format", 1, 10**6)
    if saved_as > FORMAT:
        raise BadProject(
            f"This project was saved by a newer Visagist (format {saved_as}); this one reads up to {FORMAT}. "
            "Update Visagist to open it."
        )
    fields(document, "project.json", _FIELDS)
    keys = [
        text(key, "a reference's key")
        for key in sequence(document["references"], "the list of references", MAX_REFERENCES)
    ]
    wanted = {_JSON, _TENSORS, _PHOTO, _ORIGINAL, *(_picture(i) for i in range(len(keys)))}
    for name in sorted(set(archive.names) - wanted):
        refuse(f"it holds an entry that no project has ({name[:40]!r})")
    tensors = TensorFile(archive.read(_TENSORS, MAX_TENSOR_BYTES))
    references = _read_references(keys, tensors, archive)
    project = _read_project(document, tensors, references, archive, limits)
    tensors.finish()
    return project


def _read_project(
    document: Mapping[str, Any],
    tensors: TensorFile,
    references: Mapping[str, Reference],
    archive: Archive,
    limits: Limits,
) -> Project:
    model = fields(document["model"], "the model", _MODEL_FIELDS)
    history = sequence(document["history"], "the history", MAX_HISTORY)
    picker = [
        text(key, "a reference's key") for key in sequence(document["picker"], "the picker", MAX_REFERENCES)
    ]
    if not references.keys() >= set(picker):
        refuse("the picker shows a face that is not in the file")
    counts = mapping(document["residuals"], "the list of residuals")
    if not counts.keys() <= set(MODES):
        refuse("it holds a refinement that no model has")
    codes, landmarks = tensors.array(_CODE, 2), tensors.array(_LANDMARKS, 3)
    residuals = {
        mode: tensors.residual(mode, index(count, "a residual's length", 1, 100))
        for mode, count in counts.items()
    }
    requests = tuple(request_from_json(entry, references) for entry in history)
    cursor = index(document["cursor"], "the cursor", 0, len(requests) - 1)
    photo = _decoded(archive, _PHOTO)
    original = None
    if _ORIGINAL in archive.names:
        original = read_original(archive.read(_ORIGINAL, MAX_ORIGINAL_BYTES), photo, limits)
    faces = read_faces(document["boxes"], landmarks, max(photo.shape))
    return Project(
        photo=photo,
        faces=faces,
        face=index(document["face"], "the face", 0, len(faces) - 1),
        w_plus=codes,
        history=requests,
        cursor=cursor,
        model_title=text(model["title"], "the model's title"),
        model_version=text(model["version"], "the model's version"),
        fingerprint=text(model["fingerprint"], "the model's fingerprint"),
        template=_read_template(model["template"]),
        residuals=residuals,
        references=tuple(references[key] for key in picker),
        original=original,
    )


def _read_template(data: object) -> AlignmentTemplate:
    given = fields(data, "the template", ("scale", "shift"))
    try:
        return AlignmentTemplate(
            *(number(given[name], f"the template's {name}") for name in ("scale", "shift"))
        )
    except ValueError:
        refuse("no face can be cut out as its template says")


def _read_references(keys: list[str], tensors: TensorFile, archive: Archive) -> dict[str, Reference]:
    """By key, in order."""
    codes = tensors.array(_CODES, 3) if keys else np.zeros((0, 1, 1), np.float32)
    if not len(codes) == len(keys) == len(set(keys)):
        refuse("there is not one code for each reference face")
    references, pixels = {}, 0
    for i, key in enumerate(keys):
        picture = _decoded(archive, _picture(i))
        pixels += len(picture) ** 2
        if picture.shape[0] != picture.shape[1] or pixels > MAX_PIXELS:
            refuse("the picture of a reference face is not square, or too large")
        references[key] = Reference(codes[i], picture)
        if references[key].key != key:
            refuse("the key of a reference face is not its code's")
    return references


def _decoded(archive: Archive, name: str) -> np.ndarray:
    limits = Limits(MAX_PIXELS)
    try:
        return open_photo(archive.read(name, MAX_PICTURE_BYTES), limits, MAX_PIXELS).pixels
    except BadImage:
        refuse(f"its {name} is no picture of at most {MAX_PIXELS // 10**6} megapixels")


@dataclass(frozen=True, eq=False)
class Restored:
    """A project taken up again: requests and references as this model has them.

    notice: one sentence on what is not as it was saved; None where pictures are the same, bit for bit.
    """

    portrait: Portrait
    history: tuple[EditRequest, ...]
    cursor: int
    references: tuple[Reference, ...]
    notice: str | None


def restore(
    engine: Engine,
    project: Project,
    progress: Callable[[str], None] | None = None,
    *,
    seconds: float = OPENING_SECONDS,
    cancelled: Callable[[], bool] | None = None,
    steps: int | None = None,
) -> Restored:
    """The project in this engine: as it was where the model is the same, else its face inverted anew.

    What another model lacks is left out, and `notice` names it; a refinement that the file does not hold
    becomes "fast" where the model has that, else "off". progress: is told each step as it begins. seconds,
    steps: of inverting the face, as for `Engine.open_portrait`; reference faces take less. cancelled: is
    asked at every step of a descent, and between reference faces.
    Raises: BadProject if the file claims this model, but codes or residuals are not its own; NoFaceFound;
    Cancelled.
    """
    progress, cancelled = progress or (lambda step: None), cancelled or (lambda: False)
    same = (project.fingerprint, project.template) == (engine.fingerprint, engine.config.template)
    told = [_other_model(project, engine, same)]
    if same:
        portrait = _resumed(engine, project)
        known = {reference.key: reference for reference in project.all_references}
    else:
        portrait, known = _opened_anew(engine, project, progress, seconds, cancelled, steps)
        lost = len(project.all_references) - len(known)
        told.append(lost_faces(lost, cut_otherwise=project.template != engine.config.template))
    asked = {str(request.refine) for request in project.history} - {"off"}
    if asked - portrait.residuals.keys():
        portrait = _refined(engine, portrait, progress)
    told += [lost_refinements(portrait, asked), lost_names(engine, project.history, same)]
    notice = "; ".join(clause for clause in told if clause)
    return Restored(
        portrait,
        tuple(as_here(request, engine, portrait, known, same) for request in project.history),
        project.cursor,
        tuple(known[reference.key] for reference in project.references if reference.key in known),
        f"{notice[0].upper()}{notice[1:]}." if notice else None,
    )


def _resumed(engine: Engine, project: Project) -> Portrait:
    try:
        if any(r.w_plus.shape != project.w_plus.shape for r in project.all_references):
            raise BadRequest("A reference face is another model's.")
        return engine.resume(project.photo, project.faces, project.face, project.w_plus, project.residuals)
    except BadRequest:
        refuse("its codes are not of the model that it names")


def _same_face(engine: Engine, project: Project) -> int:
    """The number of the project's face among those that are found now: the nearest."""
    left, top, right, bottom = project.faces[project.face].box

    def distance(face: Face) -> float:
        x, y = face.box[0] + face.box[2], face.box[1] + face.box[3]
        return math.hypot(x - left - right, y - top - bottom)

    found = engine.find_faces(project.photo)
    return min(range(len(found)), key=lambda i: distance(found[i]), default=0)


def _opened_anew(
    engine: Engine,
    project: Project,
    progress: Callable[[str], None],
    seconds: float,
    cancelled: Callable[[], bool],
    steps: int | None,
) -> tuple[Portrait, dict[str, Reference]]:
    """The face as this model inverts it, and the references by their keys in the project.

    Raises: NoFaceFound, Cancelled.
    """
    face = _same_face(engine, project)
    portrait = engine.open_portrait(
        project.photo, face, progress, seconds=seconds, cancelled=cancelled, steps=steps
    )
    if not project.all_references or project.template != engine.config.template:
        return portrait, {}
    progress("Inverting reference faces")
    try:
        return portrait, inverted_anew(engine, project.all_references, cancelled)
    except Cancelled:
        engine.forget(portrait)  # nobody else will
        raise


def _refined(engine: Engine, portrait: Portrait, progress: Callable[[str], None]) -> Portrait:
    """With the fast refinement, where it can be had: best takes a minute, and begins with a click alone."""
    if engine.refinements["fast"] is not None:
        return portrait
    progress("Refining")
    try:
        return engine.refine(portrait, "fast")
    except (OutOfMemory, RefinementFailed):
        return portrait


def _other_model(project: Project, engine: Engine, same: bool) -> str | None:
    made = f"{project.model_title} {project.model_version}"
    here = f"{engine.config.title} {engine.config.version}"
    if same:
        return None if made == here else f"this project was made with {made}, of the same weights as {here}"
    both = f"another {made}" if made == here else f"{made} and this is {here}"
    return f"this project was made with {both}; its face was inverted anew, so pictures may look different"
