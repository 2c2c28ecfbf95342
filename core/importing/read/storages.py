"""Tensors as views of a file's bytes, with everything that the file claims of them checked first."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from core.importing.read.pickle_code import Refused

# A state dict of a few thousand tensors takes about 100,000 instructions.
MAX_STEPS = 1_000_000
MAX_TEXT_BYTES = 64 * 2**20
MAX_AXES = 16
# An expanded tensor holds more numbers than it has memory; a bias or a mean code may be one.
MAX_EXPANDED = 2**16
_SPARE_BYTES = 64 * 2**20

STORAGE_TYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
NUMPY_TYPES = {
    "f8": torch.float64,
    "f4": torch.float32,
    "f2": torch.float16,
    "i8": torch.int64,
    "i4": torch.int32,
    "i2": torch.int16,
    "i1": torch.int8,
    "u1": torch.uint8,
    "b1": torch.bool,
}


_TOO_MUCH = "claims far more than a file of its size can hold"


class Budget:
    """What one file may cost, all in all: bytes of one part may be asked for under a million names."""

    def __init__(self, file_bytes: int) -> None:
        self._steps = MAX_STEPS
        self._text = MAX_TEXT_BYTES
        self._storage = file_bytes + _SPARE_BYTES
        self._tensors = 2 * file_bytes + _SPARE_BYTES

    def steps(self, count: int) -> None:
        """Instructions, or things handled by one."""
        self._steps -= count
        _check(self._steps, "holds far more things than a file of weights does")

    def text(self, count: int) -> None:
        """Bytes of text."""
        self._text -= count
        _check(self._text, "holds far more text than a file of weights does")

    def storage(self, count: int) -> None:
        """Bytes that may have to be copied."""
        self._storage -= count
        _check(self._storage, _TOO_MUCH)

    def tensor(self, count: int) -> None:
        """Bytes of a tensor if somebody wrote all of its numbers down."""
        self._tensors -= count
        _check(self._tensors, _TOO_MUCH)


def _check(left: int, reason: str) -> None:
    if left < 0:
        raise Refused(reason)


@dataclass(frozen=True)
class Storage:
    """Numbers in a row, (N,), of one type: what torch calls a storage."""

    numbers: Tensor


def read_numbers(data: memoryview, dtype: torch.dtype, budget: Budget, big_endian: bool = False) -> Tensor:
    """(N,): all numbers in the bytes; on the file's own memory where that is aligned.

    data: writable. Raises: Refused if the bytes are no whole number of them.
    """
    size = dtype.itemsize
    if len(data) % size:
        raise Refused("is damaged: a tensor in it ends in the middle of a number")
    if not len(data):
        return torch.empty(0, dtype=dtype)
    budget.storage(len(data))
    raw = torch.frombuffer(data, dtype=torch.uint8)
    if big_endian:
        raw = raw.view(-1, size).flip(1).reshape(-1)
    # A bool of any other byte than 0 and 1 is neither true nor false to C++.
    if dtype == torch.bool:
        return raw != 0
    return (raw if raw.data_ptr() % size == 0 else raw.clone()).view(dtype)


def tensor_view(storage: object, offset: object, size: object, stride: object, budget: Budget) -> Tensor:
    """The tensor of this size that a file lays over a storage.

    Raises: Refused if any of it lies outside of the storage, or it claims more numbers than that has.
    """
    if not isinstance(storage, Storage):
        raise Refused("is damaged: a tensor in it has no numbers")
    sizes, strides = _counts(size), _counts(stride)
    (first,) = _counts((offset,))
    if len(sizes) != len(strides):
        raise Refused("is damaged: the sizes and strides of a tensor in it do not belong together")
    count, held = math.prod(sizes), len(storage.numbers)
    last = first + sum((n - 1) * step for n, step in zip(sizes, strides, strict=True)) if count else 0
    if (count and last >= held) or count > max(held, MAX_EXPANDED):
        raise Refused(f"is damaged: a tensor of {sizes} in it claims more numbers than the {held} it has")
    budget.tensor(count * storage.numbers.itemsize)
    return storage.numbers.as_strided(sizes, strides, first) if count else storage.numbers.new_empty(sizes)


def array_tensor(
    data: memoryview, shape: object, dtype: torch.dtype, big_endian: bool, columns_first: bool, budget: Budget
) -> Tensor:
    """The tensor of a NumPy array, whose bytes must be as many as its shape says."""
    sizes = _counts(shape)
    if math.prod(sizes) * dtype.itemsize != len(data):
        raise Refused(f"is damaged: an array of {sizes} in it has {len(data)} bytes")
    budget.tensor(len(data))
    numbers = read_numbers(data, dtype, budget, big_endian)
    if columns_first:
        return numbers.reshape(sizes[::-1]).permute(*range(len(sizes))[::-1])
    return numbers.reshape(sizes)


def _counts(values: object) -> tuple[int, ...]:
    given = values if isinstance(values, tuple | list) else None
    if given is None or len(given) > MAX_AXES or any(type(n) is not int or not 0 <= n < 2**62 for n in given):
        raise Refused("is damaged: a tensor in it has an impossible size")
    return tuple(given)
