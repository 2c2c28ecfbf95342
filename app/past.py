"""Edits that come back, of a look, a snapshot or another face, and what the page says of the history."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from app import messages
from app.messages import SETTINGS, Message
from app.references import References
from app.toasts import toasted
from app.visits import Visit, parse_request
from core.config import LookConfig
from core.editing.explore import explorations
from core.engine import Engine
from core.errors import BadRequest
from core.looks import looks_of
from core.session import EditRequest, SessionStore

Show = Callable[[str, Callable[[Visit], Visit], EditRequest], Message]

MINUS = "\u2212"
# So many sliders are named where several moved at once.
NAMED = 2
_SAID = {
    "order": "Directions: {}",
    "refine": "Refine: {}",
    "strength": "Strength {:g}",
    "start": "Starts from the {}",
    "keep_detail": "Skin detail: {}",
}


class Past:
    """The histories of all visits; keeps nothing itself."""

    def __init__(
        self, engine: Engine, visits: SessionStore[Visit], references: References, show: Show
    ) -> None:
        self._visits, self._references, self._show = visits, references, show
        self._labels = {one.name: one.label for one in explorations(engine.generator.layout)}
        self._labels |= {attribute.name: attribute.label for attribute in engine.config.attributes}
        self._places = {name: place for place, name in enumerate(self._labels)}
        self._looks = looks_of(engine.config)

    @toasted
    def recall(
        self, token: str, current: EditRequest, edit: object, unsettled: bool
    ) -> tuple[Message, EditRequest]:
        """Another edit in place of `current`, as one entry of the history, and the request for the widgets.

        edit: {"moves": sliders to set, others stay}, or {"sliders"} and, where they change, "takes" and what
        SETTINGS names; faces that are no longer known give nothing. The view stays, whole or face.
        unsettled: whether `current` may be a change that is no entry yet; then it becomes one first.
        """
        visit = self._visits.get(token)
        request = visit.possible(self._recalled(token, current, edit))

        def change(visit: Visit) -> Visit:
            before = visit.with_edit(visit.possible(current)) if unsettled else visit
            return before.with_edit(request)

        return self._show(token, change, request), request

    def _recalled(self, token: str, current: EditRequest, edit: object) -> EditRequest:
        given = edit if isinstance(edit, Mapping) else {}
        moves, sliders = given.get("moves"), given.get("sliders")
        if isinstance(moves, Mapping):
            sliders = {**current.sliders, **moves}
        if not isinstance(sliders, Mapping):
            raise BadRequest("That edit came in an unknown way; reload the page.")
        takes = current.takes
        if "takes" in given:
            takes = self._references.takes(token, given["takes"], lenient=True)
        settings = {name: given[name] for name in SETTINGS if name in given and name != "output"}
        return parse_request(sliders, takes=takes, **{**messages.settings(current), **settings})

    def state(self, visit: Visit, request: EditRequest) -> Message:
        """`messages.state`, and of the history's entries what names their pictures, and what they changed."""
        earlier = (None, *visit.history)
        entries = [
            {"id": _id(entry), "words": self.words(before, entry)}
            for before, entry in zip(earlier, visit.history, strict=False)
        ]
        return {**messages.state(visit, request), "entries": entries}

    def words(self, before: EditRequest | None, after: EditRequest) -> str:
        """What `after` changed, as the page says it: "Smile +1.2"."""
        if before is None:
            return "Edited" if after.sliders or after.takes else "As opened"
        names = sorted(before.sliders.keys() | after.sliders.keys(), key=self._place)
        moved = [name for name in names if before.sliders.get(name) != after.sliders.get(name)]
        said = self._moves(moved, before, after)
        if before.takes != after.takes:
            said.append("Taken from another face" if after.takes else "Nothing taken")
        if len(said) > 1 and not (after.sliders or after.takes):
            return "Reset"
        was, now = messages.request_dict(before), messages.request_dict(after)
        said += [text.format(_word(now[name])) for name, text in _SAID.items() if was[name] != now[name]]
        return ", ".join(said) or "Seen otherwise"

    def _moves(self, moved: list[str], before: EditRequest, after: EditRequest) -> list[str]:
        for look in self._looks:
            if _made_by(look, moved, after):
                return [look.name]
            if look.sliders.keys() == set(moved) and look.sliders.items() <= before.sliders.items():
                return [f"{look.name}: off"]
        said = [f"{self._labels.get(name, name)} {_signed(after.sliders.get(name, 0.0))}" for name in moved]
        more = len(said) - NAMED
        return said if more < 2 else [*said[:NAMED], f"{more} more"]

    def _place(self, name: str) -> tuple[int, str]:
        """Where it comes on the page; what this model does not have comes last."""
        return self._places.get(name, len(self._places)), name


def _made_by(look: LookConfig, moved: list[str], after: EditRequest) -> bool:
    """Whether the look alone explains what moved: all of it is there, and all else only went back to zero."""
    there = look.sliders.items() <= after.sliders.items()
    return (
        there
        and any(name in look.sliders for name in moved)
        and all(name in look.sliders or name not in after.sliders for name in moved)
    )


def _signed(value: float) -> str:
    return f"{value:+g}".replace("-", MINUS) if value else "0"


def _word(value: Any) -> Any:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "model" if value == "inversion" else value


def _id(request: EditRequest) -> str:
    """The same for requests that are the same edit, however it is looked at."""
    text = json.dumps(messages.request_dict(request.seen(output="face")), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
