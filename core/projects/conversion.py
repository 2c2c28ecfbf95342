"""Edits made with another model, as this one has them, and the clauses that say what they lost."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

from core.engine import Engine
from core.errors import NoFaceFound
from core.references import Reference, Take
from core.refinement.running import Watcher
from core.session import EditRequest, Portrait

# Where the codes of references are found by descent: each takes so long at most, and so long all of them
# together, of which a stranger's file has hundreds.
REFERENCE_SECONDS, REFERENCES_SECONDS = 3.0, 30.0


def inverted_anew(
    engine: Engine, references: Sequence[Reference], cancelled: Callable[[], bool]
) -> dict[str, Reference]:
    """As this engine inverts their pictures, by the keys that they had; without those that show no face.

    Raises: Cancelled.
    """
    seconds = min(REFERENCE_SECONDS, REFERENCES_SECONDS / len(references))
    known = {}
    for reference in references:
        Watcher(cancelled=cancelled, what="opening").check()
        with contextlib.suppress(NoFaceFound):
            known[reference.key] = engine.invert_picture(reference.picture, seconds, cancelled)
    return known


def as_here(
    request: EditRequest, engine: Engine, portrait: Portrait, known: Mapping[str, Reference], same: bool
) -> EditRequest:
    """The request without what this model lacks; references by their keys in the project.

    same: whether it was made with this very model.
    """
    sliders = _sliders(engine, same)
    takes = (
        Take(
            known[take.reference.key],
            tuple(name for name in take.what if name in engine.takeable),
            take.amount,
        )
        for take in request.takes
        if take.reference.key in known
    )
    refine = request.refine
    if refine != "off" and refine not in portrait.residuals:
        refine = "fast" if "fast" in portrait.residuals else "off"
    return dataclasses.replace(
        request,
        sliders={name: value for name, value in request.sliders.items() if name in sliders},
        takes=tuple(takes),
        refine=refine,
    )


def _sliders(engine: Engine, same: bool) -> set[str]:
    # Explored directions have the same names in every model, and in each do something else.
    return {a.name for a in engine.config.attributes} | set(engine.explorable if same else ())


def lost_faces(count: int, cut_otherwise: bool) -> str | None:
    """Of so many reference faces: only a model with the same crop can invert them, and has to see a face."""
    what, where = ("1 reference face was", "it") if count == 1 else (f"{count} reference faces were", "them")
    why = "this model cuts faces out otherwise" if cut_otherwise else f"no face was seen in {where}"
    return f"{what} left out, as {why}" if count else None


def lost_others(count: int) -> str | None:
    """Of so many faces of the photo that had edits."""
    was = "1 of its faces was" if count == 1 else f"{count} of its faces were"
    return f"{was} not found again and left out" if count > 0 else None


def lost_refinements(portrait: Portrait, asked: set[str]) -> str | None:
    """Of the refinements asked for, those that the portrait has not."""
    lost = " and ".join(sorted(asked - portrait.residuals.keys()))
    instead = "fast stands in for it" if "fast" in portrait.residuals else "edits go without"
    return f"the refinement {lost} is not at hand, {instead}" if lost else None


def lost_names(engine: Engine, history: Iterable[EditRequest], same: bool) -> str | None:
    """Of sliders, and of what to take from references, that this model does not have."""
    sliders, takeable = _sliders(engine, same), set(engine.takeable)
    explored = dict.fromkeys(engine.explorable, "directions explored in the other model")
    lost = set()
    for request in history:
        lost |= {explored.get(name, name) for name in request.sliders.keys() - sliders}
        lost |= {name for take in request.takes for name in take.what} - takeable
    shown = sorted(lost)[:5] + (["others"] if len(lost) > 5 else [])
    return f"this model has no {', '.join(shown)}, so edits go without" if lost else None
