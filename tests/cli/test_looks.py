"""Looks on the command line, by name and by file."""

import dataclasses
from pathlib import Path

import pytest

from cli.looks import moved_by
from core.checkpoints import Bundle, save_bundle
from core.config import LookConfig
from core.errors import BadLook, BadRequest
from core.looks import write_look


@pytest.fixture
def model(tiny_bundle: Bundle, tmp_path: Path) -> str:
    looks = (LookConfig("Big smile", {"smile": 2, "male": -1}), LookConfig("Younger", {"young": 1}))
    config = dataclasses.replace(tiny_bundle.config, looks=looks)
    save_bundle(tmp_path / "model", dataclasses.replace(tiny_bundle, config=config))
    return str(tmp_path / "model")


def test_looks_act_one_after_the_other(model: str, tmp_path: Path) -> None:
    assert moved_by(["big-smile"], model) == {"smile": 2, "male": -1}
    file = tmp_path / "mine.look.json"
    file.write_text(write_look(LookConfig("Mine", {"smile": 0.5})), encoding="utf-8")
    assert moved_by(["Big smile", str(file), "younger"], model) == {"smile": 0.5, "male": -1, "young": 1}


def test_what_is_no_look_is_one_sentence(model: str, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="Big smile, Younger"):
        moved_by(["bigger-smile"], model)
    with pytest.raises(BadRequest):
        moved_by([str(tmp_path)], model)
    broken = tmp_path / "broken.json"
    broken.write_bytes(b"{" * 10**6)
    with pytest.raises(BadLook, match=r"broken\.json"):
        moved_by([str(broken)], model)
