"""Looks on the command line, from the words that are typed to the picture that is written."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.checkpoints import Bundle, save_bundle
from core.config import LookConfig
from core.looks import write_look
from launch import main

SUNNY = LookConfig("Sunny day", {"smile": 1.5, "male": -0.5}, "Mood")


@pytest.fixture
def command(tiny_bundle: Bundle, photo: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    """Run launch.py in a folder with astronaut.png and mine.json; the model has one look."""
    config = dataclasses.replace(tiny_bundle.config, looks=(SUNNY,))
    save_bundle(tmp_path / "model", dataclasses.replace(tiny_bundle, config=config))
    Image.fromarray(photo).save(tmp_path / "astronaut.png")
    mine = write_look(LookConfig("Mine", {"smile": -1, "young": 0.5}))
    (tmp_path / "mine.json").write_text(mine, encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        return code, *capsys.readouterr()

    return run


EDIT = ("edit", "astronaut.png", "--model", "model", "--out", "out.png", "--json")


def sliders(command, *arguments: str) -> dict[str, float]:
    code, out, err = command(*EDIT, *arguments)
    assert code == 0, err
    return json.loads(out)["sliders"]


def test_a_look_moves_the_sliders_that_set_would(command, tmp_path: Path) -> None:
    assert sliders(command, "--look", "sunny-day") == {"smile": 1.5, "male": -0.5}
    worn = (tmp_path / "out.png").read_bytes()
    assert sliders(command, "--set", "smile=1.5", "--set", "male=-0.5") == {"smile": 1.5, "male": -0.5}
    assert (tmp_path / "out.png").read_bytes() == worn


def test_what_is_set_goes_on_from_looks(command) -> None:
    both = ("--look", "Sunny day", "--look", "mine.json")
    assert sliders(command, *both) == {"smile": -1, "male": -0.5, "young": 0.5}
    assert sliders(command, "--set", "smile=2", *both) == {"smile": 2, "male": -0.5, "young": 0.5}


def test_a_look_that_is_none_is_one_sentence_before_the_model_loads(
    command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.engine.Engine.load", None)
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    for word, said in (("funny", "Sunny day"), ("broken.json", "broken.json: This is no look")):
        code, out, err = command(*EDIT, "--look", word)
        assert (code, out) == (2, "")
        assert said in err
        assert err.count("\n") == 1


def test_models_show_lists_them(command) -> None:
    code, out, _ = command("models", "show", "model")
    assert code == 0
    assert "Sunny day" in out
    assert "smile=1.5, male=-0.5" in out
    code, out, _ = command("models", "show", "model", "--json")
    assert json.loads(out)["looks"] == [
        {"name": "Sunny day", "sliders": {"smile": 1.5, "male": -0.5}, "group": "Mood"}
    ]
