"""The zip file that a project is: always the same bytes, and read as if a stranger had made it.

Its first entry, stored uncompressed, is `mimetype`, as in an OpenDocument or EPUB file: so the first bytes
tell a project from any other zip file, and a project that was cut short from a file that never was one.
Nothing is ever unpacked to disk; every entry is read into memory, up to a limit.
"""

import io
import os
import stat
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

from core.errors import BadProject

Source = str | os.PathLike[str] | bytes

MIMETYPE_ENTRY = "mimetype"
MIMETYPE = b"application/vnd.visagist.project+zip"
# The largest honest file: a photo of 40 megapixels of noise, both refinements and a visit full of faces.
MAX_FILE_BYTES = 512 * 2**20
MAX_ENTRIES = 1000

_LOCAL = b"PK\x03\x04"
_NAME_AT = 30  # length of a local file header; the entry's name and content follow
_START = MIMETYPE_ENTRY.encode() + MIMETYPE
# End of central directory: signature, disks, entries twice, directory's size and place, comment's length.
_END = struct.Struct("<4s4H2LH")
_END_SIGNATURE, _ZIP64_SIGNATURE, _ZIP64_LENGTH = b"PK\x05\x06", b"PK\x06\x07", 20
_MAX_DIRECTORY = 256 * MAX_ENTRIES  # far more than our own short names take
_ENCRYPTED = 0x1
# Whatever the clock and the system, the same project is the same bytes.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNIX, _MODE = 3, (stat.S_IFREG | 0o644) << 16

DAMAGED = "This project file is damaged or incomplete; use another copy of it."


def pack(entries: Mapping[str, bytes]) -> bytes:
    """A project's file with these entries, in this order; equal entries give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in {MIMETYPE_ENTRY: MIMETYPE, **entries}.items():
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system, info.external_attr = _UNIX, _MODE
            archive.writestr(info, content)  # stored: pictures are packed already, weights do not shrink
    return buffer.getvalue()


def is_archive(source: Source) -> bool:
    """Whether a file, given by its path or bytes, begins as a project does; False if it cannot be read."""
    length = _NAME_AT + len(_START)
    try:
        head = _read_file(source, length)[:length]
    except (OSError, ValueError):
        return False
    return head.startswith(_LOCAL) and head[_NAME_AT:] == _START


class Archive:
    """The entries of a project's file, of which none has been read yet.

    Raises: BadProject, with one sentence, if the file is no project, is damaged, or has what none has.
    """

    def __init__(self, source: Source) -> None:
        data = _read(source)
        _check_end(data)
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        # What zipfile raises on hostile bytes depends on where they are wrong: BadZipFile, struct.error,
        # UnicodeDecodeError, NotImplementedError, ...
        except Exception as error:
            raise BadProject(DAMAGED) from error
        infos = self._zip.infolist()
        for info in infos:
            _check_entry(info)
        self._sizes = {info.orig_filename: info.file_size for info in infos}
        if len(self._sizes) < len(infos):
            raise BadProject("This project file holds an entry twice, so it was not made by Visagist.")
        if sum(self._sizes.values()) > MAX_FILE_BYTES:
            raise BadProject(_too_large("unpacked it takes"))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all entries but `mimetype`, as they are in the file: not to be used as paths."""
        return tuple(name for name in self._sizes if name != MIMETYPE_ENTRY)

    def read(self, name: str, limit: int) -> bytes:
        """The content of an entry.

        Raises: BadProject if there is no such entry, it is damaged, or longer than `limit` bytes.
        """
        if name not in self._sizes:
            raise BadProject(f"This project file is incomplete: it lacks {name}; use another copy of it.")
        try:
            # By the bytes that come out, not by the size that the header claims.
            with self._zip.open(name) as entry:
                content = entry.read(limit + 1)
        except Exception as error:  # as many kinds as above, and zlib's
            raise BadProject(DAMAGED) from error
        if len(content) > limit:
            raise BadProject(f"This project file is not made by Visagist: its {name} is far too large.")
        return content


def _read(source: Source) -> bytes:
    try:
        data = _read_file(source, MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a path with a null byte
        reason = getattr(error, "strerror", None) or str(error)
        raise BadProject(f"The project cannot be read ({reason}); check its path.") from error
    if not data:
        raise BadProject("This file is empty; choose a project that Visagist saved.")
    if len(data) > MAX_FILE_BYTES:
        raise BadProject(_too_large("it takes"))
    if not is_archive(data):
        kind = "zip file" if data.startswith(b"PK") else "file"
        raise BadProject(f"This {kind} is no Visagist project; choose one that Visagist saved.")
    return data


def _read_file(source: Source, limit: int) -> bytes:
    if isinstance(source, bytes):
        return source
    with Path(source).open("rb") as file:
        return file.read(limit)


def _too_large(what: str) -> str:
    return f"This project file is too large: {what} more than {MAX_FILE_BYTES // 2**20} MiB."


def _check_end(data: bytes) -> None:
    """Refuse what is cut short, and a directory so large that reading it alone would fill the memory."""
    end = len(data) - _END.size
    if end < 0:
        raise BadProject(DAMAGED)
    signature, *_, count, size, _, comment = _END.unpack_from(data, end)
    zip64 = data[max(0, end - _ZIP64_LENGTH) : end].startswith(_ZIP64_SIGNATURE)
    if signature != _END_SIGNATURE or comment or zip64:
        raise BadProject(DAMAGED)
    if count > MAX_ENTRIES or size > _MAX_DIRECTORY:
        raise BadProject(
            f"This project file holds far more than the {MAX_ENTRIES} entries that one may have."
        )


def _check_entry(info: zipfile.ZipInfo) -> None:
    if info.flag_bits & _ENCRYPTED:
        raise BadProject("This project file is encrypted; save it without a password.")
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG) or info.is_dir():
        raise BadProject("This project file holds a link or a folder, so it was not made by Visagist.")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BadProject("This project file is packed in a way that Visagist does not read.")
