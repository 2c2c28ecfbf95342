"""core.files: the old file whole or the new one, however a write ends."""

import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import CannotWrite
from core.files import clear_left, replacing, write_whole

ROOT = Path(__file__).resolve().parents[2]
OLD, NEW = b"old" * 2000, b"new" * 3000
# A process that is killed after some bytes, before they are on the disk, before it renames, or after.
KILLED = """
import os, resource, signal, sys
from pathlib import Path
from core import files

def killed(*_):
    os.kill(os.getpid(), signal.SIGKILL)

path, when = sys.argv[1:]
if when == "write":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
elif when == "fsync":
    files.os.fsync = killed
elif when == "replace":
    files.os.replace = killed
else:
    to_disk = files._to_disk
    files._to_disk = lambda path, how: killed() if path.is_dir() else to_disk(path, how)
files.write_whole(path, b"new" * 3000)
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    path.write_bytes(OLD)
    return path


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_file_is_written_and_written_over(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    for content in (OLD, NEW, b""):
        write_whole(path, content)
        assert path.read_bytes() == content
    assert names(tmp_path) == ["a.bin"]


def test_until_the_end_the_old_file_is_there(place: Path) -> None:
    with replacing(place) as part:
        assert part.parent == place.parent
        part.write_bytes(NEW)
        assert place.read_bytes() == OLD
    assert place.read_bytes() == NEW


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, OSError])
def test_an_exception_leaves_the_old_file_and_nothing_else(place: Path, error: type[BaseException]) -> None:
    def write() -> None:
        with replacing(place) as part:
            part.write_bytes(NEW[:100])
            raise error

    with pytest.raises(error):
        write()
    assert place.read_bytes() == OLD
    assert names(place.parent) == ["picture.png"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_is_one_sentence(place: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, step, full)
    with pytest.raises(CannotWrite, match=r"^Cannot write '.*picture.png': No space left.*; choose.*\.$"):
        write_whole(place, NEW)
    assert place.read_bytes() == OLD
    assert names(place.parent) == ["picture.png"]


@pytest.mark.parametrize(
    ("when", "content"), [("write", OLD), ("fsync", OLD), ("replace", OLD), ("after", NEW)]
)
def test_a_killed_process_leaves_the_old_file_or_the_new_one(place: Path, when: str, content: bytes) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, place, when], cwd=ROOT, check=False)
    assert done.returncode in (-signal.SIGKILL, -signal.SIGXFSZ)
    assert place.read_bytes() == content
    left = [name for name in names(place.parent) if name != place.name]
    assert len(left) == (when != "after")
    if when == "write":
        assert (place.parent / left[0]).stat().st_size == 1000  # it was in the middle
    clear_left(place.parent)
    assert names(place.parent) == [place.name]


def test_what_is_being_written_is_not_cleared_away(place: Path) -> None:
    never = f".visagist-{10**30}-1234abcd.part"
    for name in (".visagist-x-00000000.part", "visagist-1-00000000.part", never):
        (place.parent / name).write_bytes(b"")
    with replacing(place) as part:
        part.write_bytes(NEW)
        clear_left(place.parent)
    assert place.read_bytes() == NEW
    # The others are not ours.
    assert names(place.parent) == [".visagist-x-00000000.part", "picture.png", "visagist-1-00000000.part"]


def test_a_new_file_has_the_rights_of_any_and_an_old_one_keeps_its_own(tmp_path: Path, place: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    write_whole(tmp_path / "new", NEW)
    assert (tmp_path / "new").stat().st_mode == plain.stat().st_mode
    place.chmod(0o640)
    write_whole(place, NEW)
    assert stat.S_IMODE(place.stat().st_mode) == 0o640


def test_behind_a_link_the_file_is_written(place: Path) -> None:
    link = place.parent / "link.png"
    link.symlink_to(place.name)
    write_whole(link, NEW)
    assert link.is_symlink()
    assert place.read_bytes() == NEW


def test_what_is_no_file_or_may_not_be_changed_stays(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for path in ("/dev/null", tmp_path / "pipe", tmp_path / "folder", tmp_path / "no" / "a", "a\0b"):
        with pytest.raises(CannotWrite, match=r"^Cannot write .*; choose another place\.$"):
            write_whole(path, NEW)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may do everything
    with pytest.raises(CannotWrite, match="Permission denied"):
        write_whole(place, NEW)
    assert place.read_bytes() == OLD
