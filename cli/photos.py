"""Which files words of the command line mean: a photo, a project, or the photos of a folder."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import BadRequest

SUFFIXES = {
    ".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jpe", ".jpeg", ".jpg", ".mpo", ".png", ".tif",
    ".tiff", ".webp",
}  # fmt: skip
# What macOS lays beside a file on a disk that is not its own; it has the file's name, and holds no picture.
NOTES = "._"


@dataclass(frozen=True)
class Found:
    """photos: of a folder, in order; skipped: what else has a photo's name or may hold photos, and why."""

    folder: Path
    photos: tuple[Path, ...]
    skipped: tuple[tuple[Path, str], ...] = ()

    def name(self, file: Path) -> str:
        """How a file below the folder is called there."""
        return str(file.relative_to(self.folder))


def check_file(path: str) -> None:
    """Raises: BadRequest unless it is a file: a pipe may never end, and a folder has no pixels."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:  # ValueError: a null byte
        reason = getattr(error, "strerror", None) or str(error)
        raise BadRequest(f"{path} cannot be read ({reason}); check its path.") from error
    if not stat.S_ISREG(mode):
        raise BadRequest(f"{path} is no file, but a folder, pipe or device; give a file's path.")


def photos_in(folder: Path, recursive: bool = False, leave_out: Path | None = None) -> Found:
    """The photos of a folder, by their names; recursive: of those in it, too, but `leave_out`.

    Links to folders are not followed. Raises: BadRequest if there are none, or the folder cannot be read.
    """
    photos: list[Path] = []
    skipped: list[tuple[Path, str]] = []
    for path, reason in _look(folder, recursive, leave_out and leave_out.resolve()):
        if reason is None:
            photos.append(path)
        else:
            skipped.append((path, reason))
    if not photos:
        deeper = "" if recursive else ", or --recursive to look into its folders"
        raise BadRequest(
            f"The folder {str(folder)!r} holds no photos; give one with JPEG or PNG files{deeper}."
        )
    return Found(folder, tuple(photos), tuple(skipped))


def _look(folder: Path, recursive: bool, leave_out: Path | None) -> Iterator[tuple[Path, str | None]]:
    """Everything that may be meant, in order, with why it is skipped, if it is."""
    open_folders = [iter(_listed(folder))]  # the innermost last
    while open_folders:
        entry = next(open_folders[-1], None)
        if entry is None:
            open_folders.pop()
            continue
        path = Path(entry.path)
        if not entry.is_dir():
            if path.suffix.lower() in SUFFIXES:
                yield path, _no_photo(entry)
            continue
        reason = _shut(entry, path, recursive, leave_out)
        if reason is None:
            try:
                open_folders.append(iter(_listed(path)))
            except BadRequest as error:
                reason = str(error)
        if reason is not None:
            yield path, reason


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise BadRequest(f"The folder {str(folder)!r} cannot be read: {error.strerror}.") from error


def _shut(entry: os.DirEntry[str], path: Path, recursive: bool, leave_out: Path | None) -> str | None:
    """Why a folder is not looked into."""
    if not recursive:
        return "it is a folder; --recursive looks into it"
    if entry.is_symlink():
        return "it is a link to a folder"
    if entry.name.startswith("."):
        return "it is a hidden folder"
    return "it is where pictures are written" if path.resolve() == leave_out else None


def _no_photo(entry: os.DirEntry[str]) -> str | None:
    """Why what has a photo's name is none."""
    if entry.name.startswith(NOTES):
        return "it holds what macOS notes of a file, no picture"
    return None if entry.is_file() else "it is no file, but a pipe, a device or a dead link"
