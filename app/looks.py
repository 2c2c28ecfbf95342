"""Looks on the page: small pictures of what an edit would make of a face, and looks that visitors bring."""

from collections.abc import Callable, Mapping
from typing import Any

from app import messages
from app.messages import Message
from app.toasts import toast
from app.visits import Visit, chosen, parse_request
from core.engine import Engine
from core.errors import BadRequest, VisagistError
from core.looks import read_look
from core.session import EditRequest, SessionStore

# Longest side of a small picture, in pixels: twice what the page gives it.
GLIMPSE_SIDE = 216


class Glimpses:
    """Small pictures that nobody waits for, one after the other for each visitor. Thread-safe.

    Called by the stage itself, so that answers carry errors too.
    """

    def __init__(self, engine: Engine, visits: SessionStore[Visit]) -> None:
        self._engine, self._visits = engine, visits
        self._asked: dict[str, object] = {}  # by visitor, what came last

    def glimpse(self, payload: object) -> Message:
        """{"picture": data URL, None where the visitor has asked for another one meanwhile or left}.

        payload: {"token", and "sliders" of an edit, or the "entry" of the history, by its place}.
        """
        return _answered(self._glimpse, payload)

    def _glimpse(self, payload: Mapping[str, Any]) -> Message:
        token, mine = str(payload.get("token")), object()
        self._asked[token] = mine
        try:
            visit = self._visits.get(token)
            request = _request(visit, payload)
            picture = self._engine.glimpse(visit.preview, request, lambda: self._stale(token, mine))
        finally:
            if self._asked.get(token) is mine:
                del self._asked[token]
        return {"picture": None if picture is None else messages.thumbnail(picture, GLIMPSE_SIDE)}

    def _stale(self, token: str, mine: object) -> bool:
        return self._asked.get(token) is not mine or token not in self._visits.tokens()

    def read_look(self, payload: object) -> Message:
        """A visitor's look: {"name", "sliders": those that the model has, "lacks": how many others}.

        payload: {"text"}, as `core.looks.write_look` writes it. Nothing of it is kept here.
        """
        return _answered(self._read, payload)

    def _read(self, payload: Mapping[str, Any]) -> Message:
        look = read_look(str(payload.get("text")).encode(errors="replace"))
        known = {attribute.name for attribute in self._engine.config.attributes} | {*self._engine.explorable}
        sliders = {name: value for name, value in look.sliders.items() if name in known}
        if not sliders:
            raise BadRequest(f"This model has no slider that the look {look.name!r} moves.")
        return {"name": look.name, "sliders": sliders, "lacks": len(look.sliders) - len(sliders)}


def _request(visit: Visit, payload: Mapping[str, Any]) -> EditRequest:
    """Of the face alone, on the photo's own pixels, whatever the visitor looks at. Raises: BadRequest."""
    sliders, entry = payload.get("sliders"), payload.get("entry")
    if isinstance(sliders, Mapping):
        return parse_request(sliders, start="photo")
    request = visit.history[chosen(entry, len(visit.history))]
    return visit.portrait.shown(request).seen(output="face")


def _answered(answer: Callable[[Mapping[str, Any]], Message], payload: object) -> Message:
    try:
        if not isinstance(payload, Mapping):
            raise BadRequest("That was asked for in an unknown way; reload the page.")
        return answer(payload)
    except VisagistError as error:
        return {"error": str(error)}
    except Exception as error:
        return {"error": toast(error).message}
