"""A stranger's checkpoint as plain data: recognised by its content, hashed, read, and never run.

Files stay mapped, not loaded: a file of 1.2 GB needs little more memory than the tensors that are used.
"""

import hashlib
import mmap
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import BadCheckpoint
from core.importing.read.pickle_code import Refused
from core.importing.read.stand_ins import stand_in
from core.importing.read.storages import Budget, Storage
from core.importing.read.torch_files import is_legacy, read_archive, read_legacy
from core.importing.read.unpickling import PersistentObject, Plain, persistent_tensors, unpickle

__all__ = ["Checkpoint", "PersistentObject", "persistent_tensors", "read_checkpoint"]

_CHUNK_BYTES = 4 * 2**20
# Enough of a web page to find its title in.
_HEAD_BYTES = 64 * 2**10
_NO_WEIGHTS = {
    b"version https://git-lfs": "is a Git LFS pointer, not weights: `git lfs pull` brings the file itself",
    b"\xff\xd8\xff": "is a JPEG picture, not weights",
    b"\x89PNG": "is a PNG picture, not weights",
    b"\x1f\x8b": "is a gzip archive: unpack it, and import what is in it",
    b"7z\xbc\xaf\x27\x1c": "is a 7z archive: unpack it, and import what is in it",
    b"Rar!": "is a RAR archive: unpack it, and import what is in it",
    b"\x93NUMPY": "is a NumPy array, not weights that PyTorch has saved",
    b"\x89HDF": "is an HDF5 file, not weights that PyTorch has saved",
    b"%PDF": "is a PDF document, not weights",
}
_TAR_MAGIC_AT = 257
# What a pickle of protocol 0 begins with if it is made to run something.
_TEXT_PICKLE = re.compile(rb"\(?[ci]([\w.]{1,100})\n([\w.]{1,100})\n")


@dataclass(frozen=True)
class Checkpoint:
    """A file that was read.

    sha256: in hexadecimal; content: plain containers, text, numbers and CPU tensors, which may lie on the
    file's own memory, and for NVIDIA's pickles `PersistentObject`s.
    """

    path: Path
    sha256: str
    content: Any


def read_checkpoint(path: Path, progress: Callable[[float], None] | None = None) -> Checkpoint:
    """Read a torch file (of today or legacy) or one of NVIDIA's pickles; nothing that it names is run.

    progress: told the fraction done, from 0 to 1.
    Raises: BadCheckpoint, with one sentence that names the file, if it is no such file.
    """
    report = progress or (lambda fraction: None)
    name = path.name if path.name.isprintable() else ascii(path.name)
    try:
        return Checkpoint(path, *_read(path, report))
    except Refused as refusal:
        raise BadCheckpoint(f"{name} {refusal}.") from None
    except FileNotFoundError:
        raise BadCheckpoint(f"There is no file {path}.") from None
    # ValueError: a path with a character that none can have.
    except (OSError, ValueError) as error:
        raise BadCheckpoint(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}.") from None


def _read(path: Path, report: Callable[[float], None]) -> tuple[str, Any]:
    if path.is_dir():
        raise Refused("is a folder, not a file of weights")
    if path.exists() and not path.is_file():
        raise Refused("is a device, not a file of weights")
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        _check_head(head)
        sha256, size = hashlib.sha256(head), len(head)
        total = max(path.stat().st_size, 1)
        while chunk := file.read(_CHUNK_BYTES):
            sha256.update(chunk)
            size += len(chunk)
            report(min(0.99, size / total))
        # A private map may be written to by who gets its tensors; the file never changes.
        data = memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY))
    content = _content(data)
    report(1.0)
    return sha256.hexdigest(), content


def _check_head(head: bytes) -> None:
    if not head:
        raise Refused("is empty: download it again")
    for magic, reason in _NO_WEIGHTS.items():
        if head.startswith(magic):
            raise Refused(reason)
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
        raise Refused(f"is a web page, not weights: {_who_wrote(head)}")
    if head[_TAR_MAGIC_AT:].startswith(b"ustar"):
        raise Refused("is a tar archive: unpack it, and import what is in it")
    if head[8:10] == b'{"':
        raise Refused("is a safetensors file: none of the published formats that can be imported is one")
    if named := _TEXT_PICKLE.match(head):
        stand_in(b".".join(named.groups()).decode())
    if not head.startswith((b"PK\3\4", b"\x80")):
        raise Refused("is no file of weights that PyTorch or NVIDIA's projects save")


def _who_wrote(page: bytes) -> str:
    lower = page.lower()
    if b"google drive" in lower and (b"quota" in lower or b"too many users" in lower):
        return "Google Drive's quota for it is used up for now; download it again tomorrow, in a browser"
    if b"google drive" in lower or b"drive.google.com" in lower:
        return (
            "Google Drive asks for a confirmation before it sends the file; download it again, in a browser"
        )
    return "the server sent a page in its place; download it again, in a browser"


def _content(data: memoryview) -> Any:
    """Raises: Refused, and nothing else."""
    try:
        return Plain()(_made(data, Budget(len(data))))
    except Refused:
        raise
    # Instructions in a wrong order meet whatever Python and torch say to values that they cannot use.
    except Exception:
        raise Refused("is damaged: its instructions make no sense together") from None


def _made(data: memoryview, budget: Budget) -> Any:
    if data[:4] == b"PK\3\4":
        return read_archive(data, budget)
    if is_legacy(data):
        return read_legacy(data, budget)
    content, end = unpickle(data, 0, _PicklePlace(budget))
    if end != len(data):
        raise Refused("is damaged: something follows after its end")
    return content


class _PicklePlace:
    """A plain pickle: of the tensors in it, each is a legacy torch file of one storage."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget

    def inner_storage(self, data: memoryview) -> Storage:
        """What `torch.storage._load_from_bytes` is given."""
        storage = read_legacy(data, self.budget) if is_legacy(data) else None
        if not isinstance(storage, Storage):
            raise Refused("is damaged: a tensor in it has no numbers")
        return storage
