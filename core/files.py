"""Files written so that whatever happens leaves the old one whole, or the new one.

What is written lies beside its place under a hidden name of its own until it is on the disk, and is renamed
then. An exception takes it away again; what a killed process left, `clear_left` takes away.
"""

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from core.errors import CannotWrite

_PART = re.compile(r"\.visagist-(\d+)-[0-9a-f]{8}\.part")  # the process, and what tells its files apart


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """An empty file beside `path` to write to; it takes the place of `path` where the block ends well.

    Of a link, what it points at is replaced; the new file may be read and written by whom the old one could.
    Raises: OSError where it cannot be written, what is there is no ordinary file, or may not be changed.
    """
    place = Path(os.path.realpath(path))
    part = place.with_name(f".visagist-{os.getpid()}-{secrets.token_hex(4)}.part")
    mode = _mode_there(place)
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        mode = mode or stat.S_IMODE(part.stat().st_mode)
        yield part
        part.chmod(mode)  # now: who writes may have put another file there
        _to_disk(part, os.O_RDWR)
        os.replace(part, place)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    # The new name is on the disk when the folder is; some systems cannot be asked for that.
    with contextlib.suppress(OSError):
        _to_disk(place.parent, os.O_RDONLY)


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file with this content, in place of what is there.

    Raises: CannotWrite, and everything is as it was.
    """
    try:
        with replacing(path) as part:
            part.write_bytes(data)
    except (OSError, ValueError) as error:  # ValueError: a path with a null byte
        reason = getattr(error, "strerror", None) or str(error)
        raise CannotWrite(f"Cannot write {os.fspath(path)!r}: {reason}; choose another place.") from error


def clear_left(folder: Path) -> None:
    """Remove what processes that are no more left half written in a folder."""
    for file in folder.glob(".visagist-*.part"):
        named = _PART.fullmatch(file.name)
        if named is not None and not _runs(int(named[1])):
            with contextlib.suppress(OSError):
                file.unlink()


def _mode_there(place: Path) -> int | None:
    """Who may do what with the file that is there; None: there is none."""
    try:
        mode = place.stat().st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is there already, and no ordinary file")
    if not os.access(place, os.W_OK):  # renaming would ask the folder alone
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))
    return stat.S_IMODE(mode)


def _to_disk(path: Path, how: int) -> None:
    number = os.open(path, how)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _runs(process: int) -> bool:
    if os.name != "posix":
        return True  # where signal 0 would end it
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True
