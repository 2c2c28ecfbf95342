"""One small file of each published format, most of them for one generator of 16 px; and failing imports."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from encoder_files import (
    classifier_content,
    direction_content,
    ganspace_content,
    gradual_content,
    style_transformer_content,
    write,
)
from nvidia_files import write_nvidia
from rosinality_files import write_rosinality

from core.errors import BadCheckpoint, VisagistError
from core.importing.install import workspace
from core.importing.install.installing import install

RESOLUTION, NUM_CODES, W_DIM = 16, 6, 64
# The encoders' files hold the generator of the next seed.
SEED = 1


def write_all(folder: Path) -> None:
    """Write the files.

    generator.pt, e4e.pt, psp.pt, st.pt, age.pt (one code), pose.pt (every code), pca.pt belong together;
    generator512.pt, classifier.pth (codes of 512), smiling.pt; other.pt and nvidia.pkl are other generators,
    small.pt one of 8 px.
    """
    write_rosinality(folder / "generator.pt", RESOLUTION, w_dim=W_DIM, seed=SEED)
    write_rosinality(folder / "other.pt", RESOLUTION, w_dim=W_DIM, seed=7)
    write_rosinality(folder / "small.pt", RESOLUTION // 2, w_dim=W_DIM, seed=SEED)
    write_nvidia(folder / "nvidia.pkl", RESOLUTION, w_dim=W_DIM)
    for kind in ("e4e", "psp"):
        write(folder / f"{kind}.pt", gradual_content(kind, RESOLUTION), namespace=kind == "psp")
    write(folder / "st.pt", style_transformer_content(RESOLUTION))
    write(folder / "age.pt", direction_content(1, W_DIM))
    write(folder / "pose.pt", direction_content(1, NUM_CODES, W_DIM, seed=1))
    write(folder / "pca.pt", ganspace_content(12, W_DIM))
    write_rosinality(folder / "generator512.pt", RESOLUTION, w_dim=512, seed=SEED)
    write(folder / "classifier.pth", classifier_content(NUM_CODES))
    write(folder / "smiling.pt", direction_content(1, 512))


def halved(content: Any) -> Any:
    """The same with every floating-point tensor in half precision."""
    if isinstance(content, dict):
        return {key: halved(value) for key, value in content.items()}
    return content.half() if isinstance(content, torch.Tensor) and content.is_floating_point() else content


def contents(home: Path) -> dict[str, bytes]:
    """Every file below the user's folder; the lock's is no part of any model."""
    found = (path for path in home.rglob("*") if path.is_file() and path.name != workspace.LOCK)
    return {str(path.relative_to(home)): path.read_bytes() for path in found}


@contextlib.contextmanager
def nothing_changes(home: Path) -> Iterator[None]:
    before = contents(home)
    yield
    assert contents(home) == before
    assert not (home / workspace.WORK).exists()


def refusal(home: Path, *paths: Path, kind: type[VisagistError] = BadCheckpoint, **where: str) -> str:
    """The one sentence with which an import fails, leaving everything as it was."""
    with nothing_changes(home), pytest.raises(kind) as caught:
        install(paths, **where)
    text = str(caught.value)
    assert text.endswith(".")
    assert "\n" not in text
    return text
