"""cli.photos: which files of a folder are photos, and what is said of the others."""

import inspect
import os
import sys
from pathlib import Path

import pytest

from cli import photos
from cli.photos import check_file, photos_in
from core.errors import BadRequest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two photos and all that is none; one more in a folder, one in a hidden one."""
    root = tmp_path / "photos"
    inside = ("sub/deep/c.heic", ".hidden/d.png", "album.jpg/e.png")
    for name in ("b.JPG", "a.png", "._a.png", "notes.txt", *inside):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"never opened")
    os.mkfifo(root / "pipe.png")
    (root / "dead.png").symlink_to("nowhere")
    (root / "round").symlink_to(root)
    return root


def skipped(found: photos.Found) -> dict[str, str]:
    return {found.name(path): reason for path, reason in found.skipped}


def test_photos_are_found_and_the_rest_is_named(folder: Path) -> None:
    found = photos_in(folder)
    assert [found.name(path) for path in found.photos] == ["a.png", "b.JPG"]
    reasons = skipped(found)
    assert list(reasons) == ["._a.png", ".hidden", "album.jpg", "dead.png", "pipe.png", "round", "sub"]
    assert "macOS" in reasons["._a.png"]
    assert all("no file" in reasons[name] for name in ("dead.png", "pipe.png"))
    assert all("--recursive" in reasons[name] for name in ("album.jpg", "sub"))


def test_recursive_looks_into_folders_but_not_into_hidden_ones_links_and_the_output(folder: Path) -> None:
    found = photos_in(folder, recursive=True)
    names = [found.name(path) for path in found.photos]
    assert names == ["a.png", "album.jpg/e.png", "b.JPG", "sub/deep/c.heic"]
    reasons = skipped(found)
    assert list(reasons) == ["._a.png", ".hidden", "dead.png", "pipe.png", "round"]
    assert ("hidden" in reasons[".hidden"], "link" in reasons["round"]) == (True, True)
    out = photos_in(folder, recursive=True, leave_out=folder / "sub" / "deep")
    assert "sub/deep/c.heic" not in [out.name(path) for path in out.photos]
    assert "written" in skipped(out)["sub/deep"]


def test_a_folder_that_cannot_be_read_is_named_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def forbidden(path: object):
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(photos.os, "scandir", forbidden)
    assert "Permission denied" in skipped(photos_in(folder, recursive=True))["sub"]


def test_a_very_deep_folder_is_looked_into(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*"d" * 100)
    deep.mkdir(parents=True)
    (deep / "a.png").touch()
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 60)
    try:
        found = photos_in(tmp_path, recursive=True)
    finally:
        sys.setrecursionlimit(before)
    assert found.photos == (deep / "a.png",)


def test_a_folder_without_photos_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="no photos"):
        photos_in(folder / "sub")
    with pytest.raises(BadRequest, match="cannot be read: No such file"):
        photos_in(tmp_path / "missing")


def test_a_file_is_checked_without_opening_it(folder: Path) -> None:
    check_file(str(folder / "a.png"))
    words = {"pipe.png": "no file", "sub": "no file", "dead.png": "No such file", "a\0": "null"}
    for name, word in words.items():
        with pytest.raises(BadRequest, match=word):
            check_file(str(folder / name))
