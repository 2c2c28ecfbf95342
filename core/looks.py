"""Looks: a model's own, and those that people pass on as JSON, read as if a stranger had written them."""

import json
import re

from core.config import BundleConfig, LookConfig
from core.errors import BadLook
from core.projects.strict_json import Refused, fields, mapping, number, parse, refuse, text

FORMAT = 1
# The largest look there can be, with room: some hundred sliders of long names.
MAX_BYTES = 2**15
_FIELDS = ("visagist", "format", "name", "sliders")


def looks_of(config: BundleConfig) -> tuple[LookConfig, ...]:
    """The model's looks, those all of whose sliders it has."""
    known = {attribute.name for attribute in config.attributes}
    return tuple(look for look in config.looks if look.sliders.keys() <= known)


def find_look(config: BundleConfig, word: str) -> LookConfig | None:
    """The model's look that a word names, "Silver hair" or "silver-hair"; None: there is none."""
    return next((look for look in looks_of(config) if _plain(look.name) == _plain(word)), None)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "-", name.strip().lower())


def write_look(look: LookConfig) -> str:
    """A look as others take it up (`read_look`); to which group it belongs is the model's matter."""
    content = {"visagist": "look", "format": FORMAT, "name": look.name, "sliders": dict(look.sliders)}
    return json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1)


def read_look(data: bytes) -> LookConfig:
    """Inverse of `write_look`: UTF-8, from a file, a clipboard or a letter.

    Which sliders there are the model knows, and is asked later. Raises: BadLook.
    """
    try:
        return _look(data)
    except Refused as error:
        raise BadLook(f"This is no look that Visagist can read: {error.reason}.") from error


def _look(data: bytes) -> LookConfig:
    if len(data) > MAX_BYTES:
        refuse("it is far too long")
    given = fields(parse(data.removeprefix(b"\xef\xbb\xbf"), "text"), "it", _FIELDS)
    if given["visagist"] != "look" or given["format"] != FORMAT or isinstance(given["format"], bool):
        refuse("it is of another kind, or of a later version")
    sliders = {
        text(name, "a slider's name"): number(value, f"the slider {name:.80}")
        for name, value in mapping(given["sliders"], "the list of sliders").items()
    }
    try:
        return LookConfig(text(given["name"], "its name").strip(), sliders)
    except ValueError as error:
        reason = str(error)
        refuse(reason[0].lower() + reason[1:])
