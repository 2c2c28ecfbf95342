"""torch's own files as data: the zip archive of today, and the row of pickles of before torch 1.6.

In both, a pickle says which tensors there are, and their numbers lie outside of it: in an archive as entries,
which stay on the file's memory; in a legacy file after the pickles, from where they are copied, since their
place is only known when the pickle has been read.
"""

import mmap
import zipfile
from struct import Struct
from typing import Any

import torch

from core.importing.read.pickle_code import Refused, instructions, piece
from core.importing.read.stand_ins import StorageName
from core.importing.read.storages import Budget, Storage, read_numbers
from core.importing.read.unpickling import unpickle

# What every legacy file begins with, after the version of its pickle: a long number of torch's choice.
LEGACY_MAGIC = bytes.fromhex("8a0a6cfc9c46f9206aa85019")
# The table of contents of an archive with a few thousand tensors has 0.5 MiB.
MAX_CONTENTS_BYTES = 8 * 2**20
_LOCAL_HEADER = Struct("<4s22xHH")
_COUNT = Struct("<q")
_ENCRYPTED = 1
_LARGE_BYTES = 2**20


class _Place:
    """A torch file's storages, by their keys."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.storages: dict[str, Storage] = {}

    def storage(self, identity: Any) -> Storage:
        """What the pickle's ("storage", its class, its key, its device, its length) stands for."""
        if type(identity) is not tuple or len(identity) not in (5, 6):
            raise Refused("is damaged: something in it is found nowhere")
        kind, of, key, _, count, *views = identity
        if kind != "storage" or not isinstance(of, StorageName) or not isinstance(key, str):
            raise Refused("is damaged: something in it is found nowhere")
        if type(count) is not int or not 0 <= count < 2**62 or any(view is not None for view in views):
            raise Refused("is damaged: a tensor in it has an impossible size")
        if key not in self.storages:
            self.storages[key] = Storage(self.numbers(key, count, of.dtype))
        found = self.storages[key]
        if (len(found.numbers), found.numbers.dtype) != (count, of.dtype):
            raise Refused("is damaged: it gives the same numbers two types")
        return found

    def numbers(self, key: str, count: int, dtype: torch.dtype) -> torch.Tensor:
        """The (count,) numbers of a storage."""
        raise Refused("is damaged: something in it is found nowhere")

    def inner_storage(self, data: memoryview) -> Storage:
        """Only in NVIDIA's pickles does one file lie in another."""
        raise Refused("is damaged: it holds a torch file in a torch file")


class _LegacyPlace(_Place):
    def numbers(self, key: str, count: int, dtype: torch.dtype) -> torch.Tensor:
        # Checked against the file's size before any memory is asked for.
        self.budget.storage(count * dtype.itemsize)
        return torch.empty(count, dtype=dtype)


class _ArchivePlace(_Place):
    def __init__(self, budget: Budget, data: memoryview, entries: dict[str, zipfile.ZipInfo]) -> None:
        super().__init__(budget)
        self._data = data
        self._entries = entries

    def numbers(self, key: str, count: int, dtype: torch.dtype) -> torch.Tensor:
        data = _entry(self._data, self._entries, f"data/{key}")
        if len(data) != count * dtype.itemsize:
            raise Refused(f"is damaged: a tensor in it claims {count} numbers where it has {len(data)} bytes")
        return read_numbers(data, dtype, self.budget)


def is_legacy(data: memoryview) -> bool:
    """Whether it begins as `torch.save` did before 1.6."""
    return data[2 : 2 + len(LEGACY_MAGIC)] == LEGACY_MAGIC


def read_legacy(data: memoryview, budget: Budget) -> Any:
    """Three pickles about torch and the machine, the content, the storages' keys, the storages.

    Raises: Refused, or whatever Python and torch raise where the file makes no sense.
    """
    at = 0
    for _ in range(3):
        at = _after_pickle(data, at, budget)
    place = _LegacyPlace(budget)
    content, at = unpickle(data, at, place, place.storage)
    keys, at = unpickle(data, at, place)
    # Text first: comparing nested keys may take forever.
    if (
        type(keys) is not list
        or not all(isinstance(k, str) for k in keys)
        or set(keys) != set(place.storages)
    ):
        raise Refused("is damaged: the tensors that it holds are not those that it lists")
    for key in keys:
        numbers = place.storages[key].numbers
        (count,), at = _COUNT.unpack(piece(data, at, _COUNT.size)), at + _COUNT.size
        if count != len(numbers):
            raise Refused("is damaged: a tensor in it claims two lengths")
        raw, at = piece(data, at, numbers.nbytes), at + numbers.nbytes
        if len(raw):
            target = numbers if numbers.dtype == torch.bool else numbers.view(torch.uint8)
            target.copy_(torch.frombuffer(raw, dtype=torch.uint8))
            _release(raw)
    return content


def _release(copied: memoryview) -> None:
    # What has been copied may leave memory: a file of 1.2 GB would else take it twice.
    if isinstance(copied.obj, mmap.mmap) and len(copied) >= _LARGE_BYTES and hasattr(mmap, "MADV_DONTNEED"):
        copied.obj.madvise(mmap.MADV_DONTNEED)


def _after_pickle(data: memoryview, start: int, budget: Budget) -> int:
    end = start
    for _, _, after in instructions(data, start):
        budget.steps(1)
        end = after
    return end


def read_archive(data: memoryview, budget: Budget) -> Any:
    """A zip archive whose entries are all stored as they are: `data.pkl`, and `data/KEY` for each storage.

    Raises: Refused, or whatever Python and torch raise where the file makes no sense.
    """
    try:
        with zipfile.ZipFile(_Contents(data)) as archive:
            entries = {info.filename: info for info in archive.infolist()}
    except zipfile.BadZipFile:
        raise Refused("is damaged: it ends in the middle, as a download does that was cut off") from None
    roots = [name.removesuffix("data.pkl") for name in entries if name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise Refused("is a zip archive, but not one that torch has saved")
    # Older versions write no byte order, and were never used on machines of the other one.
    entries = {name.removeprefix(roots[0]): info for name, info in entries.items()}
    if "constants.pkl" in entries:
        raise Refused("is a TorchScript program, which would run code; it was not opened")
    if "byteorder" in entries and bytes(_entry(data, entries, "byteorder")) != b"little":
        raise Refused("was saved on a machine of another byte order")
    place = _ArchivePlace(budget, data, entries)
    code = _entry(data, entries, "data.pkl")
    content, end = unpickle(code, 0, place, place.storage)
    if end != len(code):
        raise Refused("is damaged: something follows after its end")
    return content


def _entry(data: memoryview, entries: dict[str, zipfile.ZipInfo], name: str) -> memoryview:
    info = entries.get(name)
    if info is None:
        raise Refused(f"is damaged: it lacks its part {name!a:.80}")
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & _ENCRYPTED:
        raise Refused("is a compressed zip archive, which torch never saves")
    header = piece(data, info.header_offset, _LOCAL_HEADER.size)
    signature, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(header)
    if signature != b"PK\3\4":
        raise Refused("is damaged: its parts are not where it says")
    start = info.header_offset + _LOCAL_HEADER.size + name_bytes + extra_bytes
    return piece(data, start, info.file_size)


class _Contents:
    """Enough of a file for `zipfile` to read a table of contents, and no larger one than torch writes."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where it is."""
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place, from the beginning, from here, or from the end."""
        self._at = max(0, (0, self._at, len(self._data))[whence] + offset)
        return self._at

    def read(self, count: int = -1) -> bytes:
        """So many bytes, or what is left of them."""
        found = self._data[self._at :][: None if count < 0 else count]
        if len(found) > MAX_CONTENTS_BYTES:
            raise Refused("is damaged: its table of contents is far larger than those that torch writes")
        self._at += len(found)
        return bytes(found)
