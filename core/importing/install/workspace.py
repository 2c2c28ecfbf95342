"""Changing the user's folder of models so that whatever happens leaves whole models there.

New bundles are built in a folder beside them and renamed into place. Whoever works there holds a lock, which
the system takes back from a process that is killed; what that one left is cleared away by the next.
"""

import contextlib
import errno
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import filelock
from safetensors import SafetensorError

from core.errors import BadCheckpoint, BadRequest

# Neither is seen by `list_bundles`, which looks for a model one level below the user's folder.
WORK, LOCK = ".importing", ".importing.lock"
NEW, BEFORE = "new", "before"
_FULL = (errno.ENOSPC, errno.EDQUOT)
# What safetensors says in place of an OSError: the number on Linux and macOS, on Windows.
_FULL_WORDS = re.compile(r"os error (28|112)\b|No space left")


@contextlib.contextmanager
def workspace(root: Path) -> Iterator[Path]:
    """An empty folder on the same disk as `root`, the user's folder, which is made if need be.

    Raises: BadRequest while somebody else changes models, or if the folder cannot be written.
    """
    work = root / WORK
    with disk_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(root / LOCK)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise BadRequest(
                "Models are being imported or removed by another process; wait until it is done."
            ) from None
        try:
            _clear(root)
            work.mkdir()
            yield work
        finally:
            _clear(root)
            lock.release()


def _clear(root: Path) -> None:
    """Remove what an import left; a bundle that it had moved away and not replaced comes back first."""
    before = root / WORK / BEFORE
    for folder in before.iterdir() if before.is_dir() else ():
        if not (root / folder.name).exists():
            folder.rename(root / folder.name)
    shutil.rmtree(root / WORK, ignore_errors=True)


def put(work: Path, new: Path | None, place: Path) -> None:
    """Rename `new` to `place`; what is there now is removed. None: nothing comes in its stead."""
    if place.exists() or place.is_symlink():
        (work / BEFORE).mkdir()
        place.rename(work / BEFORE / place.name)
    if new is None:
        shutil.rmtree(work / BEFORE)
    else:
        new.rename(place)


def check_room(root: Path, needed: int) -> None:
    """Raises: BadCheckpoint if the disk of this folder has not `needed` bytes left."""
    free = shutil.disk_usage(root).free
    if free < needed:
        raise BadCheckpoint(
            f"The import needs {needed / 2**20:,.0f} MiB in {root}, where {free / 2**20:,.0f} are left; "
            "make room, or set VISAGIST_HOME to another place."
        )


@contextlib.contextmanager
def disk_errors(root: Path) -> Iterator[None]:
    """What the system says of a full disk or a folder that may not be written, as one sentence."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        number = error.errno if isinstance(error, OSError) else None
        if number in _FULL or _FULL_WORDS.search(str(error)):
            raise BadCheckpoint(
                f"The disk is full: {root} had no room for this model, and nothing was changed; make room, "
                "or set VISAGIST_HOME to another place."
            ) from error
        reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
        raise BadCheckpoint(
            f"{root} cannot be written ({reason}); set VISAGIST_HOME to another place."
        ) from error
