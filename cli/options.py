"""What the words of the command line mean; mistakes are argparse's own errors."""

import argparse
import itertools
import math
from typing import Any

from core.pictures.limits import MAX_PIXELS

LONGEST = 3600
MOST_MEGAPIXELS = MAX_PIXELS // 10**6


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
        type=int,
        metavar="N",
        help="number of its face, the largest is 0",
    )
    parser.set_defaults(references=())


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


def count(text: str) -> int:
    """A number of photos, 1 or more."""
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of photos, 1 or more")
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
