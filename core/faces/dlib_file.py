"""dlib's serialised networks, read as data: the float32 tensors of a .dat, in the file's order.

dlib writes an integer as one control byte (the number of bytes, the top bit the sign) and that many
little-endian bytes, and a tensor as the integers 2 (its version), samples, k, rows and columns, then
the numbers, little-endian float32 (dlib/serialize.h, dlib/cuda/tensor.h of dlib 19.24).
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

_HEAD = re.compile(rb"\x01\x02(?=[\x01-\x04])")


def read_tensors(path: Path, sha256: str, lengths: Sequence[int]) -> list[np.ndarray]:
    """The file's tensors of these lengths, one after the other. sha256: which file it must be, hexadecimal.

    Raises: ValueError if it is another file or does not hold them; OSError if it cannot be read.
    """
    raw = path.read_bytes()
    if hashlib.sha256(raw).hexdigest() != sha256:
        raise ValueError(f"{path.name} is not the file it should be: its SHA-256 is another")
    return scan_tensors(raw, lengths)


def scan_tensors(raw: bytes, lengths: Sequence[int]) -> list[np.ndarray]:
    """(N,) float32 arrays: for each of `lengths` the next tensor of that many numbers.

    Other numbers can look like a tensor's head, so what has not the length that is due is passed over.
    Raises: ValueError if one is missing.
    """
    found, position = [], 0
    for wanted in lengths:
        while (match := _HEAD.search(raw, position)) is not None:
            place, length = match.end(), 1
            for _ in range(4):
                side, place = _integer(raw, place)
                length *= side
            position = match.start() + 1
            if length == wanted and place + 4 * length <= len(raw):
                found.append(np.frombuffer(raw, "<f4", length, place).astype(np.float32))
                position = place + 4 * length
                break
        else:
            raise ValueError(f"Tensor {len(found)} of {len(lengths)} is missing: no {wanted} numbers")
    return found


def _integer(raw: bytes, place: int) -> tuple[int, int]:
    """A non-negative integer at `place`, 0 if there is none; and where the next thing begins."""
    control = raw[place] if place < len(raw) else 0
    if not 1 <= control <= 4:
        return 0, place
    return int.from_bytes(raw[place + 1 : place + 1 + control], "little"), place + 1 + control
