"""A pickle's instructions, one after the other, as Python's documentation of `pickletools` has them.

Only what protocols 2 to 5 write; the text instructions of protocols 0 and 1 are in no file of weights.
Long values are views of the file, never copies, so that a claim of 10 GB costs nothing and is refused.
"""

import pickle
from collections.abc import Iterator
from struct import Struct
from typing import Any

# A dotted name has no more, and without an end of line a whole file would be one.
MAX_LINE = 300

_FIXED = {
    pickle.PROTO: "<B",
    pickle.FRAME: "<Q",
    pickle.BININT: "<i",
    pickle.BININT1: "<B",
    pickle.BININT2: "<H",
    pickle.BINFLOAT: ">d",
    pickle.BINGET: "<B",
    pickle.LONG_BINGET: "<I",
    pickle.BINPUT: "<B",
    pickle.LONG_BINPUT: "<I",
}
_COUNTED = {
    pickle.LONG1: "<B",
    pickle.LONG4: "<I",
    pickle.SHORT_BINUNICODE: "<B",
    pickle.BINUNICODE: "<I",
    pickle.BINUNICODE8: "<Q",
    pickle.SHORT_BINSTRING: "<B",
    pickle.BINSTRING: "<I",
    pickle.SHORT_BINBYTES: "<B",
    pickle.BINBYTES: "<I",
    pickle.BINBYTES8: "<Q",
    pickle.BYTEARRAY8: "<Q",
}
_TWO_LINES = {pickle.GLOBAL, pickle.INST}
_FIXED_STRUCTS = {code[0]: Struct(layout) for code, layout in _FIXED.items()}
_COUNTED_STRUCTS = {code[0]: Struct(layout) for code, layout in _COUNTED.items()}
_TWO_LINE_CODES = {code[0] for code in _TWO_LINES}
_STOP = pickle.STOP[0]


class Refused(Exception):
    """Why a file is not read; the message goes on where a sentence began with the file's name."""


def instructions(data: memoryview, start: int) -> Iterator[tuple[int, Any, int]]:
    """Each instruction up to the one that stops: its code, its argument, where the next one begins.

    Arguments: a number; a view of bytes, also where they are text or a long number; a dotted name; or None.
    Raises: Refused if the file ends before.
    """
    at = start
    while True:
        if at >= len(data):
            raise Refused("is damaged: it ends in the middle, as a download does that was cut off")
        code, argument, at = data[at], None, at + 1
        if code in _FIXED_STRUCTS:
            (argument,), at = _unpack(_FIXED_STRUCTS[code], data, at)
        elif code in _COUNTED_STRUCTS:
            (count,), at = _unpack(_COUNTED_STRUCTS[code], data, at)
            argument, at = piece(data, at, count), at + count
        elif code in _TWO_LINE_CODES:
            module, at = _line(data, at)
            name, at = _line(data, at)
            argument = f"{module}.{name}"
        yield code, argument, at
        if code == _STOP:
            return


def piece(data: memoryview, start: int, count: int) -> memoryview:
    """So many bytes. Raises: Refused if there are fewer."""
    if not 0 <= count <= len(data) - start:
        left = max(0, len(data) - start)
        raise Refused(f"is damaged or was cut off: it claims {count} bytes where it has {left}")
    return data[start : start + count]


def _unpack(struct: Struct, data: memoryview, at: int) -> tuple[tuple[Any, ...], int]:
    return struct.unpack(piece(data, at, struct.size)), at + struct.size


def _line(data: memoryview, at: int) -> tuple[str, int]:
    line, newline, _ = bytes(data[at : at + MAX_LINE]).partition(b"\n")
    if not newline:
        raise Refused("is damaged: a name in it has no end")
    return line.decode(errors="backslashreplace"), at + len(line) + 1
