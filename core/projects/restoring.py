"""A project taken up again: as it was where the model is the same, else as this one has it."""

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from core.engine import Engine
from core.errors import BadRequest, Cancelled, OutOfMemory, RefinementFailed
from core.faces.alignment import Face
from core.opening import OPENING_SECONDS
from core.projects.conversion import (
    as_here,
    inverted_anew,
    lost_faces,
    lost_names,
    lost_others,
    lost_refinements,
)
from core.projects.project import Project
from core.projects.strict_json import refuse
from core.references import Reference
from core.refinement.running import Watcher
from core.session import EditRequest, Portrait
from core.together import FaceEdits


@dataclass(frozen=True, eq=False)
class Restored:
    """A project taken up again: requests and references as this model has them.

    others: of its photo's faces those that have edits of their own.
    notice: one sentence on what is not as it was saved; None where pictures are the same, bit for bit.
    """

    portrait: Portrait
    history: tuple[EditRequest, ...]
    cursor: int
    references: tuple[Reference, ...]
    notice: str | None
    others: tuple[FaceEdits, ...] = ()


def restore(
    engine: Engine,
    project: Project,
    progress: Callable[[str], None] | None = None,
    *,
    seconds: float = OPENING_SECONDS,
    cancelled: Callable[[], bool] | None = None,
    steps: int | None = None,
) -> Restored:
    """The project in this engine: as it was where the model is the same, else its faces inverted anew.

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
        portraits = [*_resumed(engine, project, cancelled)]
        known = {reference.key: reference for reference in project.all_references}
    else:
        opening = functools.partial(
            engine.open_portrait, progress=progress, seconds=seconds, cancelled=cancelled, steps=steps
        )
        portraits, known = _opened_anew(engine, project, opening, progress, cancelled)
        told.append(lost_others(len(project.saved_faces) - len(portraits)))
        lost = len(project.all_references) - len(known)
        told.append(lost_faces(lost, cut_otherwise=project.template != engine.config.template))
    taken_up = []
    for saved, portrait in zip(project.saved_faces, portraits, strict=False):
        asked = {str(request.refine) for request in saved.history} - {"off"}
        if asked - portrait.residuals.keys():
            portrait = _refined(engine, portrait, progress)
        told.append(lost_refinements(portrait, asked))
        history = tuple(as_here(request, engine, portrait, known, same) for request in saved.history)
        taken_up.append(FaceEdits(portrait, history, saved.cursor))
    told.append(lost_names(engine, project.all_requests, same))
    notice = "; ".join(dict.fromkeys(clause for clause in told if clause))
    in_hand, *others = taken_up
    return Restored(
        in_hand.portrait,
        in_hand.history,
        in_hand.cursor,
        tuple(known[reference.key] for reference in project.references if reference.key in known),
        f"{notice[0].upper()}{notice[1:]}." if notice else None,
        tuple(others),
    )


def _resumed(engine: Engine, project: Project, cancelled: Callable[[], bool]) -> Iterator[Portrait]:
    shape = project.w_plus.shape
    try:
        if any(r.w_plus.shape != shape for r in project.all_references):
            raise BadRequest("A reference face is another model's.")
        for saved in project.saved_faces:
            Watcher(cancelled=cancelled, what="opening").check()
            yield engine.resume(project.photo, project.faces, saved.face, saved.w_plus, saved.residuals)
    except BadRequest:
        refuse("its codes are not of the model that it names")


def _opened_anew(
    engine: Engine,
    project: Project,
    opening: Callable[[np.ndarray, int], Portrait],
    progress: Callable[[str], None],
    cancelled: Callable[[], bool],
) -> tuple[list[Portrait], dict[str, Reference]]:
    """The faces as this model inverts them, as many as it finds, and the references by their keys in the
    project.

    Raises: NoFaceFound, Cancelled.
    """
    portraits: list[Portrait] = []
    try:
        for face in _same_faces(engine, project):
            portraits.append(opening(project.photo, face))
        if not project.all_references or project.template != engine.config.template:
            return portraits, {}
        progress("Inverting reference faces")
        return portraits, inverted_anew(engine, project.all_references, cancelled)
    except Cancelled:
        for portrait in portraits[:1]:
            engine.forget(portrait)  # nobody else will; of one photo, they go together
        raise


def _same_faces(engine: Engine, project: Project) -> list[int]:
    """The numbers of the project's faces among those that are found now: of each the nearest that is left.

    Where there are fewer, the first ones' alone, but never none: opening it says what is missing.
    """
    found = engine.find_faces(project.photo)
    left, numbers = [*range(len(found))], []
    for saved in project.saved_faces:
        if not left:
            break
        middle = _middle(project.faces[saved.face])
        numbers.append(min(left, key=lambda number: math.dist(middle, _middle(found[number]))))
        left.remove(numbers[-1])
    return numbers or [0]


def _middle(face: Face) -> tuple[float, float]:
    left, top, right, bottom = face.box
    return (left + right) / 2, (top + bottom) / 2


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
    anew = "its faces were" if project.others else "its face was"
    both = f"another {made}" if made == here else f"{made} and this is {here}"
    return f"this project was made with {both}; {anew} inverted anew, so pictures may look different"
