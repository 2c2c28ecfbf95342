"""Looks on the command line: a model's by name, anybody's by file."""

import os
from collections.abc import Sequence
from pathlib import Path

from cli.photos import check_file
from core.checkpoints import find_bundle, read_config
from core.config import BundleConfig, LookConfig
from core.errors import BadLook, BadRequest
from core.looks import MAX_BYTES, find_look, looks_of, read_look


def moved_by(words: Sequence[str], model: str) -> dict[str, float]:
    """What looks do to the sliders, one after the other; words: names of the model's looks, or files.

    Raises: BadRequest, BadLook; BadCheckpoint for the model.
    """
    config = read_config(find_bundle(model))
    sliders: dict[str, float] = {}
    for word in words:
        sliders |= _look(config, word).sliders
    return sliders


def _look(config: BundleConfig, word: str) -> LookConfig:
    look = find_look(config, word)
    if look is not None:
        return look
    if os.path.exists(word):
        check_file(word)  # a pipe may never end
    try:
        with Path(word).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError):  # ValueError: a null byte
        names = ", ".join(look.name for look in looks_of(config)) or "none"
        raise BadRequest(f"{word!r} is neither a file nor one of this model's looks: {names}.") from None
    try:
        return read_look(data)
    except BadLook as error:
        raise BadLook(f"{word}: {error}") from error
