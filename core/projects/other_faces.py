"""The faces of a project's photo, with the edits of each; those that are not in hand to JSON and tensors, and
back from what a stranger's file holds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from core.errors import BadProject
from core.generators.residual import Residual
from core.projects.request_json import MAX_HISTORY, read_history, request_to_json
from core.projects.strict_json import fields, index, refuse, sequence
from core.projects.tensor_file import TensorFile, convolutions
from core.references import Reference
from core.session import EditRequest
from core.together import MAX_OTHERS, FaceEdits

_CODES = "others"
_FIELDS = ("face", "residuals", "history", "cursor")


@dataclass(frozen=True, eq=False)
class SavedFace:
    """What is kept of one face: its index in the photo, and the rest as of a `Project`.

    Raises: BadProject if the cursor points at nothing, or there are more edits than a file can hold.
    """

    face: int
    w_plus: np.ndarray
    history: tuple[EditRequest, ...]
    cursor: int
    residuals: Mapping[str, Residual] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "residuals", MappingProxyType(dict(self.residuals)))
        check_history(self.history, self.cursor)

    @classmethod
    def of(cls, edits: FaceEdits) -> "SavedFace":
        """A face of a visit."""
        portrait = edits.portrait
        code = portrait.w_plus.cpu().numpy()
        history = tuple(map(portrait.shown, edits.history))
        return cls(portrait.face, code, history, edits.cursor, portrait.residuals)


def check_history(history: Sequence[EditRequest], cursor: int) -> None:
    """Raises: BadProject if there are no edits, or too many, or none of them is on the screen."""
    if not (0 < len(history) <= MAX_HISTORY and 0 <= cursor < len(history)):
        raise BadProject(f"A project has 1 to {MAX_HISTORY} edits, and one of them is on the screen.")


def check_others(others: Sequence[SavedFace], face: int, found: int) -> None:
    """Raises: BadProject unless all are others than `face`, each once, of so many found, and not too many."""
    numbers = [face, *(other.face for other in others)]
    if len(set(numbers)) < len(numbers) or not set(numbers) <= set(range(found)):
        raise BadProject("A project edits faces of its photo, each of them once.")
    if len(others) > MAX_OTHERS:
        raise BadProject(f"A project holds the edits of at most {MAX_OTHERS + 1} faces.")


def others_to_json(others: Iterable[SavedFace]) -> list[dict[str, Any]]:
    """All but codes and residuals, which `tensors_of_others` has."""
    return [
        {
            "face": other.face,
            "residuals": {mode: convolutions(residual) for mode, residual in other.residuals.items()},
            "history": [request_to_json(request) for request in other.history],
            "cursor": other.cursor,
        }
        for other in others
    ]


def tensors_of_others(others: Sequence[SavedFace]) -> tuple[dict[str, np.ndarray], dict[str, Residual]]:
    """Codes and residuals by their names in the file."""
    codes = {_CODES: np.stack([other.w_plus for other in others])} if others else {}
    return codes, {
        f"{_prefix(other.face)}{mode}": residual
        for other in others
        for mode, residual in other.residuals.items()
    }


def _prefix(face: int) -> str:
    return f"face{face}."


def read_others(
    data: object, tensors: TensorFile, references: Mapping[str, Reference], found: int
) -> tuple[SavedFace, ...]:
    """Inverse of both; references: by key, all that an edit may name; found: how many faces the photo has.

    Raises: BadProject on anything else.
    """
    listed = sequence(data, "the list of other faces", MAX_OTHERS)
    codes = tensors.array(_CODES, 3) if listed else np.zeros((0, 1, 1), np.float32)
    if len(codes) != len(listed):
        refuse("there is not one code for each other face")
    others = []
    for entry, code in zip(listed, codes, strict=True):
        given = fields(entry, "another face", _FIELDS)
        face = index(given["face"], "a face", 0, found - 1)
        residuals = tensors.residuals(given["residuals"], _prefix(face))
        others.append(SavedFace(face, code, *read_history(given, references), residuals))
    return tuple(others)
