"""Published checkpoints as plain data, however they were saved; what is none is named for what it is."""

import argparse
import hashlib
import io
import pickle
import tarfile
import zipfile
from collections import Counter, OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from raw_pickles import archive_bytes, dump, legacy_bytes, stored_archive

from core.errors import BadCheckpoint
from core.importing.read.reading import read_checkpoint


@pytest.fixture
def content() -> dict[str, Any]:
    shared = torch.randn(4, 5)
    return {
        "state_dict": OrderedDict(
            whole=shared,
            turned=shared.t(),
            part=shared[1:3, ::2],
            half=torch.randn(3).half(),
            brain=torch.randn(3).bfloat16(),
            flags=torch.tensor([True, False]),
            count=torch.tensor(5),
            parameter=torch.nn.Parameter(torch.randn(2)),
            none=torch.zeros(0, 3),
            expanded=torch.ones(1).expand(512),
            layer=torch.nn.BatchNorm2d(3).state_dict(),
        ),
        "arrays": [np.arange(6.0).reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3))],
        "others": (
            np.arange(3, dtype=">f4"),
            np.arange(3, dtype=np.int8),
            np.zeros((0, 2)),
            np.array([True]),
        ),
        "numbers": [np.float64(2.5), np.int64(7), np.bool_(True), 1, -(2**40), 1e300, True, None],
        "opts": argparse.Namespace(path=Path("/a/b"), device=torch.device("cuda:1"), dtype=torch.float16),
        "more": defaultdict(list, {3: ["ä", b"\xff\0"]}),
        "counts": Counter("aab"),
        "set": {1},
        "size": torch.Size([2, 3]),
    }


def plain(value: Any) -> Any:
    """What the content is once it is plain, in a form that can be compared: by the types' own meaning."""
    if isinstance(value, argparse.Namespace):
        return {"path": "/a/b", "device": "cuda:1", "dtype": "torch.float16"}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, set):
        return [plain(item) for item in value]
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, torch.Tensor):
        return str(value.dtype), tuple(value.shape), value.detach().double().flatten().tolist()
    if isinstance(value, np.ndarray):
        kind = {"f": "torch.float", "i": "torch.int"}.get(value.dtype.kind, "torch.bool")
        bits = "" if kind == "torch.bool" else str(8 * value.dtype.itemsize)
        return kind + bits, value.shape, value.astype(float).flatten().tolist()
    return value


def read(folder: Path, data: bytes) -> Any:
    path = folder / "some.weights"
    path.write_bytes(data)
    return read_checkpoint(path).content


def archive_of(content: Any, protocol: int = 2) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, pickle_protocol=protocol)
    return file.getvalue()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_way_of_saving_gives_the_same_plain_content(
    content: dict[str, Any], protocol: int, tmp_path: Path
) -> None:
    wanted = plain(content)
    assert plain(read(tmp_path, archive_of(content, protocol))) == wanted
    assert plain(read(tmp_path, legacy_bytes(content))) == wanted
    found = read(tmp_path, pickle.dumps(content, protocol))
    assert plain(found) == wanted
    assert type(found["opts"]) is dict
    assert type(found["state_dict"]) is dict
    assert type(found["size"]) is tuple


def test_a_tensor_alone_is_content(tmp_path: Path) -> None:
    direction = torch.randn(1, 18, 512)
    for data in (archive_of(direction), legacy_bytes(direction), pickle.dumps(direction)):
        assert torch.equal(read(tmp_path, data), direction)


def test_a_checkpoint_says_where_it_came_from(tmp_path: Path) -> None:
    path = tmp_path / "no suffix says anything"
    path.write_bytes(archive_of({"w": torch.randn(3_000_000)}))
    told: list[float] = []
    checkpoint = read_checkpoint(path, told.append)
    assert checkpoint.path == path
    assert checkpoint.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert len(told) > 3
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_the_file_stays_as_it_is_whatever_becomes_of_its_tensors(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(stored_archive((4,), (1,)))
    before = path.read_bytes()
    tensor = read_checkpoint(path).content
    tensor += 1
    assert tensor.tolist() == [1, 2, 3, 4]
    assert path.read_bytes() == before


def test_whoever_cancels_is_heard(tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def stop(_: float) -> None:
        raise Stopped

    path = tmp_path / "x.pt"
    path.write_bytes(stored_archive((4,), (1,)))
    with pytest.raises(Stopped):
        read_checkpoint(path, stop)


def tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("x"))
    return file.getvalue()


def a_zip(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return file.getvalue()


QUOTA = b"<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head></html>"
ASKS = b"<html><head><title>Google Drive - Virus scan warning</title></head></html>"
PICTURE = b"\xff\xd8\xff\xe0\0\x10JFIF" + b"\0" * 100


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (QUOTA, "is a web page, not weights: Google Drive's quota for it is used up"),
        (b"\xef\xbb\xbf\n  " + QUOTA.lower(), "Google Drive's quota"),
        (ASKS, "Google Drive asks for a confirmation"),
        (b"<!-- " + b"<!---->" * 5000 + b"<html>", "is a web page, not weights: the server sent a page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "the server sent a page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "is a Git LFS pointer"),
        (PICTURE, "is a JPEG picture"),
        (tar(), "is a tar archive"),
        (b"\x1f\x8b\x08" + b"\0" * 20, "is a gzip archive"),
        (safetensors.torch.save({"w": torch.zeros(2)}), "is a safetensors file"),
        (b"\x93NUMPY\x01\0", "is a NumPy array"),
        (a_zip("holiday.jpg", "notes.txt"), "is a zip archive, but not one that torch has saved"),
        (a_zip(), "is no file of weights"),
        (a_zip("a/data.pkl", "b/data.pkl"), "is a zip archive, but not one that torch has saved"),
        (a_zip("a/data.pkl", "a/constants.pkl"), "is a TorchScript program"),
        (a_zip("a/data.pkl", "a/byteorder"), "of another byte order"),
        (a_zip("a/data.pkl"), "is damaged"),
        (b"weights = 3\n", "is no file of weights"),
        (bytes(1000), "is no file of weights"),
        (b"\x80", "is damaged"),
    ],
)
def test_what_is_no_checkpoint_is_named_for_what_it_is(data: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "ffhq.pt"
    path.write_bytes(data)
    with pytest.raises(BadCheckpoint, match=words) as refusal:
        read_checkpoint(path)
    message = str(refusal.value)
    assert message.startswith("ffhq.pt ")
    assert message.endswith(".")
    assert "\n" not in message


def test_a_folder_a_missing_file_and_an_impossible_name_are_sentences(tmp_path: Path) -> None:
    for path, words in (
        (tmp_path, "is a folder"),
        (tmp_path / "none.pt", "There is no file .*none.pt"),
        (tmp_path / ("x" * 300), "cannot be read"),
        (Path("/dev/null"), "is a device"),
        (Path("a\0b"), "cannot be read"),
    ):
        with pytest.raises(BadCheckpoint, match=words):
            read_checkpoint(path)


@pytest.mark.parametrize("save", [archive_of, legacy_bytes, pickle.dumps])
def test_half_a_file_is_damaged_wherever_it_ends(save: Any, tmp_path: Path) -> None:
    data = save({"w": torch.randn(30, 20), "opts": {"size": 64}})
    for end in {*range(4, len(data), 37), len(data) - 1}:
        with pytest.raises(BadCheckpoint, match=r"is damaged|is a zip archive"):
            read(tmp_path, data[:end])


def test_nothing_may_follow_after_a_pickle(tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint, match="something follows"):
        read(tmp_path, dump({}) + b"x")
    with pytest.raises(BadCheckpoint, match="something follows"):
        read(tmp_path, archive_bytes(dump({}) + b"x", {}))
