"""Everything of a visit in one file: saved, and read again as if a stranger had made it.

A file (`core.projects.archive`) holds `project.json` (format, model, faces, keys of references, history),
`tensors.safetensors` (codes, landmarks, residuals), `photo.png`, `original` (what the photo was opened from,
if that is not too large), and `reference0.png` and so on, a picture of each reference; all of it lossless.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from core.config import AlignmentTemplate
from core.engine import Engine
from core.errors import BadImage, BadProject
from core.faces.alignment import Face
from core.generators.residual import Residual
from core.images import Original, open_photo
from core.pictures.limits import LIMITS, Limits
from core.projects.archive import Archive, Source, is_archive
from core.projects.faces_file import read_faces
from core.projects.original_file import MAX_ORIGINAL_BYTES, read_original
from core.projects.other_faces import (
    SavedFace,
    check_history,
    check_others,
    others_to_json,
    read_others,
    tensors_of_others,
)
from core.projects.parts import Part, assembled, original_part, png_part
from core.projects.request_json import read_history, request_to_json
from core.projects.strict_json import fields, index, number, parse, refuse, sequence, text
from core.projects.tensor_file import MAX_TENSOR_BYTES, TensorFile, convolutions, pack_tensors
from core.references import Reference
from core.session import EditRequest, Portrait
from core.together import FaceEdits

# The first knows one face of the photo; where no other was edited, it still says it all.
FORMAT, ONE_FACE = 2, 1
# Every bound leaves room for more than a visit has, none for a file that fills the memory.
MAX_REFERENCES = 200
MAX_JSON_BYTES = 8 * 2**20
# Of the photo that is worked on, and of all reference faces together.
MAX_PIXELS = 40_000_000
MAX_PICTURE_BYTES = 4 * MAX_PIXELS + 2**20

_JSON, _TENSORS, _PHOTO, _ORIGINAL = "project.json", "tensors.safetensors", "photo.png", "original"
_CODE, _CODES, _LANDMARKS = "w_plus", "references", "landmarks"
_FIELDS = ("format", "model", "face", "boxes", "residuals", "references", "picker", "history", "cursor")
_OTHERS = "others"
_MODEL_FIELDS = ("title", "version", "fingerprint", "template")


@dataclass(frozen=True, eq=False)
class Project:
    """All that is kept of a visit.

    photo: (H, W, 3) uint8; faces: all that were found in it; face: the index of the one that is edited.
    w_plus: (L, D) float32, its code; residuals: LowRank for "fast", WeightShift for "best", on any device.
    history: every edit, oldest first; cursor: the one on the screen; references: the faces of the picker.
    model_title, model_version, fingerprint, template: of the model that made it. original: what pictures are
    exported from, None where that is the photo. others: faces of the photo that have edits of their own.
    Raises: BadProject if a face or cursor points at nothing, or there is more than a file can hold.
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
    others: tuple[SavedFace, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "residuals", MappingProxyType(dict(self.residuals)))
        check_history(self.history, self.cursor)
        check_others(self.others, self.face, len(self.faces))
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
        others: Iterable[FaceEdits] = (),
    ) -> "Project":
        """A visit to this portrait of this engine's; others: faces of its photo."""
        return cls(
            photo=portrait.photo,
            faces=portrait.faces,
            face=portrait.face,
            w_plus=portrait.w_plus.cpu().numpy(),
            history=tuple(map(portrait.shown, history)),
            cursor=cursor,
            model_title=engine.config.title,
            model_version=engine.config.version,
            fingerprint=engine.fingerprint,
            template=engine.config.template,
            residuals=portrait.residuals,
            references=tuple(references),
            original=original,
            others=tuple(SavedFace.of(edits) for edits in others),
        )

    @property
    def all_references(self) -> tuple[Reference, ...]:
        """Those of the picker, then others that edits name, each once."""
        named = (take.reference for request in self.all_requests for take in request.takes)
        return tuple(dict.fromkeys((*self.references, *named)))

    @property
    def saved_faces(self) -> tuple[SavedFace, ...]:
        """The face that is edited, then the others."""
        own = SavedFace(self.face, self.w_plus, self.history, self.cursor, self.residuals)
        return (own, *self.others)

    @property
    def all_requests(self) -> tuple[EditRequest, ...]:
        """Every edit, of every face."""
        return tuple(request for saved in self.saved_faces for request in saved.history)


def is_project(source: Source) -> bool:
    """Whether a file, given by its path or bytes, is a project, whole or not; its name does not matter."""
    return is_archive(source)


def save_project(project: Project) -> bytes:
    """The project as a file; equal projects give equal bytes."""
    return assembled(parts_of(project))


def parts_of(project: Project) -> dict[str, Part]:
    """The entries of its file, by name."""
    references = project.all_references
    document = {
        "format": FORMAT if project.others else ONE_FACE,
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
        **({_OTHERS: others_to_json(project.others)} if project.others else {}),
    }
    codes, residuals = tensors_of_others(project.others)
    arrays = codes | {_CODE: project.w_plus, _LANDMARKS: np.stack([face.landmarks for face in project.faces])}
    if references:
        arrays[_CODES] = np.stack([reference.w_plus for reference in references])
    description = json.dumps(document, ensure_ascii=False, allow_nan=False, sort_keys=True, indent=1).encode()
    tensors = pack_tensors(arrays, {**project.residuals, **residuals})
    parts = {_JSON: Part.of(description), _TENSORS: Part.of(tensors), _PHOTO: png_part(project.photo)}
    if project.original is not None:
        parts[_ORIGINAL] = original_part(project.original)
    return parts | {_picture(i): png_part(reference.picture) for i, reference in enumerate(references)}


def _picture(number: int) -> str:
    return f"reference{number}.png"


def open_project(source: Source, limits: Limits = LIMITS) -> Project:
    """The project in a file, given by its path or bytes; nothing of it is unpacked to disk.

    limits: how large its original may be. Whether codes and residuals fit a model, `restoring` finds out.
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
    fields(document, "project.json", _FIELDS if saved_as == ONE_FACE else (*_FIELDS, _OTHERS))
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
    picker = [
        text(key, "a reference's key") for key in sequence(document["picker"], "the picker", MAX_REFERENCES)
    ]
    if not references.keys() >= set(picker):
        refuse("the picker shows a face that is not in the file")
    codes, landmarks = tensors.array(_CODE, 2), tensors.array(_LANDMARKS, 3)
    residuals = tensors.residuals(document["residuals"])
    requests, cursor = read_history(document, references)
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
        others=read_others(document.get(_OTHERS, []), tensors, references, len(faces)),
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
