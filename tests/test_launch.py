"""The command line as its user meets it: a subprocess, a real photograph, a tiny model."""

import functools
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from picture_files import DISPLAY_P3, matrix_profile, saved
from PIL import Image

from cli.options import LONGEST, STEPS
from core.checkpoints import Bundle
from core.engine import Engine
from core.faces.alignment import find_faces
from core.opening import OPENING_SECONDS
from core.refinement import gradient_modules, refiner
from core.refinement.gradient_modules import GradientSettings
from core.session import EditRequest, Portrait, View
from launch import main

ROOT = Path(__file__).resolve().parent.parent
PORTRAITS = "portraits"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, photo: np.ndarray, tiny_bundle_dir: Path) -> Path:
    """A folder outside the checkout: astronaut.png, blank.png, broken.jpg, and one portrait in a folder.

    The tiny model is installed as a user's own, under its name.
    """
    folder = tmp_path_factory.mktemp("work")
    (folder / "home").mkdir()
    (folder / "home" / "checkpoints").symlink_to(tiny_bundle_dir.parent)
    (folder / PORTRAITS).mkdir()
    Image.fromarray(photo).save(folder / "astronaut.png")
    Image.fromarray(photo).save(folder / PORTRAITS / "astronaut.jpg", quality=95)
    Image.new("RGB", (200, 200), "grey").save(folder / "blank.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    return folder


@pytest.fixture(scope="module")
def launch(work: Path):
    environment = {**os.environ, "VISAGIST_HOME": str(work / "home")}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "launch.py"), *arguments]
        return subprocess.run(
            command, cwd=work, env=environment, capture_output=True, text=True, timeout=300, check=False
        )

    return run


@pytest.fixture
def launch_here(work: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    """As `launch`, but in this process: a dozen mistakes need not import torch a dozen times."""
    monkeypatch.chdir(work)
    monkeypatch.setenv("VISAGIST_HOME", str(work / "home"))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        code = main(arguments)
        captured = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, captured.out, captured.err)

    return run


def read(path: Path) -> np.ndarray:
    return np.array(Image.open(path))


def assert_one_sentence(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].endswith(".")
    for word in words:
        assert word in lines[0]


def test_edit_writes_the_photo_with_another_face(launch, work: Path, photo: np.ndarray) -> None:
    done = launch("edit", "astronaut.png", "--set", "smile=1.5", "--set", "male=-1", "--model", "tiny",
                  "--out", "out.png", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "photo": "astronaut.png", "out": "out.png", "width": 512, "height": 512,
        "faces": 1, "face": 1, "boxes": [list(face.box) for face in find_faces(photo)],
        "sliders": {"smile": 1.5, "male": -1.0}, "takes": [], "refine": "off", "strength": 1.0, "said": "",
    }  # fmt: skip
    changed = (read(work / "out.png") != photo).any(axis=2)
    ys, xs = np.nonzero(changed)
    # The astronaut's face, and no pixel far from it.
    assert changed[115, 225]
    assert 40 < ys.min() < ys.max() < 230
    assert 120 < xs.min() < xs.max() < 330


def test_edit_writes_the_face_alone_and_says_so(launch, work: Path) -> None:
    done = launch("edit", "astronaut.png", "--face-only", "--model", "tiny", "--out", "face.jpg")
    assert done.returncode == 0, done.stderr
    assert "face.jpg" in done.stdout
    assert read(work / "face.jpg").shape == (32, 32, 3)


def test_edit_keeps_what_a_phone_s_file_says_but_the_place(
    launch_here, work: Path, photo: np.ndarray, tiny_bundle_dir: Path, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x8298], exif[0x0112] = "Mine", 6  # turned to the right, by HEIC's own word too
    exif.get_ifd(0x8825)[29] = "2024:05:01"
    profile = matrix_profile(DISPLAY_P3, None, "Display P3")
    stored = Image.fromarray(np.rot90(photo).copy())
    options = {"exif": exif.tobytes(), "icc_profile": profile, "quality": 95}
    (tmp_path / "a.heic").write_bytes(saved(stored, "HEIF", **options))
    model, project = ["--model", str(tiny_bundle_dir)], str(tmp_path / "a.visagist")
    edit = ["edit", str(tmp_path / "a.heic"), "--set", "smile=1", *model, "--out"]
    done = launch_here(*edit, "out.jpg", "--save-project", project)
    said = "Kept: its colours, Display P3, rights; left out: place."
    assert (done.returncode, done.stdout) == (0, f"Wrote out.jpg (512 x 512 px). {said}\n")
    with Image.open(work / "out.jpg") as image:
        assert dict(image.getexif()) == {0x8298: "Mine", 0x0112: 1}
        assert image.info["icc_profile"] == profile
    assert b"2024:05:01" not in (tmp_path / "a.visagist").read_bytes()
    again = json.loads(launch_here("open", project, *model, "--out", "again.jpg", "--json").stdout)
    assert again["said"] == said.replace("; left out: place", "")
    assert (work / "again.jpg").read_bytes() == (work / "out.jpg").read_bytes()
    done = launch_here(*edit, "silent.tif", "--no-notes", "--json")
    assert json.loads(done.stdout)["said"] == "Kept: its colours, Display P3; left out: rights, place."
    with Image.open(work / "silent.tif") as image:
        assert 0x8298 not in image.getexif()


@pytest.fixture
def refining(work: Path, refining_bundle_dir: Path) -> list[str]:
    return [
        "edit",
        "astronaut.png",
        "--model",
        str(refining_bundle_dir),
        "--out",
        "refined.png",
        "--face-only",
    ]


@pytest.mark.parametrize("mode", ["fast", "best"])
def test_edit_refines(
    launch_here, work: Path, refining: list[str], refining_bundle: Bundle, photo: np.ndarray, mode: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    brief = functools.partial(GradientSettings, iterations=3)
    monkeypatch.setattr(gradient_modules, "GradientSettings", brief)
    done = launch_here(*refining, "--set", "smile=1", "--refine", mode, "--strength", "0.5",
                       "--refiner", "two_stage", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (json.loads(done.stdout)["refine"], json.loads(done.stdout)["strength"]) == (mode, 0.5)
    engine = Engine(refining_bundle, refiner="two_stage")
    portrait = engine.refine(engine.open_portrait(photo), mode)
    wanted = engine.edit(portrait, EditRequest({"smile": 1}, refine=mode, strength=0.5, view=View("photo")))
    assert (read(work / "refined.png") == wanted).all()


def test_without_keep_detail_the_photo_lends_none(launch_here, work: Path, refining: list[str]) -> None:
    whole = [word for word in refining if word != "--face-only"]
    pictures = []
    for more in ([], ["--no-keep-detail"]):
        assert launch_here(*whole, "--set", "smile=1", "--refine", "fast", *more).returncode == 0
        pictures.append(read(work / "refined.png"))
    assert (pictures[0] != pictures[1]).any()


def test_strength_zero_computes_no_refinement(
    launch_here, work: Path, refining: list[str], monkeypatch
) -> None:
    monkeypatch.setattr(Engine, "refine", lambda *_: pytest.fail("for nothing"))
    assert launch_here(*refining, "--refine", "best", "--strength", "0").returncode == 0


def test_an_interrupted_refinement_writes_nothing(
    launch_here, work: Path, refining: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(generator, likeness, w_plus, settings, progress, *_):
        progress(1, 300)
        raise KeyboardInterrupt

    monkeypatch.setattr(refiner, "refine_weights", interrupted)
    (work / "refined.png").unlink(missing_ok=True)
    done = launch_here(*refining, "--refine", "best")
    assert done.returncode == 130
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert not (work / "refined.png").exists()


def test_a_project_gives_the_picture_that_was_edited(
    launch, launch_here, work: Path, refining: list[str], refining_bundle_dir: Path, photo: np.ndarray,
    tmp_path: Path,
) -> None:  # fmt: skip
    saved, model = str(tmp_path / "a.visagist"), ["--model", str(refining_bundle_dir)]
    edit = [*refining, "--set", "smile=1", "--refine", "fast", "--save-project", saved]
    assert launch_here(*edit).returncode == 0
    done = launch("open", saved, *model, "--face-only", "--out", "opened.png", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert json.loads(done.stdout) == {
        "project": saved, "out": "opened.png", "width": 32, "height": 32, "faces": 1, "face": 1,
        "boxes": [list(face.box) for face in find_faces(photo)],
        "sliders": {"smile": 1.0}, "refine": "fast", "strength": 1.0, "edits": 2, "edit": 1, "notice": None,
        "said": "",
    }  # fmt: skip
    assert (read(work / "opened.png") == read(work / "refined.png")).all()
    done = launch_here("open", saved, *model, "--out", "whole.png")
    assert (done.returncode, done.stdout) == (0, "Wrote whole.png (512 x 512 px).\n")


def test_a_project_of_another_model_opens_with_a_notice(
    launch_here, work: Path, refining: list[str], refining_bundle_dir: Path, tmp_path: Path
) -> None:
    saved = str(tmp_path / "a.visagist")
    assert launch_here(*refining, "--refine", "fast", "--save-project", saved).returncode == 0
    done = launch_here("open", saved, "--model", "tiny", "--out", "opened.png", "--json")
    assert done.returncode == 0
    notice = json.loads(done.stdout)["notice"]
    assert "its face was inverted anew" in notice
    assert "the refinement fast is not at hand" in notice
    assert done.stderr == notice + "\n"


def test_edit_starts_from_the_photo_as_the_app_does(launch_here, work: Path, photo: np.ndarray) -> None:
    """Without sliders nothing changes; from the inversion the face does."""
    for more, same in (([], True), (["--start", "inversion"], False)):
        done = launch_here("edit", "astronaut.png", *more, "--model", "tiny", "--out", "same.png")
        assert done.returncode == 0, done.stderr
        assert (read(work / "same.png") == photo).all() == same


def test_opening_takes_as_long_as_it_is_told(
    launch_here, work: Path, refining: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[tuple[float, int | None]] = []
    opened = Engine.open_portrait

    def timed(
        engine: Engine, *arguments: Any, seconds: float, steps: int | None = None, **more: Any
    ) -> Portrait:
        asked.append((seconds, steps))
        return opened(engine, *arguments, seconds=seconds, steps=steps, **more)

    def told(*command: str) -> list[tuple[float, int | None]]:
        asked.clear()
        assert launch_here(*command).returncode == 0
        return asked

    monkeypatch.setattr(Engine, "open_portrait", timed)
    saved = str(tmp_path / "a.visagist")
    edit = [*refining, "--reference", "astronaut.png", "--take", "colour", "--save-project", saved]
    assert told(*edit) == [(LONGEST, STEPS)] * 2
    assert told(*edit, "--seconds", "3.5") == [(3.5, None)] * 2
    assert told(*edit, "--steps", "9") == [(LONGEST, 9)] * 2
    assert told(*edit, "--steps", "9", "--seconds", "3.5") == [(3.5, 9)] * 2
    again = [saved, "--model", "tiny", "--out", "opened.png"]
    assert told("edit", *again, "--steps", "9") == [(LONGEST, 9)]
    assert told("open", *again) == [(OPENING_SECONDS, None)]
    assert told("open", *again, "--seconds", "3.5") == [(3.5, None)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["edit", "missing.png", "--out", "x.png"], ["No such file"]),
        (["edit", "broken.jpg", "--out", "x.png"], ["picture"]),
        (["edit", "blank.png", "--out", "x.png"], ["No face"]),
        (["edit", "astronaut.png", "--face", "7", "--out", "x.png"], ["number 7", "shows one face"]),
        (["edit", "astronaut.png", "--set", "beard=1", "--out", "x.png"], ["beard", "smile"]),
        (["edit", "astronaut.png", "--set", "smile=nan", "--out", "x.png"], ["smile", "-3 to 3"]),
        (["edit", "astronaut.png", "--set", "smile=1e9", "--out", "x.png"], ["smile", "-3 to 3"]),
        (["edit", "astronaut.png", "--out", "x.txt"], ["x.txt", ".png"]),
        (["edit", "astronaut.png", "--out", "nowhere/x.png"], ["nowhere"]),
        (["edit", "astronaut.png", "--out", "x.png", "--device", "abacus"], ["abacus"]),
        (["edit", "astronaut.png", "--out", "x.png", "--model", "nobody"], ["nobody"]),
        (["edit", "astronaut.png", "--out", "x.png", "--refine", "fast"], ["no refiner"]),
        (["edit", "astronaut.png", "--out", "x.png", "--refiner", "one_stage"], ["no refiner", "one_stage"]),
        (["edit", "astronaut.png", "--out", "x.png", "--strength", "1.5"], ["strength", "0 to 1"]),
        (["edit", "astronaut.png", "--out", "x.png", "--strength", "nan"], ["strength", "0 to 1"]),
        (["edit", "astronaut.png", "--out", "x.png", "--save-project", "nowhere/a"], ["nowhere", "write"]),
        (["open", "missing.visagist", "--out", "x.png"], ["No such file"]),
        (["open", "astronaut.png", "--out", "x.png"], ["no Visagist project"]),
        (["evaluate", "nowhere"], ["nowhere"]),
        (["evaluate", "home", "--json"], ["no photos"]),
        (["evaluate", PORTRAITS, "--judge", "astronaut.png"], ["judge"]),
        (["evaluate", PORTRAITS, "--refine", "fast"], ["no refiner"]),
        (["evaluate", PORTRAITS, "--refiner", "two_stage"], ["no refiner two_stage"]),
        (["bench"], ["--photo"]),
        (["serve", "--model", "nobody"], ["nobody"]),
    ],
    ids=lambda value: " ".join(value[:5]) if isinstance(value, list) else None,
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    launch, launch_here, arguments: list[str], words: list[str]
) -> None:
    if "--model" not in arguments:
        arguments = [*arguments, "--model", "tiny"]
    assert_one_sentence(launch_here(*arguments), *words)


def test_bad_input_leaves_standard_output_empty(launch) -> None:
    done = launch("edit", "blank.png", "--model", "tiny", "--out", "x.png", "--json")
    assert_one_sentence(done, "No face")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["paint"], ["paint"]),
        (["edit"], ["PHOTO", "--out"]),
        (["edit", "a.png", "--out", "b.png", "--set", "smile"], ["smile", "NAME=VALUE"]),
        (["edit", "a.png", "--out", "b.png", "--set", "smile=wide"], ["wide"]),
        (["edit", "a.png", "--out", "b.png", "--fac", "1"], ["--fac"]),
        (["edit", "a.png", "--out", "b.png", "--face", "0"], ["'0'", "counted from 1"]),
        (["edit", "a.png", "--out", "b.png", "--refine", "more"], ["more", "best"]),
        (["edit", "a.png", "--out", "b.png", "--strength", "much"], ["much"]),
        (["edit", "a.png", "--out", "b.png", "--reference", "c.png", "--amount", "all"], ["all"]),
        (["--port", "70000"], ["70000"]),
        (["--auth", "alone"], ["USER:PASSWORD"]),
        (["--max-megapixels", "201"], ["'201'", "1 to 200"]),
        (["evaluate", "folder", "--share"], ["--share"]),
        (["evaluate", "folder", "--limit", "0"], ["'0'", "number of photos"]),
        (["evaluate", "folder", "--refine", "better"], ["better"]),
        (["evaluate", "folder", "--seconds", "40,12"], ["'40,12'", "rise"]),
        (["evaluate", "folder", "--seconds", "0"], ["'0'", "seconds"]),
        (["evaluate", "folder", "--seconds", "nan"], ["'nan'", "seconds"]),
        (["evaluate", "folder", "--seconds", "12,nan"], ["'12,nan'", "seconds"]),
        (["evaluate", "folder", "--seconds", "12,inf"], ["'12,inf'", "seconds"]),
        (["edit", "a.png", "--out", "b.png", "--seconds", "nan"], ["'nan'", "seconds"]),
        (["edit", "a.png", "--out", "b.png", "--steps", "0"], ["'0'", "number of steps"]),
        (["edit", "a.png", "--out", "b.png", "--steps", "9" * 5000], ["99'", "number of steps"]),
        (["open", "a.visagist", "--out", "b.png", "--seconds", "0"], ["'0'", "seconds"]),
    ],
    ids=" ".join,
)
def test_mistyped_commands_are_one_sentence_too(launch, arguments: list[str], words: list[str]) -> None:
    assert_one_sentence(launch(*arguments), *words, "--help")


def test_options_before_the_command_hold_for_it(launch) -> None:
    done = launch("--model", "nobody", "edit", "astronaut.png", "--out", "x.png")
    assert_one_sentence(done, "nobody")


def test_evaluate_prints_json_alone(launch) -> None:
    done = launch("evaluate", PORTRAITS, "--model", "tiny", "--limit", "3", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["photos"], result["no_face"]) == (1, 0)
    measures = {"mse", "ms_ssim", "dlib_distance", "lpips", "code_rms", "code_spread", "seconds"}
    assert set(result["mean"]) == measures
    assert set(result["per_photo"][0]) == measures | {"file"}
    assert (result["skipped"], result["without_face"]) == ([], [])
    if result["mean"]["lpips"] is None:
        assert done.stderr.count("LPIPS") == 1


def test_bench_prints_json_alone(launch) -> None:
    done = launch("bench", "--model", "tiny", "--photo", "astronaut.png", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["times_faster"] > 0
    assert "render_plain" in result["milliseconds"]


def test_bench_at_the_papers_size(launch) -> None:
    done = launch("bench", "--paper-size", "--json")
    assert done.returncode == 0, done.stderr
    assert round(json.loads(done.stdout)["style_transformer"]["parameters"] / 1e6, 2) == 40.62


def test_models_lists_what_is_installed(launch, tiny_bundle_dir: Path) -> None:
    done = launch("models", "--json")
    assert done.returncode == 0, done.stderr
    tiny = next(m for m in json.loads(done.stdout)["models"] if m["name"] == "tiny")
    assert tiny["attributes"] == ["smile", "young", "male"]
    assert tiny["resolution"] == 32
    assert "tiny" in launch("models").stdout


def test_help_names_every_command(launch) -> None:
    done = launch("--help")
    assert done.returncode == 0
    assert all(
        name in done.stdout for name in ("serve", "edit", "open", "evaluate", "bench", "models", "--host")
    )


def test_a_port_in_use_is_one_sentence(launch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = launch("--port", str(port), "--model", "tiny")
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].endswith("choose another --host or --port.")
    assert "Traceback" not in done.stderr


def test_whoever_serves_says_how_large_a_photo_may_be(
    launch_here, tiny_bundle_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: dict[str, Any] = {}
    monkeypatch.setattr("app.ui.serve", lambda *_, **options: served.update(options))
    monkeypatch.setattr("cli.serve.check_address", lambda host, port: None)
    for more, pixels in (([], 200_000_000), (["--max-megapixels", "40"], 40_000_000)):
        assert launch_here("--model", str(tiny_bundle_dir), *more).returncode == 0
        assert served["limits"].pixels == pixels


def test_without_a_command_the_app_is_served(work: Path, tiny_bundle_dir: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(ROOT / "launch.py"), "--port", str(port), "--model", str(tiny_bundle_dir)]
    with subprocess.Popen(command, cwd=work, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as server:
        try:
            page = fetch(f"http://127.0.0.1:{port}/", server)
        finally:
            server.terminate()
    assert "Visagist" in page


def fetch(url: str, server: subprocess.Popen[bytes]) -> str:
    """The page, as soon as the server answers."""
    for _ in range(600):
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return answer.read().decode()
        except OSError:
            time.sleep(0.2)
    server.kill()
    pytest.fail(f"The app did not answer: {server.stderr.read().decode()}")
