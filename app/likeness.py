"""How much of the person an edit keeps, for the meter under the picture."""

import dataclasses

import numpy as np

from core.engine import Engine
from core.faces import alignment
from core.faces.identity import Identity
from core.session import EditRequest, Portrait


def likeness(engine: Engine, portrait: Portrait, request: EditRequest, picture: np.ndarray) -> float:
    """1 - the distance of the face's descriptor to that of the same view without the edit, at least 0.

    So it says what the edit did, not how near the model came to the photo: descent minimises that very
    distance, which would flatter it. dlib's "same person" is above 0.4.
    picture: uint8, what the request shows of this portrait; out of a whole photo its face is cut.
    """
    if not (request.sliders or request.takes):
        return 1.0

    def face(image: np.ndarray) -> np.ndarray:
        whole = request.view.output == "photo"
        return alignment.crop(image, portrait.transform, len(portrait.crop)) if whole else image

    if request.view.start == "photo":  # without the edit, the photo itself
        return max(0.0, 1.0 - portrait.identity.distance(face(picture)))
    unedited = engine.edit(portrait, dataclasses.replace(request, sliders={}, takes=()))
    return max(0.0, 1.0 - Identity(face(unedited), portrait.landmarks).distance(face(picture)))
