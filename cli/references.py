"""References as words name them: which face, what of it, how much; for the command line."""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cli.options import GALLERY, Effort
from core.engine import Engine
from core.errors import BadImage, BadRequest, NoFaceFound
from core.images import open_image
from core.references import AMOUNT_RANGE, Reference, Take, number


@dataclass(frozen=True)
class Pick:
    """A Take to be.

    reference: a picture's path, or gallery:N, N from 1; face: its place, from 0; words: names, or how they
    begin.
    """

    reference: str
    face: int = 0
    words: tuple[str, ...] = ()
    amount: float | None = None


def picks(options: Iterable[tuple[str, Any]]) -> tuple[Pick, ...]:
    """What a row of options asks for, in their order.

    options: ("reference", path or gallery:N), to which those after it belong; ("take", words with commas
    between), a second one of which begins another Take of the same reference; ("amount", number), by default
    1; ("reference-face", its place, from 0).
    Raises: BadRequest if one has nothing to belong to, is missing, is there twice, or is out of range.
    """
    found: list[Pick] = []
    for option, value in options:
        if option == "reference":
            found.append(Pick(value))
            continue
        if not found:
            raise BadRequest(f"--{option} belongs to a --reference; give that first.")
        last = found[-1]
        if option == "take":
            words = tuple(word.strip() for word in value.split(","))
            if last.words:
                found.append(Pick(last.reference, last.face, words))
            else:
                found[-1] = dataclasses.replace(last, words=words)
        elif option == "amount":
            if last.amount is not None:
                raise BadRequest("There are two --amount for one --take; keep one.")
            found[-1] = dataclasses.replace(last, amount=number("amount", value, AMOUNT_RANGE))
        else:
            found[-1] = dataclasses.replace(last, face=value)
    for pick in found:
        if not pick.words:
            raise BadRequest(f"Say with --take what to take from {pick.reference}.")
    return tuple(found)


def read_pictures(asked: Iterable[Pick]) -> dict[str, np.ndarray]:
    """The pictures that are named, (H, W, 3) uint8 by their paths; faces of the gallery have none.

    Raises: BadImage, with the file's name, where one cannot be read.
    """
    pictures = {}
    for path in (pick.reference for pick in asked if not pick.reference.startswith(GALLERY)):
        with _named(path):
            pictures[path] = open_image(path)
    return pictures


def find_takes(
    engine: Engine, asked: Iterable[Pick], pictures: Mapping[str, np.ndarray], effort: Effort
) -> tuple[Take, ...]:
    """The takes, their references opened; pictures: those that are named.

    Raises: BadRequest where words name nothing or too much, or no gallery face; NoFaceFound, with the file's
    name, where a picture shows no such face.
    """
    named = [(pick, [_name(word, engine.takeable) for word in pick.words]) for pick in asked]
    return tuple(
        Take(
            _reference(engine, pick, pictures, effort),
            tuple(names),
            1.0 if pick.amount is None else pick.amount,
        )
        for pick, names in named
    )


def _name(word: str, takeable: tuple[str, ...]) -> str:
    """The one name that the word is, or begins."""
    meant = [name for name in takeable if name == word] or [n for n in takeable if n.startswith(word)]
    if len(meant) == 1:
        return meant[0]
    wrong = f"'{word}' could be {' or '.join(meant)}" if word and meant else f"'{word}' cannot be taken"
    raise BadRequest(f"{wrong}; this model can take {', '.join(takeable)} from a reference.")


def _reference(engine: Engine, pick: Pick, pictures: Mapping[str, np.ndarray], effort: Effort) -> Reference:
    if pick.reference.startswith(GALLERY):
        return _gallery_face(engine, pick.reference.removeprefix(GALLERY))
    photo = pictures[pick.reference]
    with _named(pick.reference):
        return engine.open_portrait(photo, pick.face, seconds=effort.seconds, steps=effort.steps).reference


@contextlib.contextmanager
def _named(path: str) -> Iterator[None]:
    """There are two pictures or more: say which is wrong."""
    try:
        yield
    except (BadImage, NoFaceFound) as error:
        text = str(error)
        where = text.replace("this photo", path, 1)
        raise type(error)(where if where != text else f"{path}: {text}") from error


def _gallery_face(engine: Engine, text: str) -> Reference:
    count = engine.config.gallery
    if text.isdecimal() and 0 < int(text) <= count:
        return engine.gallery[int(text) - 1]
    faces = f"its faces are {GALLERY}1 to {GALLERY}{count}" if count else "it has none"
    raise BadRequest(f"This model's gallery has no face {text!r:.20}; {faces}.")
