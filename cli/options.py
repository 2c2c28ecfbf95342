"""What the words of the command line mean; mistakes are argparse's own errors."""

import argparse
import itertools
import math
from dataclasses import dataclass
from typing import Any

from core.pictures.limits import MAX_PIXELS

MOST_MEGAPIXELS = MAX_PIXELS // 10**6
# How a face of the model's gallery is named, before its number.
GALLERY = "gallery:"
LONGEST = 3600
# Of descent, where a model does that: what two cores do in twelve seconds. Unlike seconds, steps make the
# same picture every time.
STEPS = 56


@dataclass(frozen=True)
class Effort:
    """How long a face's code is looked for: so many seconds at most, and so many steps; None: any number."""

    seconds: float = LONGEST
    steps: int | None = STEPS

    @classmethod
    def of(cls, seconds: float | None, steps: int | None) -> "Effort":
        """What was said of either, None where nothing was; where seconds alone were given, they count."""
        if seconds is None:
            return cls(steps=steps or STEPS)
        return cls(seconds, steps)


def add_effort(parser: argparse.ArgumentParser) -> None:
    """Add --seconds and --steps, both None unless they are given."""
    parser.add_argument(
        "--steps", type=steps, default=None, metavar="N",
        help=f"how many steps to look for the face's code, where the model does that ({STEPS}); the same "
        "number makes the same picture",
    )  # fmt: skip
    parser.add_argument(
        "--seconds", type=seconds, default=None, metavar="N",
        help="look for so many seconds at most; without --steps, time alone counts",
    )  # fmt: skip


def add_references(parser: argparse.ArgumentParser) -> None:
    """Add --reference and what belongs to it: `references` holds (option, value) in the order given."""
    parser.add_argument(
        "--reference", action=_InOrder, metavar="PHOTO|gallery:N",
        help="a face to take from, or a face of the model's gallery; what belongs to it follows it",
    )  # fmt: skip
    parser.add_argument(
        "--take", action=_InOrder, metavar="NAME,...",
        help="what to take of it, for example mouth,age (a name's beginning will do); a second --take or "
        "--reference takes from what the first has made",
    )  # fmt: skip
    parser.add_argument("--amount", action=_InOrder, type=float, metavar="-1..2", help="how much of that (1)")
    parser.add_argument(
        "--reference-face",
        action=_InOrder,
        type=face,
        metavar="N",
        help="number of its face, if not the first",
    )
    parser.set_defaults(references=())


def add_refine(parser: argparse.ArgumentParser, text: str, default: str | None) -> None:
    """Add --refine, whose help is `text`, and --refiner."""
    parser.add_argument("--refine", choices=("off", "fast", "best"), default=default, help=text)
    parser.add_argument(
        "--refiner", choices=("one_stage", "two_stage"), default=None,
        help="which refiner is fast (the first that the model lists)",
    )  # fmt: skip


def add_out(parser: argparse.ArgumentParser, several: str = "") -> None:
    """Add --out and --no-notes; several: what more there is to say of it."""
    parser.add_argument(
        "--out", required=True, metavar="OUT.png",
        help=f"where to write: .png, .jpg, .tif or .webp; - for standard output, as PNG{several}",
    )  # fmt: skip
    parser.add_argument(
        "--no-notes", action="store_false", dest="notes", default=True,
        help="leave date, rights and camera out of what is written; the place is never in it",
    )  # fmt: skip


class _InOrder(argparse.Action):
    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        before = getattr(namespace, "references", ())
        namespace.references = (*before, (str(option_string).removeprefix("--"), values))


def slider(text: str) -> tuple[str, float]:
    """NAME=VALUE."""
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=VALUE, such as smile=1.5") from None


def face(text: str) -> int:
    """A face's number as the app shows it, from 1: its place among the faces, from 0."""
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"'{text}' is not a face's number; they are counted from 1")
    return int(text) - 1


def count(text: str) -> int:
    """A number of photos, 1 or more."""
    return _whole(text, "photos")


def steps(text: str) -> int:
    """A number of steps, 1 or more."""
    return _whole(text, "steps")


def _whole(text: str, what: str) -> int:
    if not (text.isdecimal() and len(text) < 10 and int(text) > 0):
        raise argparse.ArgumentTypeError(f"'{text:.20}' is not a number of {what}, 1 or more")
    return int(text)


def seconds(text: str) -> float:
    """Above 0, and an hour at most."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 < found <= LONGEST:  # nor is nan
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of seconds, at most {LONGEST}")
    return found


def times(text: str) -> tuple[float, ...]:
    """N or N,N,...: seconds, each more than the one before."""
    try:
        found = tuple(seconds(word) for word in text.split(","))
    except argparse.ArgumentTypeError:
        found = ()
    if not found or any(a >= b for a, b in itertools.pairwise(found)):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of seconds, or several that rise: 12,40")
    return found


def port(text: str) -> int:
    """1 to 65535."""
    if not (text.isdecimal() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f"'{text}' is not a port, 1 to 65535")
    return int(text)


def megapixels(text: str) -> int:
    """1 to MOST_MEGAPIXELS."""
    if not (text.isdecimal() and 0 < int(text) <= MOST_MEGAPIXELS):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of megapixels, 1 to {MOST_MEGAPIXELS}")
    return int(text)


def credentials(text: str) -> tuple[str, str]:
    """USER:PASSWORD."""
    user, _, password = text.partition(":")
    if not (user and password):
        raise argparse.ArgumentTypeError("give USER:PASSWORD")
    return user, password
