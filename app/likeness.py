"""What an edit does to the person: a number, and what the page says of it under the picture."""

import dataclasses
from typing import Any

import numpy as np

from core.engine import Engine
from core.faces import alignment
from core.faces.identity import Identity
from core.session import EditRequest, Portrait

# From so much likeness on, what the page says; where the bounds lie, an independent judge has said
# (`python -m training.judging.meter`).
LEVELS = (
    (0.75, "kept", "Clearly the same person"),
    (0.6, "near", "The same person, a little changed"),
    (0.5, "far", "The same person, much changed"),
    (0.0, "lost", "Hardly the same person any more"),
)


def likeness(engine: Engine, portrait: Portrait, request: EditRequest, picture: np.ndarray) -> float | None:
    """1 - the distance of the face's descriptor to that of the same view without the edit, at least 0.

    None where nothing is edited.
    So it says what the edit did, not how near the model came to the photo: descent minimises that very
    distance, which would flatter it.
    picture: uint8, what the request shows of this portrait; out of a whole photo its face is cut.
    """
    if not (request.sliders or request.takes):
        return None

    def face(image: np.ndarray) -> np.ndarray:
        whole = request.view.output == "photo"
        return alignment.crop(image, portrait.transform, len(portrait.crop)) if whole else image

    if request.view.start == "photo":  # without the edit, the photo itself
        return max(0.0, 1.0 - portrait.identity.distance(face(picture)))
    unedited = engine.edit(portrait, dataclasses.replace(request, sliders={}, takes=()))
    return max(0.0, 1.0 - Identity(face(unedited), portrait.landmarks).distance(face(picture)))


def in_words(value: float | None) -> dict[str, Any] | None:
    """{"value", "level": one of LEVELS, "words"}; None where nothing was edited, and nothing is said."""
    if value is None:
        return None
    level, words = next((level, words) for bound, level, words in LEVELS if value >= bound)
    return {"value": value, "level": level, "words": words}


def told_of(
    engine: Engine, portrait: Portrait, request: EditRequest, picture: np.ndarray
) -> dict[str, Any] | None:
    """`likeness`, `in_words`."""
    return in_words(likeness(engine, portrait, request, picture))
