"""cli.places: where pictures go, and what is refused before anything is read or written."""

import os
from pathlib import Path

import pytest

from cli import places
from cli.places import check_place, plan
from core.errors import BadRequest


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: photos in it, in folders, under two names, and a folder for pictures."""
    folders = ("one/a.png", "one/b.heic", "two/a.PNG", "two/deep/c.jpg", "out/old.png")
    for name in ("a.png", "visit.visagist", *folders):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"never opened")
    (tmp_path / "link.png").symlink_to("a.png")
    os.link(tmp_path / "a.png", tmp_path / "hard.png")
    os.mkfifo(tmp_path / "pipe.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def jobs(*words: str, out: str, recursive: bool = False) -> dict[str, str]:
    return {job.source: job.out for job in plan(words, out, recursive).jobs}


def test_one_photo_goes_into_a_file() -> None:
    for out in ("new.png", "out/old.png", "-"):
        planned = plan(["a.png"], out)
        assert [(job.source, job.out) for job in planned.jobs] == [("a.png", out)]
        assert planned.folder is None
    assert jobs("-", out="new.jpg") == {"-": "new.jpg"}


def test_one_photo_goes_into_a_folder_that_is_there_or_is_called_one() -> None:
    assert jobs("a.png", out="out") == {"a.png": "out/a.png"}
    assert jobs("a.png", out="new/") == {"a.png": "new/a.png"}
    assert not Path("new").exists()


def test_several_go_into_a_folder_each_once_and_under_a_name_of_its_own() -> None:
    found = jobs("a.png", "one", "link.png", "hard.png", "two", "one/a.png", "visit.visagist", out="new")
    assert found == {
        "a.png": "new/a.png",
        "one/a.png": "new/a-2.png",
        "one/b.heic": "new/b.png",
        "two/a.PNG": "new/a-3.PNG",
        "visit.visagist": "new/visit.png",
    }


def test_folders_in_folders_keep_their_names() -> None:
    planned = plan(["two"], "two/new", recursive=True)
    assert [job.out for job in planned.jobs] == ["two/new/a.PNG", "two/new/deep/c.jpg"]
    assert [str(path) for path, _ in plan(["two"], "new").skipped] == ["two/deep"]


@pytest.mark.parametrize(
    ("words", "out", "word"),
    [
        (["a.png"], "a.png", "written over 'a.png'"),
        (["a.png"], "./out/../a.png", "written over"),
        (["a.png"], "link.png", "written over"),
        (["link.png"], "a.png", "written over"),
        (["a.png"], "hard.png", "written over"),
        (["a.png"], "reference.png", "written over 'reference.png'"),
        (["visit.visagist"], "visit.visagist", "written over"),
        (["a.png"], "x.txt", "end the name in"),
        (["a.png"], "nowhere/x.png", "no folder"),
        (["a.png"], "pipe.png", "no ordinary file"),
        (["a.png"], "/dev/null", "no ordinary file"),
        (["missing.png"], "x.png", "No such file"),
        (["pipe.png"], "x.png", "no file"),
        (["a.png", "missing.png"], "new", "No such file"),
        (["a.png", "one"], "visit.visagist", "into a folder"),
        (["a.png", "one"], "x.png", "into a folder"),
        (["a.png", "one"], "nowhere/new", "no folder"),
        (["one"], "one", "among photos"),
        (["one/a.png", "a.png"], "one", "written over"),
        (["a.png", "-"], "new", "Only one photo"),
        (["one"], "-", "Only one photo"),
        (["one", "reference.png"], ".", "written over"),
    ],
    ids=str,
)
def test_a_wrong_place_is_one_sentence(here: Path, words: list[str], out: str, word: str) -> None:
    (here / "reference.png").touch()
    before = sorted(str(path) for path in here.rglob("*"))
    with pytest.raises(BadRequest, match=word):
        plan(words, out, read=["reference.png"])
    assert sorted(str(path) for path in here.rglob("*")) == before


def test_what_may_not_be_written_is_told_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places.os, "access", lambda path, mode: not str(path).endswith("out"))
    for words, out in ((["a.png"], "out/new.png"), (["a.png"], "out"), (["one"], "out")):
        with pytest.raises(BadRequest, match="may not be written"):
            plan(words, out)
    monkeypatch.setattr(places.os, "access", lambda path, mode: not str(path).endswith("old.png"))
    Path("old.png").touch()
    for words, out in ((["a.png"], "out/old.png"), (["old.png"], "out")):
        with pytest.raises(BadRequest, match="may not be changed"):
            plan(words, out)
    Path("out/a.png").mkdir()
    with pytest.raises(BadRequest, match="is a folder"):
        plan(["a.png"], "out")


def test_a_project_is_written_over_nothing_that_is_read() -> None:
    check_place("new.visagist", ["visit.visagist", "a.png"])
    for path in ("visit.visagist", "one"):
        with pytest.raises(BadRequest):
            check_place(path, ["visit.visagist"])


def test_a_clip_is_of_one_photo_into_a_file_that_moves() -> None:
    assert plan(["a.png"], "a.mp4", moves=True).folder is None
    for words, out, word in (
        (["a.png"], "b.png", "clip"),
        (["a.png"], "out", "one photo"),
        (["one"], "new", "one"),
    ):
        with pytest.raises(BadRequest, match=word):
            plan(words, out, moves=True)
    with pytest.raises(BadRequest, match="end the name"):
        plan(["a.png"], "a.mp4")
