"""Which converter a file is given to, and what is said of one that nobody knows."""

from pathlib import Path

import pytest
import torch
from import_files import write_all

from core.errors import BadCheckpoint
from core.importing.formats.recognise import FORMATS, convert
from core.importing.read.reading import Checkpoint, read_checkpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files")
    write_all(path)
    return path


@pytest.mark.parametrize(
    ("file", "word", "parts"),
    [
        ("nvidia.pkl", "NVIDIA", {"generator"}),
        ("generator.pt", "rosinality", {"generator"}),
        ("e4e.pt", "e4e", {"generator", "inverter", "mean_code"}),
        ("psp.pt", "pSp", {"generator", "inverter", "mean_code"}),
        ("st.pt", "Style Transformer", {"generator", "inverter", "mean_code"}),
        ("classifier.pth", "classifier", {"classifier"}),
        ("age.pt", "InterFaceGAN", {"directions"}),
        ("pca.pt", "GANSpace", {"directions"}),
    ],
)
def test_a_file_is_of_its_format_and_of_no_other(folder: Path, file: str, word: str, parts: set[str]) -> None:
    checkpoint = read_checkpoint(folder / file)
    assert sum(known.recognises(checkpoint.content) for known in FORMATS) == 1
    found = convert(checkpoint)
    assert word in found.format
    names = ("generator", "inverter", "mean_code", "classifier", "directions")
    assert {name for name in names if getattr(found, name) not in (None, ())} == parts


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"weights": 1, "epoch": 2}, ["the keys weights, epoch"]),
        ({f"layer{i}": i for i in range(9)}, ["layer0", "layer4 and 4 more"]),
        ({}, ["nothing"]),
        ([1, 2], ["a list"]),
        (torch.zeros(2, 3, 4, 5), ["(2, 3, 4, 5)"]),
        ("text", ["a str"]),
        (None, ["NoneType"]),
    ],
)
def test_of_an_unknown_file_it_is_said_what_it_holds_and_what_is_known(content, words: list[str]) -> None:
    with pytest.raises(BadCheckpoint) as caught:
        convert(Checkpoint(Path("some/mystery.pt"), "0" * 64, content))
    text = str(caught.value)
    assert text.startswith("mystery.pt is of no format that can be imported")
    for word in (*words, "NVIDIA", "rosinality", "e4e", "pSp", "Style Transformer", "GANSpace"):
        assert word in text
    assert text.endswith(".")
    assert "\n" not in text
