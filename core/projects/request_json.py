"""Edit requests as JSON containers, and back from what a stranger's file holds."""

from collections.abc import Mapping
from typing import Any

from core.errors import BadRequest
from core.projects.strict_json import fields, flag, index, mapping, number, refuse, sequence, text
from core.references import Reference, Take
from core.session import EditRequest, View

# Of one face: a visit keeps a hundred edits.
MAX_HISTORY = 1000
# An edit and its view lie side by side, as format 1 has them.
_EDIT_WORDS, _VIEW_WORDS = ("order", "refine"), ("start", "output")
_FIELDS = ("sliders", *_EDIT_WORDS, *_VIEW_WORDS, "strength", "keep_detail", "takes")


def request_to_json(request: EditRequest) -> dict[str, Any]:
    """All of a request; its references by their keys."""
    takes = [
        {"reference": take.reference.key, "what": list(take.what), "amount": take.amount}
        for take in request.takes
    ]
    edit = {name: getattr(request, name) for name in (*_EDIT_WORDS, "strength")}
    view = {name: getattr(request.view, name) for name in (*_VIEW_WORDS, "keep_detail")}
    return {"sliders": dict(request.sliders), **edit, **view, "takes": takes}


def request_from_json(data: object, references: Mapping[str, Reference]) -> EditRequest:
    """Inverse of `request_to_json`; references: by key, all that a request may name.

    Raises: BadProject on anything else than such a request.
    """
    given = fields(data, "an edit", _FIELDS)
    try:
        return EditRequest(
            sliders={
                text(name, "a slider's name"): number(value, f"the slider {name}")
                for name, value in mapping(given["sliders"], "the sliders").items()
            },
            **{name: text(given[name], f"the {name}") for name in _EDIT_WORDS},  # type: ignore[arg-type]
            strength=number(given["strength"], "the strength"),
            takes=tuple(_take(entry, references) for entry in sequence(given["takes"], "the takes")),
            view=View(
                **{name: text(given[name], f"the {name}") for name in _VIEW_WORDS},  # type: ignore[arg-type]
                keep_detail=flag(given["keep_detail"], "keep_detail"),
            ),
        )
    except BadRequest as error:
        message = str(error)
        refuse(message[0].lower() + message[1:].rstrip("."))


def read_history(
    given: Mapping[str, Any], references: Mapping[str, Reference]
) -> tuple[tuple[EditRequest, ...], int]:
    """The edits under "history", and of them the one on the screen, under "cursor".

    Raises: BadProject on anything else than such a history.
    """
    listed = sequence(given["history"], "the history", MAX_HISTORY)
    history = tuple(request_from_json(entry, references) for entry in listed)
    return history, index(given["cursor"], "the cursor", 0, len(history) - 1)


def _take(data: object, references: Mapping[str, Reference]) -> Take:
    given = fields(data, "a take", ("reference", "what", "amount"))
    reference = references.get(text(given["reference"], "a reference's key"))
    if reference is None:
        refuse("an edit takes from a reference face that is not in the file")
    what = tuple(text(name, "what to take") for name in sequence(given["what"], "what to take"))
    return Take(reference, what, number(given["amount"], "the amount"))
