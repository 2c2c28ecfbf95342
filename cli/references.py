"""References as words name them: which face, what of it, how much; for the command line."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from core.engine import Engine
from core.errors import BadImage, BadRequest, NoFaceFound
from core.images import open_image
from core.references import AMOUNT_RANGE, Reference, Take, number

GALLERY = "gallery:"


@dataclass(frozen=True)
class Pick:
    """A Take to be. reference: a picture's path, or gallery:N, N from 1; words: names, or how they begin."""

    reference: str
    face: int = 0
    words: tuple[str, ...] = ()
    amount: float | None = None


def picks(options: Iterable[tuple[str, Any]]) -> tuple[Pick, ...]:
    """What a row of options asks for, in their order.

    options: ("reference", path or gallery:N), to which those after it belong; ("take", words with commas
    between), a second one of which begins another Take of the same reference; ("amount", number), by default
    1; ("reference-face", number).
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


def find_takes(engine: Engine, asked: Iterable[Pick], seconds: float) -> tuple[Take, ...]:
    """The takes, their references opened, each in so many seconds.

    Raises: BadRequest where words name nothing or too much, or no gallery face; BadImage or NoFaceFound, with
    the file's name, where a picture cannot be read or shows no such face.
    """
    named = [(pick, [_name(word, engine.takeable) for word in pick.words]) for pick in asked]
    return tuple(
        Take(_reference(engine, pick, seconds), tuple(names), 1.0 if pick.amount is None else pick.amount)
        for pick, names in named
    )


def _name(word: str, takeable: tuple[str, ...]) -> str:
    """The one name that the word is, or begins."""
    meant = [name for name in takeable if name == word] or [n for n in takeable if n.startswith(word)]
    if len(meant) == 1:
        return meant[0]
    wrong = f"'{word}' could be {' or '.join(meant)}" if word and meant else f"'{word}' cannot be taken"
    raise BadRequest(f"{wrong}; this model can take {', '.join(takeable)} from a reference.")


def _reference(engine: Engine, pick: Pick, seconds: float) -> Reference:
    if pick.reference.startswith(GALLERY):
        return _gallery_face(engine, pick.reference.removeprefix(GALLERY))
    try:
        return engine.open_portrait(open_image(pick.reference), pick.face, seconds=seconds).reference
    except (BadImage, NoFaceFound) as error:
        # There are two pictures or more: say which.
        text = str(error)
        where = text.replace("this photo", pick.reference, 1)
        raise type(error)(where if where != text else f"{pick.reference}: {text}") from error


def _gallery_face(engine: Engine, text: str) -> Reference:
    count = engine.config.gallery
    if text.isdecimal() and 0 < int(text) <= count:
        return engine.gallery[int(text) - 1]
    faces = f"its faces are {GALLERY}1 to {GALLERY}{count}" if count else "it has none"
    raise BadRequest(f"This model's gallery has no face {text!r:.20}; {faces}.")
