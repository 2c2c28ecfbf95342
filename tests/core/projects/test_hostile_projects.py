"""Project files from strangers: whatever is wrong with one, a single sentence says so."""

import contextlib
import dataclasses
import io
import itertools
import json
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from core.engine import Engine
from core.errors import BadProject
from core.images import encode_png
from core.projects.archive import pack
from core.projects.project import FORMAT, Project, is_project, open_project, save_project
from core.projects.restoring import restore
from core.references import Reference
from core.session import EditRequest

Entries = dict[str, bytes]
Change = Callable[[Any], None]


def rewritten(entries: Entries, change: Change) -> bytes:
    """The project after `change` of its JSON."""
    document = json.loads(entries["project.json"])
    change(document)
    return pack({**entries, "project.json": json.dumps(document).encode()})


def retensored(entries: Entries, **tensors: torch.Tensor | None) -> bytes:
    """The project with other tensors; None: without."""
    kept = {**safetensors.torch.load(entries["tensors.safetensors"]), **tensors}
    data = safetensors.torch.save({name: t for name, t in kept.items() if t is not None})
    return pack({**entries, "tensors.safetensors": data})


def put(*path: Any, value: Any) -> Change:
    def change(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = value

    return change


def refusal(data: bytes) -> str:
    with pytest.raises(BadProject) as raised:
        open_project(data)
    message = str(raised.value)
    assert message.endswith(".")
    assert "\n" not in message
    assert len(message) < 250
    return message


def test_a_newer_format_says_so_whatever_else_it_holds() -> None:
    data = pack({"project.json": b'{"format": 7}', "new/thing": b"", "../new": b""})
    assert is_project(data)
    assert refusal(data) == (
        "This project was saved by a newer Visagist (format 7); this one reads up to 2. "
        "Update Visagist to open it."
    )
    assert FORMAT == 2


@pytest.mark.parametrize("name", ["../evil.png", "/etc/passwd", "C:\\evil", "a\\..\\b", "notes.txt"])
def test_an_entry_that_no_project_has_is_refused(entries: Entries, name: str) -> None:
    assert "an entry that no project has" in refusal(pack({**entries, name: b"x"}))


def test_an_entry_hidden_behind_a_zero_is_refused(entries: Entries) -> None:
    data = pack({**entries, "photo.png?": b"x"}).replace(b"photo.png?", b"photo.png\0")
    assert "an entry that no project has" in refusal(data)


@pytest.mark.parametrize("name", ["project.json", "tensors.safetensors", "photo.png", "reference0.png"])
def test_an_entry_that_is_missing_is_named(entries: Entries, name: str) -> None:
    assert name in refusal(pack({n: content for n, content in entries.items() if n != name}))


def test_entries_far_too_large_are_refused(entries: Entries, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, name in (
        ("MAX_JSON_BYTES", "project.json"),
        ("MAX_TENSOR_BYTES", "tensors.safetensors"),
        ("MAX_PICTURE_BYTES", "photo.png"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(f"core.projects.project.{limit}", len(entries[name]) - 1)
            assert f"its {name} is far too large" in refusal(pack(entries))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put("format", value=0), "the format"),
        (put("format", value=True), "the format"),
        (put("format", value="1"), "the format"),
        (put("format", value=10**9), "the format"),
        (put("more", value=1), "entries format, model"),
        (lambda d: d.pop("cursor"), "entries format, model"),
        (put("model", value=[]), "the model is no object"),
        (put("model", "title", value="\x1b[31mred"), "the model's title"),
        (put("model", "title", value="x" * 1000), "the model's title"),
        (put("model", "version", value=3), "the model's version"),
        (put("model", "fingerprint", value=None), "the model's fingerprint"),
        (put("model", "template", "scale", value=0), "no face can be cut out"),
        (put("model", "template", "shift", value="0"), "the template's shift"),
        (put("cursor", value=12), "the cursor is no whole number from 0 to 11"),
        (put("cursor", value=-1), "the cursor"),
        (put("cursor", value=1.0), "the cursor"),
        (put("history", value=[]), "the cursor"),
        (put("history", value={}), "the history is no list"),
        (lambda d: d.update(history=d["history"] * 100), "the history is no list of at most 1000"),
        (put("history", 3, "sliders", "smile", value=9), "slider smile is at 9"),
        (put("history", 1, "takes", 0, "reference", value="0" * 64), "not in the file"),
        (put("face", value=1), "the face is no whole number"),
        (put("boxes", value=[]), "68 landmarks for each face"),
        (put("boxes", 0, value=[1, 2, 3]), "four edges"),
        (put("boxes", 0, value=[1, 2, 3, 10**6]), "an edge is no whole number"),
        (put("boxes", 0, value=[10, 10, 5, 20]), "a face lies where none can be"),
        (put("boxes", value=[[0, 0, 9, 9]] * 21), "at most 20 entries"),
        (put("references", value=["0" * 64] * 201), "at most 200 entries"),
        (lambda d: d["references"].append("0" * 64), "one code for each reference face"),
        (lambda d: d["references"].reverse(), "the key of a reference face is not its code's"),
        (put("references", 1, value="0" * 64), "the key of a reference face is not its code's"),
        (lambda d: d.update(references=[d["references"][0]] * 3), "one code for each reference face"),
        (put("picker", value=["0" * 64]), "the picker shows a face that is not in the file"),
        (put("picker", value=[[]]), "a reference's key is no text"),
        (put("residuals", value=[]), "the list of residuals is no object"),
        (put("residuals", value={"worst": 7}), "a refinement that no model has"),
        (put("residuals", "fast", value=10**6), "a residual's length"),
        (put("residuals", "best", value=8), "lacks the tensor best.7"),
        (lambda d: d["residuals"].pop("best"), "a tensor that no project has"),
    ],
)
def test_json_that_no_project_has_is_one_sentence(entries: Entries, change: Change, words: str) -> None:
    assert words in refusal(rewritten(entries, change))


def face(eye_to_eye: float, eyes_to_mouth: float) -> torch.Tensor:
    """Landmarks of which these two vectors, along x and y, are all that there is."""
    points = torch.full((1, 68, 2), 100.0)
    points[0, 36:42, 0] -= eye_to_eye / 2
    points[0, 42:48, 0] += eye_to_eye / 2
    points[0, 48:, 1] += eyes_to_mouth
    return points


LANDMARKS = torch.linspace(10, 200, 136).view(1, 68, 2)


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"w_plus": None}, "lacks the tensor w_plus"),
        ({"w_plus": torch.zeros(8)}, "the tensor w_plus"),
        ({"w_plus": torch.full((8, 32), float("nan"))}, "the tensor w_plus"),
        ({"w_plus": torch.zeros(8, 32).half()}, "the tensor w_plus"),
        ({"references": torch.zeros(2, 8, 32)}, "one code for each reference face"),
        ({"landmarks": torch.zeros(1, 67, 2)}, "68 landmarks"),
        ({"landmarks": torch.zeros(2, 68, 2)}, "68 landmarks"),
        ({"landmarks": torch.full((1, 68, 2), 100.0)}, "a face lies where none can be"),
        ({"landmarks": face(50, 1.9)}, "a face lies where none can be"),
        ({"landmarks": face(-50, 50)}, "a face lies where none can be"),  # no axis for the crop
        ({"landmarks": LANDMARKS * 20}, "a face lies where none can be"),
        ({"landmarks": LANDMARKS - 1000}, "a face lies where none can be"),
        ({"landmarks": LANDMARKS * 0.001}, "a face lies where none can be"),
        ({"fast.3.p": None}, "lacks the tensor fast.3.p"),
        ({"best.0": None}, "lacks the tensor best.0"),
        ({"more": torch.zeros(1)}, "a tensor that no project has"),
    ],
)
def test_tensors_that_no_project_has_are_one_sentence(
    entries: Entries, tensors: dict[str, torch.Tensor | None], words: str
) -> None:
    assert words in refusal(retensored(entries, **tensors))


@pytest.mark.parametrize(
    "tensors",
    [
        {"w_plus": torch.zeros(10, 32)},
        {"w_plus": torch.zeros(8, 16)},
        {"best.0": torch.zeros(16, 16, 5, 5)},
        {"fast.3.p": torch.zeros(4, 17)},
    ],
)
def test_codes_of_another_model_under_this_ones_name_are_one_sentence(
    visited_engine: Engine, entries: Entries, tensors: dict[str, torch.Tensor]
) -> None:
    if "fast.3.p" in tensors:
        tensors = {**tensors, "fast.3.p": torch.zeros(len(stored(entries, "fast.3.q")), 17)}
    project = open_project(retensored(entries, **tensors))
    with pytest.raises(BadProject, match=r"codes are not of the model that it names\.$"):
        restore(visited_engine, project)


def stored(entries: Entries, name: str) -> torch.Tensor:
    return safetensors.torch.load(entries["tensors.safetensors"])[name]


def test_reference_codes_of_another_model_are_one_sentence(visited_engine: Engine, project: Project) -> None:
    alien = Reference(np.ones((10, 32)), np.zeros((32, 32, 3)))
    hostile = dataclasses.replace(project, references=(alien,), history=(EditRequest(),), cursor=0)
    with pytest.raises(BadProject, match="codes are not of the model"):
        restore(visited_engine, open_project(save_project(hostile)))


def blank(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("1", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("photo.png", b"no picture", "its photo.png is no picture of at most 40 megapixels"),
        ("photo.png", b"", "its photo.png is no picture"),
        ("photo.png", blank(13800, 13800), "its photo.png is no picture of at most 40 megapixels"),
        ("reference1.png", b"no picture", "its reference1.png is no picture"),
        ("reference1.png", blank(32, 33), "not square, or too large"),
    ],
)
def test_pictures_that_no_project_has_are_one_sentence(
    entries: Entries, name: str, content: bytes, words: str
) -> None:
    assert words in refusal(pack({**entries, name: content}))


def test_pictures_of_references_are_bounded_together(
    entries: Entries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.projects.project.MAX_PIXELS", 3 * 32**2 - 1)
    assert "not square, or too large" in refusal(pack(entries))


def small(entries: Entries) -> bytes:
    """A project of few bytes, so that each of them is often hit."""

    def bare(document: Any) -> None:
        document.update(references=[], picker=[], residuals={}, history=document["history"][:1], cursor=0)

    kept = {name: stored(entries, name) for name in ("w_plus", "landmarks")}
    plain = {
        "project.json": entries["project.json"],
        "tensors.safetensors": safetensors.torch.save(kept),
        "photo.png": encode_png(np.zeros((300, 300, 3), np.uint8)),
    }
    return rewritten(plain, bare)


def opens(data: bytes) -> bool:
    """Whether it is a valid project all the same; anything but BadProject fails."""
    with contextlib.suppress(BadProject):
        open_project(data)
        return True
    return False


def test_whatever_is_broken_or_cut_off_only_bad_project_comes_out(
    entries: Entries, visited_engine: Engine
) -> None:
    data = small(entries)
    restore(visited_engine, open_project(data))
    random = np.random.default_rng(0)
    opened = 0
    for _ in range(2000):
        broken = bytearray(data)
        # The headers and the directory are where a zip file is weak.
        near_end = random.random() < 0.5
        for _ in range(random.integers(1, 4)):
            at = len(data) - 1 - random.integers(0, 400) if near_end else random.integers(0, len(data))
            broken[at] = random.integers(0, 256)
        opened += opens(bytes(broken))
    assert opened < 1000
    for length in {*range(0, len(data), 37), *range(len(data) - 100, len(data))}:
        refusal(data[:length])


def test_whatever_is_broken_behind_a_right_checksum_only_bad_project_comes_out(entries: Entries) -> None:
    with zipfile.ZipFile(io.BytesIO(small(entries))) as file:
        plain = {name: file.read(name) for name in file.namelist()[1:]}
    random = np.random.default_rng(1)
    for name, _ in itertools.product(plain, range(400)):
        broken = bytearray(plain[name])
        for _ in range(random.integers(1, 4)):
            broken[random.integers(0, min(len(broken), 2000))] = random.integers(0, 256)
        opens(pack({**plain, name: bytes(broken)}))
