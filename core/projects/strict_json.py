"""JSON from a stranger's file: every reader raises Refused, a BadProject with one sentence, on anything else
than what it asks for."""

import json
from typing import Any, NoReturn

from core.errors import BadProject

# Names and titles are shown, in a sentence or a terminal.
MAX_TEXT = 80


class Refused(BadProject):
    """What was asked for is not there; reason: continues a sentence, of whatever file it is."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"This project file is damaged or was not made by Visagist: {reason}.")
        self.reason = reason


def parse(data: bytes, what: str = "project.json") -> dict[str, Any]:
    """The JSON object in a file: UTF-8, finite numbers only, nested no deeper than Python's own stack."""
    try:
        parsed = json.loads(data.decode(), parse_constant=_no_number)
    # RecursionError: nested a million deep. ValueError: no JSON, no UTF-8, an integer of a million digits.
    except (ValueError, RecursionError):
        refuse(f"its {what} cannot be read")
    return mapping(parsed, what)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def refuse(reason: str) -> NoReturn:
    """Raises: Refused, always; the reason continues a sentence."""
    raise Refused(reason)


def fields(data: object, what: str, names: tuple[str, ...]) -> dict[str, Any]:
    """An object with exactly these entries."""
    given = mapping(data, what)
    if given.keys() != set(names):
        refuse(f"{what} does not have the entries {', '.join(names)}")
    return given


def mapping(data: object, what: str) -> dict[str, Any]:
    """An object."""
    if not isinstance(data, dict):
        refuse(f"{what} is no object")
    return data


def sequence(data: object, what: str, at_most: int = 100) -> list[Any]:
    """A list of at most so many entries."""
    if not (isinstance(data, list) and len(data) <= at_most):
        refuse(f"{what} is no list of at most {at_most} entries")
    return data


def text(data: object, what: str) -> str:
    """Up to MAX_TEXT characters, none of which moves a terminal's cursor."""
    if not (isinstance(data, str) and len(data) <= MAX_TEXT and data.isprintable()):
        refuse(f"{what} is no text of at most {MAX_TEXT} characters")
    return data


def number(data: object, what: str) -> float:
    """A finite number."""
    if isinstance(data, bool) or not isinstance(data, int | float) or not -1e9 < data < 1e9:
        refuse(f"{what} is no number that an edit can have")
    return float(data)


def flag(data: object, what: str) -> bool:
    """True or false."""
    if not isinstance(data, bool):
        refuse(f"{what} is neither true nor false")
    return data


def index(data: object, what: str, low: int, high: int) -> int:
    """A whole number from `low` to `high`."""
    if isinstance(data, bool) or not isinstance(data, int) or not low <= data <= high:
        refuse(f"{what} is no whole number from {low} to {high}")
    return data
