# ruff: noqa: F811, the fixtures that are imported
"""`launch.py edit --reference`: what it takes, from whom, and every way of asking for it wrongly."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.engine import Engine
from core.references import Take
from core.session import EditRequest, View
from tests.test_launch import assert_one_sentence, launch_here, read, work  # noqa: F401


@pytest.fixture
def taking(work: Path, taking_bundle_dir: Path) -> list[str]:
    return ["edit", "astronaut.png", "--model", str(taking_bundle_dir), "--out", "taken.png"]


def test_edit_takes_from_references_in_their_order(
    launch_here, work: Path, taking: list[str], taking_engine: Engine, photo: np.ndarray
) -> None:
    Image.fromarray(np.concatenate([photo, photo[:, ::-1]], axis=1)).save(work / "two.png")
    arguments = [
        *taking, "--set", "male=1", "--reference", "gallery:2", "--take", "young, smi", "--amount", "-0.5",
        "--take", "colour", "--reference", "two.png", "--reference-face", "2", "--amount=0.25", "--json",
    ]  # fmt: skip
    done = launch_here(*arguments, "--take", "co")
    assert_one_sentence(done, "'co' could be coarse or colour", "smile, young, coarse, middle, colour")
    assert not (work / "taken.png").exists()
    done = launch_here(*arguments, "--take", "coa")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["takes"] == [
        {"reference": "gallery:2", "what": ["smile", "young"], "amount": -0.5},
        {"reference": "gallery:2", "what": ["colour"], "amount": 1.0},
        {"reference": "two.png", "what": ["coarse"], "amount": 0.25},
    ]
    gallery = taking_engine.gallery[1]
    other = taking_engine.open_portrait(read(work / "two.png"), 1).reference
    takes = (
        Take(gallery, ("smile", "young"), -0.5),
        Take(gallery, ("colour",)),
        Take(other, ("coarse",), 0.25),
    )
    wanted = taking_engine.edit(
        taking_engine.open_portrait(photo),
        EditRequest({"male": 1.0}, takes=takes, view=View("photo", "photo")),
    )
    assert np.array_equal(read(work / "taken.png"), wanted)
    (work / "taken.png").unlink()


@pytest.mark.parametrize("start", ["photo", "inversion"])
def test_the_photo_as_its_own_reference_changes_no_byte(
    launch_here, work: Path, taking: list[str], start: str
) -> None:
    outputs = []
    for extra in ([], ["--reference", "astronaut.png", "--take", "smile,young,coarse,middle,colour"]):
        done = launch_here(*taking, "--start", start, "--set", "male=1", *extra)
        assert done.returncode == 0, done.stderr
        outputs.append((work / "taken.png").read_bytes())
        (work / "taken.png").unlink()
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--take", "smile"], ["--take belongs to a --reference"]),
        (["--amount", "1", "--reference", "blank.png"], ["--amount belongs to a --reference"]),
        (["--reference", "astronaut.png"], ["--take", "astronaut.png"]),
        (["--reference", "astronaut.png", "--take", "smile", "--reference", "gallery:1"], ["gallery:1"]),
        (["--reference", "blank.png", "--take", "smile"], ["No face was found in blank.png, neither"]),
        (["--reference", "broken.jpg", "--take", "smile"], ["broken.jpg"]),
        (["--reference", "missing.jpg", "--take", "smile"], ["missing.jpg", "No such file"]),
        (
            ["--reference", "astronaut.png", "--take", "smile", "--reference-face", "3"],
            ["no face number 3", "astronaut.png shows one face"],
        ),
        (["--reference", "gallery:4", "--take", "smile"], ["'4'", "gallery:1 to gallery:3"]),
        (["--reference", "gallery:0", "--take", "smile"], ["'0'"]),
        (["--reference", "gallery:one", "--take", "smile"], ["'one'"]),
        (
            ["--reference", "gallery:1", "--take", "wings"],
            ["'wings' cannot be taken", "smile, young, coarse"],
        ),
        (["--reference", "gallery:1", "--take", "smile,"], ["'' cannot be taken"]),
        (["--reference", "gallery:1", "--take", "male"], ["'male' cannot be taken"]),
        (["--reference", "gallery:1", "--take", "smile", "--amount", "3"], ["amount", "-1 to 2"]),
        (["--reference", "gallery:1", "--take", "smile", "--amount", "nan"], ["amount", "-1 to 2"]),
        (["--reference", "gallery:1", "--amount", "1", "--amount", "0"], ["two --amount"]),
    ],
    ids=lambda value: " ".join(value) if value[0].startswith("--") else None,
)
def test_a_wrong_reference_is_one_sentence_and_writes_nothing(
    launch_here, work: Path, taking: list[str], arguments: list[str], words: list[str]
) -> None:
    assert_one_sentence(launch_here(*taking, *arguments), *words)
    assert not (work / "taken.png").exists()
