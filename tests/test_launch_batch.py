# ruff: noqa: F811, the fixtures that are imported
"""`launch.py edit` of many photos: killed and started again, and what is said of those that fail."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cli.ledger import LEDGER
from core.engine import Engine
from tests.test_launch import ROOT, assert_one_sentence, launch_here, read, work  # noqa: F401

COUNT, KILLED_AT = 8, 3
SMILE = ["--set", "smile=2", "--model", "tiny"]


@pytest.fixture(scope="module")
def photos(work: Path, photo: np.ndarray) -> Path:
    """COUNT photos of different brightness, no two the same."""
    folder = work / "many"
    folder.mkdir()
    small = np.array(Image.fromarray(photo).resize((256, 256), Image.Resampling.LANCZOS))
    for i in range(COUNT):
        Image.fromarray((small * (1 - i / 40)).astype(np.uint8)).save(folder / f"{i}.png")
    return folder


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_killed_and_started_again_every_photo_is_there_once_as_if_one_by_one(
    launch_here, work: Path, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    batch = ["edit", str(photos), *SMILE, "--out", str(out), "--json"]
    command = [sys.executable, str(ROOT / "launch.py"), *batch]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        first = [json.loads(process.stdout.readline()) for _ in range(KILLED_AT)]
        process.send_signal(signal.SIGKILL)
        first += lines(process.stdout.read())
    assert process.returncode == -signal.SIGKILL
    assert KILLED_AT <= len(first) < COUNT
    assert not any(line["done_before"] for line in first)
    (out / f".visagist-{process.pid}-00000000.part").write_bytes(b"half")  # as if it were killed in a write
    written = {line["out"]: os.stat(line["out"]).st_mtime_ns for line in first}

    done = launch_here(*batch)
    assert done.returncode == 0, done.stderr
    answers = lines(done.stdout)
    assert [line["photo"] for line in answers] == [str(photos / f"{i}.png") for i in range(COUNT)]
    assert [line["done_before"] for line in answers[: len(first)]] == [True] * len(first)
    assert not any(line["done_before"] for line in answers[len(first) + 1 :])
    assert {path: os.stat(path).st_mtime_ns for path in written} == written
    assert sorted(os.listdir(out)) == [LEDGER, *(f"{i}.png" for i in range(COUNT))]
    for i in range(COUNT):
        one = tmp_path / "one.png"
        assert launch_here("edit", str(photos / f"{i}.png"), *SMILE, "--out", str(one)).returncode == 0
        assert one.read_bytes() == (out / f"{i}.png").read_bytes()


def test_another_edit_a_changed_photo_and_a_lost_picture_are_done_again(
    launch_here, photos: Path, tmp_path: Path
) -> None:
    mine, out = tmp_path / "mine", str(tmp_path / "out")
    mine.mkdir()
    for i in range(3):
        (mine / f"{i}.png").write_bytes((photos / f"{i}.png").read_bytes())

    def again(*words: str) -> list[bool]:
        done = launch_here("edit", str(mine), "--model", "tiny", "--out", out, "--json", *words)
        assert done.returncode == 0, done.stderr
        return [line["done_before"] for line in lines(done.stdout)]

    assert again("--set", "smile=1") == [False] * 3
    assert again("--set", "smile=1") == [True] * 3
    (mine / "0.png").write_bytes((photos / "5.png").read_bytes())
    (Path(out) / "1.png").unlink()
    assert again("--set", "smile=1") == [False, False, True]
    assert again("--set", "smile=2") == [False] * 3
    assert again("--set", "smile=2", "--seconds", "3") == [False] * 3


def test_what_fails_is_named_at_the_end_and_the_others_are_done(
    launch_here, work: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "._a.png").write_bytes(b"notes")
    for name in ("2.png", "1.png"):
        (tmp_path / name).write_bytes((photos / name).read_bytes())
    opened = Engine.open_portrait

    def faulty(engine: Engine, photo: np.ndarray, *more, **words):
        if np.array_equal(photo, read(photos / "1.png")):
            raise RuntimeError("a fault\nof ours")
        return opened(engine, photo, *more, **words)

    monkeypatch.setattr(Engine, "open_portrait", faulty)
    words = ["edit", "blank.png", str(tmp_path), "broken.jpg", *SMILE, "--out", str(tmp_path / "out")]
    done = launch_here(*words, "--json")
    assert done.returncode == 2
    answers = lines(done.stdout)
    assert [Path(line["photo"]).name for line in answers] == ["blank.png", "1.png", "2.png", "broken.jpg"]
    assert ["error" in line for line in answers] == [True, True, False, True]
    assert "No face" in answers[0]["error"]
    assert answers[1]["error"] == "Visagist failed at this photo (RuntimeError: a fault of ours)."
    said = done.stderr.splitlines()
    assert sorted("pipe.png" in line for line in said[:3]) == [False, False, True]
    end = said.index("3 of 4 photos could not be edited:")
    assert said[end + 1 :] == [f"{line['photo']}: {line['error']}" for line in answers if "error" in line]
    assert sorted(os.listdir(tmp_path / "out")) == [LEDGER, "2.png"]
    # In words, and the one that is there is not done again.
    done = launch_here(*words)
    assert done.returncode == 2
    assert done.stdout.splitlines()[2] == f"{tmp_path / 'out' / '2.png'} is there already."


def test_a_batch_in_words_says_what_it_wrote(launch_here, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pictures = [str(out / "0.png"), str(out / "1.png")]
    for told, end in (
        ("Wrote {} (256 x 256 px).", f"Wrote 2 of 2 pictures into {out}."),
        ("{} is there already.", f"Wrote 0 of 2 pictures into {out}; 2 were there already."),
    ):
        done = launch_here("edit", str(photos / "0.png"), str(photos / "1.png"), *SMILE, "--out", str(out))
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == [*(told.format(picture) for picture in pictures), end]


def test_a_full_disk_ends_a_batch_at_once_and_leaves_nothing_half(
    launch_here, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, calls = tmp_path / "out", []
    fsync = os.fsync

    def full(number: int) -> None:
        calls.append(number)
        if len(calls) > 6:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(number)

    monkeypatch.setattr(os, "fsync", full)
    batch = ["edit", str(photos), *SMILE, "--out", str(out)]
    done = launch_here(*batch)
    assert done.returncode == 2
    place = str(out / "2.png")
    assert done.stderr == f"Cannot write {place!r}: No space left on device; choose another place.\n"
    assert sorted(os.listdir(out)) == [LEDGER, "0.png", "1.png"]


def test_a_wrong_slider_fails_before_any_photo_is_opened(
    launch_here, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "open_portrait", lambda *_, **__: pytest.fail("opened"))
    words = ["edit", str(photos), "--model", "tiny", "--out", str(tmp_path / "out")]
    for wrong in (["--set", "beard=1"], ["--refine", "fast"], ["--set", "smile=9"]):
        assert_one_sentence(launch_here(*words, *wrong))
    assert not (tmp_path / "out").exists()


def test_a_project_is_one_of_many(launch_here, photos: Path, tmp_path: Path) -> None:
    saved, out = str(tmp_path / "visit.visagist"), tmp_path / "out"
    one = ["edit", str(photos / "0.png"), *SMILE, "--save-project", saved, "--out", str(tmp_path / "a.png")]
    assert launch_here(*one).returncode == 0
    more = ["--set", "male=1", "--model", "tiny"]
    done = launch_here("edit", saved, str(photos / "1.png"), *more, "--out", str(out), "--json")
    assert done.returncode == 0, done.stderr
    assert [line["sliders"] for line in lines(done.stdout)] == [{"male": 1.0, "smile": 2.0}, {"male": 1.0}]
    assert launch_here("edit", saved, *more, "--out", str(tmp_path / "b.png")).returncode == 0
    assert (tmp_path / "b.png").read_bytes() == (out / "visit.png").read_bytes()
    done = launch_here("edit", saved, str(photos), *more, "--out", str(out), "--save-project", saved)
    assert_one_sentence(done, "one photo")
