"""A face to take something from (Reference), and what an edit takes from it, how much (Take)."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from core.errors import BadRequest

AMOUNT_RANGE = (-1.0, 2.0)
# What style mixing takes (Karras et al. 2019, section 3.1): `core.editing.mixing`.
MIXES = ("coarse", "middle", "fine", "colour")
# A stack is as deep as a hand builds it; every entry costs time on every picture.
MAX_TAKES = 16


@dataclass(frozen=True, eq=False)
class Reference:
    """A face of which only its code and its picture are kept; references of equal codes are equal.

    w_plus: (L, D) float32. picture: (R, R, 3) uint8, to show. Both are read-only.
    key: SHA-256 of the code, in hexadecimal.
    """

    w_plus: np.ndarray
    picture: np.ndarray
    key: str = field(init=False)

    def __post_init__(self) -> None:
        w_plus = np.array(self.w_plus, np.float32, order="C")
        picture = np.array(self.picture, np.uint8, order="C")
        digest = hashlib.sha256(repr(w_plus.shape).encode())
        digest.update(w_plus.data)
        object.__setattr__(self, "key", digest.hexdigest())
        for name, array in (("w_plus", w_plus), ("picture", picture)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return self.w_plus.nbytes + self.picture.nbytes


@dataclass(frozen=True)
class Take:
    """What an edit takes from a reference.

    what: names of attributes, or of MIXES; kept sorted, each once. amount: in [-1, 2]; 0 takes nothing, 1
    what the reference has, more exaggerates it, less than 0 goes the other way.
    Raises: BadRequest on another amount, or a name that is no text.
    """

    reference: Reference
    what: tuple[str, ...]
    amount: float = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.what, str) or not all(isinstance(name, str) for name in self.what):
            raise BadRequest(f"What to take is {self.what!r:.40}; name attributes of the model.")
        object.__setattr__(self, "what", tuple(sorted(set(self.what))))
        object.__setattr__(self, "amount", number("amount", self.amount, AMOUNT_RANGE))


def effective(takes: Iterable[Take]) -> tuple[Take, ...]:
    """Those that take something, in order.

    Raises: BadRequest if there are more than MAX_TAKES of them.
    """
    kept = tuple(take for take in takes if take.what and take.amount != 0)
    if len(kept) > MAX_TAKES:
        raise BadRequest(f"An edit takes from at most {MAX_TAKES} references; remove one first.")
    return kept


def number(name: str, value: object, bounds: tuple[float, float]) -> float:
    """The value as a float.

    Raises: BadRequest if it is no number within the bounds.
    """
    low, high = bounds
    # NaN fails both comparisons.
    if not (isinstance(value, int | float | np.integer | np.floating) and low <= value <= high):
        raise BadRequest(f"The {name} is at {value!r:.20}; give it a number from {low:g} to {high:g}.")
    return float(value)
