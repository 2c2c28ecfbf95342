"""`launch.py models` as its user meets it: a chain of imports, what is said of the result, and mistakes."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from import_files import RESOLUTION, write_all
from PIL import Image

from core import checkpoints
from launch import main

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files")
    write_all(path)
    return path


@pytest.fixture
def models(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    """Runs `launch.py models ...` among the files, with a user's folder of its own."""
    monkeypatch.chdir(files)
    monkeypatch.setenv("VISAGIST_HOME", str(tmp_path / "home"))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            code = main(["models", *arguments])
        except SystemExit as done:  # argparse's own way out
            code = int(str(done.code))
        captured = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, captured.out, captured.err)

    return run


def answer(done: subprocess.CompletedProcess[str]) -> dict:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_one_sentence(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert line.endswith(".")
    for word in words:
        assert word in line


def test_a_chain_of_imports(models, tmp_path: Path) -> None:
    folder = tmp_path / "home" / "checkpoints" / "ffhq"
    first = answer(models("import", "generator.pt", "--name", "ffhq", "--json"))
    assert first["name"] == "ffhq"
    assert first["folder"] == str(folder)
    assert first["resolution"] == RESOLUTION
    assert first["sliders"] == []
    assert any("encoder" in sentence for sentence in first["lacks"])

    answer(models("import", "--into", "ffhq", "e4e.pt", "--json"))
    last = answer(models("import", "pose.pt", "age.pt", "pca.pt", "--into", "ffhq", "--json"))
    assert last["version"] == "3"
    assert last["sliders"][:3] == ["age", "pose", "pca-1"]
    assert not any("encoder" in sentence for sentence in last["lacks"])

    listed = answer(models("list", "--json"))
    assert listed == answer(models("--json"))
    mine = next(m for m in listed["models"] if m["name"] == "ffhq")
    assert mine["attributes"] == last["sliders"]
    assert any("photos" in sentence for sentence in mine["can"])

    shown = answer(models("show", "ffhq", "--json"))
    assert [source["file"] for source in shown["sources"]] == [
        "generator.pt", "e4e.pt", "age.pt", "pose.pt", "pca.pt",
    ]  # fmt: skip
    assert shown["bytes"] == sum(file.stat().st_size for file in folder.iterdir())
    assert set(shown["parts"]) == {"generator", "mapping", "inverter"}
    assert all(cost["parameters"] > 0 < cost["macs"] for cost in shown["parts"].values())
    assert shown["lacks"] == last["lacks"]

    verified = answer(models("verify", "ffhq", "--json"))
    assert [(m["name"], m["works"]) for m in verified["models"]] == [("ffhq", True)]
    assert answer(models("remove", "ffhq", "--yes", "--json"))["folder"] == str(folder)
    assert not folder.exists()


def test_what_a_terminal_says(models, tmp_path: Path) -> None:
    said = models("import", "e4e.pt", "age.pt", "--name", "ffhq").stdout
    for words in ("checkpoints/ffhq", "The mean face", "codes of 64", "Sliders: age.", "--model ffhq"):
        assert words in said
    shown = models("show", "ffhq").stdout
    for words in (
        "16 px", "M parameters", "G MACs", "MiB", "SHA-256", "e4e.pt: generator, inverter", "non-commercial",
        "(younger to older)", "It opens photos.", "latent classifier",
    ):  # fmt: skip
        assert words in shown
    assert "ffhq  ffhq 1, 16 px" in models().stdout
    assert "ffhq: works." in models("verify", "ffhq").stdout
    assert "Removed" in models("remove", "ffhq", "--yes").stdout


def test_verify_of_all_goes_on_after_one_that_fails(models, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(checkpoints, "BUILT_IN", tmp_path / "none")
    assert models("verify").stdout == "No model is installed.\n"
    for name in ("a", "b"):
        assert models("import", "generator.pt", "--name", name).returncode == 0
    (tmp_path / "home" / "checkpoints" / "a" / "generator.safetensors").write_bytes(b"damaged")
    done = models("verify", "--json")
    assert done.returncode == 2
    found = json.loads(done.stdout)
    assert found["failed"] == ["a"]
    assert [(m["name"], m["works"]) for m in found["models"]] == [("a", False), ("b", True)]
    assert models("verify", "b").returncode == 0
    text = models("verify", "a")
    assert text.returncode == 2
    assert "a: FAILS." in text.stdout
    assert "damaged" in text.stdout


def test_remove_asks_where_somebody_can_answer(models, tmp_path: Path, monkeypatch) -> None:
    folder = tmp_path / "home" / "checkpoints" / "ffhq"
    models("import", "generator.pt", "--name", "ffhq")
    monkeypatch.setattr(sys, "stdin", io.StringIO("yes\n"))  # piped: nobody is asked
    assert_one_sentence(models("remove", "ffhq"), "--yes")
    for reply, stays in (("n\n", True), ("\n", True), ("y\n", False)):
        terminal = io.StringIO(reply)
        terminal.isatty = lambda: True  # type: ignore[method-assign]
        monkeypatch.setattr(sys, "stdin", terminal)
        assert models("remove", "ffhq").returncode == (2 if stays else 0)
        assert folder.exists() == stays


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("import", "generator.pt"), ["--name", "--into"]),
        (("import", "--name", "new"), ["FILE"]),
        (("import", "generator.pt", "--name", "a", "--into", "b"), ["--into", "--name"]),
        (("import", "generator.pt", "--name", "a/b"), ["'a/b'", "letters"]),
        (("import", "generator.pt", "--name", ""), ["letters"]),
        (("import", "generator.pt", "--name", "portrait1024"), ["portrait1024 already"]),
        (("import", "age.pt", "--into", "portrait1024"), ["built in"]),
        (("import", "age.pt", "--into", "nobody"), ["nobody"]),
        (("import", "age.pt", "--name", "new"), ["begins with a generator"]),
        (("import", "generator.pt", "other.pt", "--name", "new"), ["generator.pt and other.pt"]),
        (("import", "nowhere.pt", "--name", "new"), ["nowhere.pt"]),
        (("show", "nobody"), ["nobody"]),
        (("show",), ["NAME"]),
        (("verify", "nobody"), ["nobody"]),
        (("remove", "portrait1024", "--yes"), ["built in"]),
        (("remove", "nobody", "--yes"), ["nobody"]),
        (("fetch", "ffhq"), ["fetch"]),
    ],
)
def test_mistakes(models, tmp_path: Path, arguments: tuple[str, ...], words: list[str]) -> None:
    assert_one_sentence(models(*arguments), *words)
    folder = tmp_path / "home" / "checkpoints"
    assert not [path for path in folder.rglob("*") if path.is_dir() or path.suffix == ".safetensors"]


def test_an_imported_model_edits_a_photo(files: Path, tmp_path: Path, photo: np.ndarray) -> None:
    """Through the real entry, in processes of their own; standard output is JSON alone."""
    environment = {**os.environ, "VISAGIST_HOME": str(tmp_path / "home")}

    def launch(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(ROOT / "launch.py"), *arguments], cwd=files, env=environment,
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    answer(launch("models", "import", "e4e.pt", "age.pt", "--name", "ffhq", "--json"))
    Image.fromarray(photo).save(tmp_path / "photo.png")
    pictures = []
    for value in (0, 3):
        out = tmp_path / f"{value}.png"
        done = launch("edit", str(tmp_path / "photo.png"), "--model", "ffhq", "--set", f"age={value}",
                      "--face-only", "--out", str(out), "--json")  # fmt: skip
        assert answer(done)["width"] == RESOLUTION
        pictures.append(np.array(Image.open(out)))
    assert (pictures[0] != pictures[1]).any()
