"""Where pictures and projects go, found out and checked before anything heavy begins."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.photos import SUFFIXES, check_file, photos_in
from cli.streams import STANDARD
from core.errors import BadRequest


@dataclass(frozen=True)
class Job:
    """A photo or project, and where its picture goes; either may be STANDARD."""

    source: str
    out: str


@dataclass(frozen=True)
class Plan:
    """What is edited. folder: where several go, None for one; skipped: what is in folders, and why not."""

    jobs: tuple[Job, ...]
    folder: Path | None = None
    skipped: tuple[tuple[Path, str], ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(job.source for job in self.jobs)


def plan(
    words: Sequence[str], out: str, recursive: bool = False, read: Sequence[str] = (), moves: bool = False
) -> Plan:
    """Photos, projects and folders, and where their pictures go: one into a file, several into a folder.

    read: what else is read. moves: what is written is a clip, of one photo.
    Raises: BadRequest if something cannot be read or written, or would be written over what is read.
    """
    if len(words) == 1 and not any(os.path.isdir(path) or path.endswith(os.sep) for path in (*words, out)):
        (source,) = words
        if source != STANDARD:
            check_file(source)
        check_picture(out, [source, *read], moves)
        return Plan((Job(source, out),))
    if STANDARD in (*words, out):
        raise BadRequest("Only one photo goes through standard input or output; give several as files.")
    if moves:
        raise BadRequest("A clip is made of one photo, into a file; give one photo and the clip's name.")
    folder = Path(out)
    _check_folder(folder)
    sources, skipped = _sources(words, folder, recursive)
    jobs = tuple(
        Job(str(source), str(folder / name)) for source, name in zip(sources, _names(sources), strict=True)
    )
    _check_apart([job.out for job in jobs], [*(job.source for job in jobs), *read])
    for job in jobs:
        _check_there(job.out)
    return Plan(jobs, folder, skipped)


def check_picture(path: str, inputs: Iterable[str], moves: bool = False) -> None:
    """Raises: BadRequest unless a picture, or a clip, can be written there, over none of the inputs."""
    if path == STANDARD:
        return
    check_place(path, inputs)
    from core.pictures.moving import moving_kind_of
    from core.pictures.writing import kind_of  # which is heavy

    (moving_kind_of if moves else kind_of)(path)


def check_place(path: str, inputs: Iterable[str]) -> None:
    """Raises: BadRequest unless a file can be written there, over none of the inputs."""
    _check_there(path)
    _check_parent(path, os.path.dirname(os.path.realpath(path)))
    _check_apart([path], inputs)


def _check_there(path: str) -> None:
    """Raises: BadRequest if what is there may not be written over, or no file can have that name."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:  # ValueError: a null byte
        reason = getattr(error, "strerror", None) or str(error)
        raise BadRequest(f"Cannot write {path!r}: {reason}; choose another name.") from error
    if os.path.isdir(path):
        raise BadRequest(f"Cannot write {path!r}: it is a folder; give a file's name.")
    if os.path.exists(path) and not os.path.isfile(path):
        raise BadRequest(f"Cannot write {path!r}: it is no ordinary file; choose another name.")
    if os.path.exists(path) and not os.access(path, os.W_OK):
        raise BadRequest(f"Cannot write {path!r}: it may not be changed; choose another name.")


def _check_parent(path: str, parent: str) -> None:
    if not os.path.isdir(parent):
        raise BadRequest(f"Cannot write {path!r}: there is no folder {parent!r}; make it, or choose another.")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise BadRequest(f"Cannot write {path!r}: the folder {parent!r} may not be written; choose another.")


def _check_folder(folder: Path) -> None:
    if folder.is_dir():
        return _check_parent(str(folder), str(folder))
    if os.path.lexists(folder) or folder.suffix.lower() in SUFFIXES:
        raise BadRequest(f"Several photos go into a folder, which {str(folder)!r} is not; give --out one.")
    return _check_parent(str(folder), os.path.dirname(os.path.realpath(folder)))


def _check_apart(outputs: Iterable[str], inputs: Iterable[str]) -> None:
    """Raises: BadRequest if an output is the same file as an input, under whichever name."""
    known = {_identity(path): path for path in inputs}
    for path in outputs:
        own = _identity(path)
        if own in known:
            raise BadRequest(f"{path!r} would be written over {known[own]!r}; choose another name for it.")


def _identity(path: str) -> object:
    """Equal for two names of one file: what the disk knows it by or, where there is none, its whole path."""
    try:
        found = os.stat(path)
    except OSError:
        return os.path.realpath(path)
    return found.st_dev, found.st_ino


def _sources(
    words: Sequence[str], out: Path, recursive: bool
) -> tuple[dict[Path, Path], tuple[tuple[Path, str], ...]]:
    """Every file once, with how it is called below the folder that was named; and what is skipped."""
    files: dict[Path, Path] = {}
    skipped: list[tuple[Path, str]] = []
    for word in words:
        if os.path.isdir(word):
            if _identity(word) == _identity(str(out)):
                raise BadRequest(f"Pictures do not go among photos; give --out another folder than {word!r}.")
            found = photos_in(Path(word), recursive, leave_out=out)
            files |= {file: file.relative_to(word) for file in found.photos}
            skipped += found.skipped
        else:
            check_file(word)
            files[Path(word)] = Path(Path(word).name)
    once = {_identity(str(file)): file for file in reversed(files)}
    return {file: name for file, name in files.items() if once[_identity(str(file))] == file}, tuple(skipped)


def _names(sources: dict[Path, Path]) -> list[str]:
    """What each picture is called: as its photo, if such files are written, else .png; never as another."""
    from core.pictures.writing import KINDS

    names: list[str] = []
    taken: set[str] = set()  # in lower case: some disks know no other
    for name in sources.values():
        suffix = name.suffix if name.suffix.lower() in KINDS else ".png"
        new, number = name.with_suffix(suffix), 1
        while str(new).lower() in taken:
            number += 1
            new = name.with_name(f"{name.stem}-{number}{suffix}")
        taken.add(str(new).lower())
        names.append(str(new))
    return names
