# ruff: noqa: F811, the fixtures that are imported
"""Files, pipes and full disks as the command line meets them: a sentence, and every file as it was."""

import errno
import io
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.engine import Engine
from core.images import encode_jpeg, encode_png, open_image
from core.projects.project import Project, save_project
from core.session import EditRequest, View
from launch import main
from tests.test_launch import ROOT, assert_one_sentence, launch_here, read, work  # noqa: F401

TINY = ["--model", "tiny"]
COMMANDS = ("edit", "open", "evaluate", "bench", "--host")
SMILE = ["--set", "smile=2", *TINY]


@pytest.fixture(scope="module")
def files(photo: np.ndarray, tiny_engine: Engine) -> dict[str, bytes]:
    """A photo as JPEG and, another one, as PNG; a project of the first that smiles."""
    jpeg = encode_jpeg(photo)
    portrait = tiny_engine.open_portrait(open_image(jpeg))
    shown = EditRequest({"smile": 2.0}, view=View("photo", "photo"))
    project = Project.of(tiny_engine, portrait, (EditRequest(view=shown.view), shown), 1)
    return {"me.jpg": jpeg, "other.png": encode_png(photo), "visit.visagist": save_project(project)}


@pytest.fixture
def here(launch_here, files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: those files, a pipe and a photo in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    for name, content in files.items():
        Path(name).write_bytes(content)
    os.mkfifo("pipe.png")
    Path("folder.png").mkdir()
    Path("folder.png/in.png").write_bytes(files["other.png"])
    return tmp_path


@pytest.fixture
def whole(here: Path):
    """At the end every file is as it was, and there is no other."""
    before = contents(here)
    yield
    assert contents(here) == before


def contents(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() if f.is_file() else b"" for f in folder.rglob("*")}


@pytest.mark.usefixtures("whole")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["edit", "me.jpg", "--out", "me.jpg"], ["me.jpg", "another name"]),
        (["edit", "me.jpg", "--out", "folder.png/../me.jpg"], ["another name"]),
        (["edit", "me.jpg", "--reference", "other.png", "--take", "x", "--out", "other.png"], ["other.png"]),
        (["edit", "visit.visagist", "--save-project", "visit.visagist", "--out", "x.png"], ["another name"]),
        (["edit", "me.jpg", "--save-project", "x.png", "--out", "x.png"], ["another name"]),
        (["open", "visit.visagist", "--out", "visit.visagist"], ["another name"]),
        (["edit", "me.jpg", "--refine", "best", "--out", "x.gif"], ["x.gif", ".png"]),
        (["open", "visit.visagist", "--out", "x.gif"], ["x.gif", ".png"]),
        (["edit", "me.jpg", "--out", "nowhere/x.png"], ["nowhere"]),
        (["edit", "me.jpg", "--save-project", "nowhere/x", "--out", "x.png"], ["nowhere"]),
        (["edit", "me.jpg", "--save-project", "folder.png", "--out", "x.png"], ["folder"]),
        (["edit", "me.jpg", "other.png", "--out", "me.jpg"], ["folder"]),
        (["edit", "me.jpg", "other.png", "--save-project", "x", "--out", "folder.png"], ["one photo"]),
        (["edit", "folder.png", "--out", "folder.png"], ["another folder"]),
        (["edit", "pipe.png", "--out", "x.png"], ["pipe.png", "no file"]),
        (["edit", "pipe.png", "me.jpg", "--out", "new"], ["pipe.png", "no file"]),
        (["edit", "me.jpg", "--out", "pipe.png"], ["pipe.png"]),
        (["edit", "me.jpg", "--reference", "pipe.png", "--take", "smile", "--out", "x.png"], ["pipe.png"]),
        (["open", "pipe.png", "--out", "x.png"], ["pipe.png"]),
        (["edit", "me.jpg", "--out", "-", "--json"], ["--json", "standard output"]),
        (["edit", "-", "me.jpg", "--out", "new"], ["standard input"]),
        (["evaluate", "nowhere"], ["nowhere"]),
        (["evaluate", "folder.png", "--judge", "nowhere"], ["nowhere"]),
        (["evaluate", "folder.png", "--judge", "pipe.png"], ["pipe.png", "no file"]),
        (["bench", "--photo", "nowhere"], ["nowhere"]),
        (["bench", "--photo", "pipe.png"], ["pipe.png", "no file"]),
        (["edit", "me.jpg", "--look", "pipe.png", "--out", "x.png"], ["pipe.png", "no file"]),
        (["edit", "me.jpg", "--out", f"{300 * 'x'}.png"], ["xxx.png", "name"]),
        (["edit", "me.jpg", "--save-project", 300 * "x", "--out", "x.png"], ["xxx", "name"]),
        (["--host", "no such host"], ["no such host", "--host"]),
        (["--host", "192.0.2.1"], ["192.0.2.1", "--host"]),
    ],
    ids=lambda value: " ".join(value[:6])[:90] if value[0] in COMMANDS else None,
)  # fmt: skip
def test_a_wrong_path_format_or_host_is_told_before_a_model_loads(
    launch_here, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: list[str]
) -> None:
    monkeypatch.setattr(Engine, "load", lambda *_: pytest.fail("a model was loaded"))
    assert_one_sentence(launch_here(*arguments), *words)


def test_a_port_in_use_is_told_before_a_model_loads(launch_here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "load", lambda *_: pytest.fail("a model was loaded"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for host in ("127.0.0.1", "0.0.0.0"):
            assert_one_sentence(launch_here("--host", host, "--port", port), host, port, "in use")


@pytest.mark.parametrize("until", [0, 2])
def test_on_a_full_disk_a_picture_and_a_project_stay_as_they_were(
    launch_here, here: Path, monkeypatch: pytest.MonkeyPatch, until: int
) -> None:
    """Full at once, or when the picture is written and the project is not."""
    for name in ("old.jpg", "old.visagist"):
        (here / name).write_bytes(b"old")
    before, calls, fsync = contents(here), [], os.fsync

    def full(number: int) -> None:
        calls.append(number)
        if len(calls) > until:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(number)

    monkeypatch.setattr(os, "fsync", full)
    done = launch_here("edit", "me.jpg", *SMILE, "--save-project", "old.visagist", "--out", "old.jpg")
    assert_one_sentence(done, "No space left", "old.visagist" if until else "old.jpg")
    after = contents(here)
    assert (after.pop("old.jpg") == before.pop("old.jpg")) == (until == 0)
    assert after == before


@pytest.mark.usefixtures("here")
def test_without_a_slider_nothing_is_changed_and_that_is_said(launch_here, photo: np.ndarray) -> None:
    done = launch_here("edit", "other.png", *TINY, "--out", "same.png")
    assert (done.returncode, done.stderr.splitlines()[-1:]) == (
        0, ["No slider was set and nothing taken, so nothing was changed."],
    )  # fmt: skip
    assert np.array_equal(read(Path("same.png")), photo)
    assert launch_here("open", "visit.visagist", *TINY, "--out", "a.png").returncode == 0
    assert launch_here("edit", "visit.visagist", *TINY, "--out", "b.png").returncode == 0
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()
    assert launch_here("edit", "other.png", *SMILE, "--out", "same.png").stderr == ""


@pytest.mark.usefixtures("here")
def test_a_project_goes_on_into_another(launch_here) -> None:
    more = ["edit", "visit.visagist", "--set", "male=1", *TINY]
    assert launch_here(*more, "--save-project", "next.visagist", "--out", "a.png").returncode == 0
    assert launch_here("open", "next.visagist", *TINY, "--out", "b.png").returncode == 0
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()
    both = ["--set", "smile=2", "--set", "male=1", *TINY]
    assert launch_here("edit", "me.jpg", *both, "--out", "c.png").returncode == 0
    assert Path("a.png").read_bytes() == Path("c.png").read_bytes()


def process(*arguments: str, **more) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, str(ROOT / "launch.py"), *arguments]
    # Unbuffered, argparse itself would meet the closed pipe, and keep quiet about it.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(command, env=environment, check=False, **{"capture_output": True, **more})


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch):
    """As `process`, but in this one: the exit code, and what comes out of standard output."""

    def run(*arguments: str, given: bytes = b"") -> tuple[int, bytes]:
        stdout = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        monkeypatch.setattr(sys, "stdout", stdout)
        return main(arguments), stdout.buffer.getvalue()

    return run


@pytest.mark.usefixtures("here")
def test_photos_and_projects_come_and_go_through_pipes(piped) -> None:
    photo, project = Path("me.jpg").read_bytes(), Path("visit.visagist").read_bytes()
    done = process("edit", "-", *SMILE, "--out", "-", input=photo)
    assert (done.returncode, done.stderr) == (0, b"Wrote - (512 x 512 px).\n")
    assert piped("edit", "me.jpg", *SMILE, "--out", "file.png")[0] == 0
    assert Path("file.png").read_bytes() == done.stdout
    for command in ("open", "edit"):
        assert piped(command, "-", *TINY, "--out", "-", given=project) == (0, done.stdout)


@pytest.mark.usefixtures("here")
def test_what_is_piped_may_be_anything(launch_here, monkeypatch: pytest.MonkeyPatch) -> None:
    for content, word in ((b"", "empty"), (b"text", "picture"), (b"\xff\xd8\xff", "picture")):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert_one_sentence(launch_here("edit", "-", *TINY, "--out", "x.png"), word)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert_one_sentence(launch_here("open", "-", *TINY, "--out", "x.png"))


@pytest.mark.usefixtures("here")
def test_a_name_that_the_terminal_cannot_print_is_written_all_the_same(piped) -> None:
    name = os.fsdecode(b"gr\xfcn \xe2\x98\xba.png")
    said = b"Wrote gr\\udcfcn \\u263a.png (512 x 512 px).\n"
    assert piped("edit", "me.jpg", *SMILE, "--out", name) == (0, said)
    assert Path(name).is_file()


def test_a_result_that_nobody_takes_ends_without_a_traceback(
    launch_here, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentence = "Standard output cannot be written: No space left on device.\n"
    with open("/dev/full", "wb") as full:
        done = process("--help", capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr.decode()) == (2, sentence)
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        done = process("--help", capture_output=False, stdout=closed, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (141, b"")
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        again = launch_here("models", "--json")
    assert (again.returncode, again.stderr) == (2, sentence)
