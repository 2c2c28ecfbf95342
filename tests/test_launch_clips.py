"""`launch.py edit` with clips, and with before and after side by side."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from core.images import encode_png
from launch import main


@pytest.fixture
def work(tmp_path: Path, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch, tiny_bundle_dir: Path) -> Path:
    (tmp_path / "astronaut.png").write_bytes(encode_png(photo))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VISAGIST_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.fixture
def edit(work: Path, tiny_bundle_dir: Path):
    return lambda *words: main(["edit", "astronaut.png", "--model", str(tiny_bundle_dir), *words])


def test_a_slider_s_sweep_is_an_mp4(edit, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert edit("--set", "male=1", "--sweep", "smile", "--out", "smile.mp4", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["out"], told["width"], told["height"]) == ("smile.mp4", 512, 512)
    assert told["sliders"] == {"male": 1}
    with av.open(str(work / "smile.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]
    assert len(frames) == 64
    assert np.abs(frames[0] - frames[32]).max() > 20
    assert np.abs(frames[1] - frames[63]).mean() < 1


def test_before_and_after_fade_or_lie_side_by_side(edit, work: Path, photo: np.ndarray) -> None:
    assert edit("--set", "smile=2", "--fade", "--out", "fade.gif") == 0
    with Image.open(work / "fade.gif") as image:
        assert (image.size, image.is_animated) == ((400, 400), True)
    assert edit("--set", "smile=2", "--before-after", "--out", "both.png") == 0
    both = np.array(Image.open(work / "both.png"))
    assert both.shape == (512, 512 + 3 + 512, 3)
    assert np.array_equal(both[:, :512], photo)
    assert not np.array_equal(both[:, 515:], photo)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--sweep", "nose", "--out", "a.mp4"], "nose"),
        (["--sweep", "smile", "--out", "a.png"], ".mp4"),
        (["--fade", "--out", "folder/"], "one photo"),
        (["--before-after", "--face-only", "--out", "a.png"], "whole photo"),
        (["--fade", "--sweep", "smile", "--out", "a.mp4"], "not allowed"),
        (["--out", "a.mp4"], "Cannot save as 'a.mp4'"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    edit, words: list[str], said: str, capsys: pytest.CaptureFixture[str], work: Path
) -> None:
    assert edit(*words) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert said in told.err
    assert len(told.err.strip().splitlines()) == 1
    assert sorted(path.name for path in work.iterdir() if path.is_file()) == ["astronaut.png"]
