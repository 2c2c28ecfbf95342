"""What an edit does to the person: a number, and what the page says of it under the picture."""

import dataclasses
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.messages import Message
from app.toasts import toast
from core.engine import Engine
from core.errors import SessionExpired
from core.faces import alignment
from core.faces.identity import Identity
from core.placing import placed
from core.session import EditRequest, Portrait, SessionStore

# From so much likeness on, what the page says; where the bounds lie, an independent judge has said
# (`python -m training.judging.meter`).
LEVELS = (
    (0.75, "kept", "Clearly the same person"),
    (0.6, "near", "The same person, a little changed"),
    (0.5, "far", "The same person, much changed"),
    (0.0, "lost", "Hardly the same person any more"),
)
# Pictures that no page has asked about yet; most are asked about at once.
MAX_UNTOLD, MAX_BYTES = 64, 128 * 2**20


def likeness(engine: Engine, portrait: Portrait, request: EditRequest, picture: np.ndarray) -> float | None:
    """1 - the distance of the face's descriptor to that of the same view without the edit, at least 0.

    None where nothing is edited.
    So it says what the edit did, not how near the model came to the photo: descent minimises that very
    distance, which would flatter it.
    picture: uint8, what the request shows of this portrait, a whole photo at any size; out of that its face
    is cut.
    """
    if not (request.sliders or request.takes):
        return None

    def face(image: np.ndarray) -> np.ndarray:
        if request.view.output == "face":
            return image
        there = portrait
        if image.shape != portrait.photo.shape:
            there = placed(portrait, image, (image.shape[1], image.shape[0]))
        return alignment.crop(image, there.transform, len(portrait.crop))

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


@dataclass(frozen=True, eq=False)
class Untold:
    """A picture that a page was sent, of which `likeness` is to be told: what that is given.

    number: of the message that brought it.
    """

    number: int
    portrait: Portrait
    request: EditRequest
    picture: np.ndarray

    @property
    def nbytes(self) -> int:
        """Memory held beside the portrait, in bytes."""
        return self.picture.nbytes


class Meters:
    """What is told once the page has its picture, which waits for nothing. Thread-safe.

    Of each visitor the last picture is kept, until it is asked about.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._untold: SessionStore[Untold] = SessionStore(MAX_UNTOLD, MAX_BYTES)
        self._lock = threading.Lock()

    def note(self, token: str, untold: Untold) -> None:
        """A page is sent this picture."""
        with self._lock:
            self._untold.put(token, untold)

    def tell(self, payload: object) -> Message:
        """{"likeness": `in_words` of it}; {} where the picture is not the visitor's last, or was asked about.

        payload: {"token", "number": of the picture's message}. Called by the stage itself, so that answers
        carry errors too.
        """
        given = payload if isinstance(payload, Mapping) else {}
        try:
            untold = self._taken(str(given.get("token")), given.get("number"))
            if untold is None:
                return {}
            value = likeness(self._engine, untold.portrait, untold.request, untold.picture)
            return {"likeness": in_words(value)}
        except Exception as error:
            return {"error": toast(error).message}

    def _taken(self, token: str, number: object) -> Untold | None:
        with self._lock:
            try:
                untold = self._untold.get(token)
            except SessionExpired:
                return None
            if untold.number != number:
                return None
            self._untold.drop(token)
            return untold

    def drop(self, token: str) -> None:
        """The visitor left."""
        with self._lock:
            self._untold.drop(token)
