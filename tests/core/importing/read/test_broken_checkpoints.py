"""Checkpoints of every kind with one byte of them broken: a sentence, or plain content, and nothing else."""

import io
import pickle
import random
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from raw_pickles import dump, legacy_bytes, persistent_call, pickled_tensor

from core.errors import BadCheckpoint
from core.importing.read.reading import PersistentObject, read_checkpoint

SMALL = {
    "w": torch.arange(12.0).reshape(3, 4),
    "half": torch.ones(5).half(),
    "more": ["text", 2.5, None, (1, True), np.arange(3.0), np.float64(2.0)],
}


def small_pickle() -> bytes:
    state = {"_parameters": OrderedDict(w=pickled_tensor(torch.arange(6.0))), "_modules": {}, "_buffers": {}}
    return dump({"G_ema": persistent_call("Generator", state, "import os"), "size": 64}, 4)


def archive_of(value: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(
            isinstance(key, str | int | float | None) and is_plain(item) for key, item in value.items()
        )
    if isinstance(value, list | tuple):
        return type(value) in (list, tuple) and all(map(is_plain, value))
    if isinstance(value, PersistentObject):
        return is_plain(value.state)
    return value is None or type(value) in (str, bytes, int, float, bool, torch.Tensor)


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def imported() -> set[str]:
    """Packages; torch imports parts of itself when it first shows a tensor."""
    return {name.partition(".")[0] for name in sys.modules}


@pytest.mark.parametrize(
    "save",
    [
        lambda: archive_of(SMALL),
        lambda: legacy_bytes(SMALL),
        lambda: pickle.dumps(SMALL, 4),
        small_pickle,
    ],
    ids=["archive", "legacy", "pickle", "nvidia"],
)
def test_any_broken_byte_gives_a_sentence_or_plain_content(save: Callable[[], bytes], tmp_path: Path) -> None:
    data, chance = save(), random.Random(0)
    modules, outcomes = imported(), set()
    path = tmp_path / "x.pt"
    path.write_bytes(data)
    for _ in range(2000):
        at = chance.randrange(len(data))
        overwrite(path, at, bytes([chance.randrange(256)]))
        try:
            content = read_checkpoint(path).content
        except BadCheckpoint:
            outcomes.add("refused")
        else:
            assert is_plain(content)
            # Its tensors are safe to look at.
            repr(content)
            outcomes.add("read")
        overwrite(path, at, data[at : at + 1])
    assert outcomes == {"refused", "read"}
    assert imported() == modules
