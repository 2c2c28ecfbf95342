"""Whatever happens to an import, whole models stay in the user's folder, and nothing else."""

import errno
import shutil
from pathlib import Path
from types import SimpleNamespace

import filelock
import pytest
import safetensors.torch
import torch
from encoder_files import gradual_content, write
from import_files import RESOLUTION, W_DIM, contents, nothing_changes, refusal
from rosinality_files import generator_tensors
from safetensors import SafetensorError

from core.checkpoints import list_bundles
from core.errors import BadRequest
from core.importing.install import installing, workspace
from core.importing.install.installing import install, remove

pytestmark = pytest.mark.usefixtures("home")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk is full"),
        (SafetensorError("I/O error: No space left on device (os error 28)"), "disk is full"),
        (OSError(errno.EROFS, "Read-only file system"), "cannot be written (Read-only file system)"),
    ],
)
@pytest.mark.parametrize("where", [{"name": "new"}, {"into": "face"}])
def test_a_full_disk_halfway(
    files: Path, home: Path, face: Path, where: dict[str, str], error: Exception, words: str, monkeypatch
) -> None:
    real, written = safetensors.torch.save_file, []

    def second_fails(tensors: dict[str, torch.Tensor], path: Path) -> None:
        real(tensors, path)  # so there is something that could be left behind
        written.append(path)
        if len(written) == 2:
            raise error

    monkeypatch.setattr(safetensors.torch, "save_file", second_fails)
    assert words in refusal(home, files / "e4e.pt", **where)
    assert len(written) == 2


def test_too_little_room_is_seen_beforehand(files: Path, home: Path, face: Path, monkeypatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=2**20))
    monkeypatch.setattr(installing, "save_bundle", None)  # not reached
    assert "make room" in refusal(home, files / "e4e.pt", into="face")


@pytest.mark.parametrize("where", [{"name": "new"}, {"into": "face"}])
@pytest.mark.parametrize("step", ["save_bundle", "load_bundle", "self_check", "put"])
def test_ctrl_c_at_any_step(
    files: Path, home: Path, face: Path, where: dict[str, str], step: str, monkeypatch
) -> None:
    real = getattr(installing, step)

    def interrupted(*args, **kwargs):
        real(*args, **kwargs)
        raise KeyboardInterrupt

    if step == "put":  # between the two renames, the worst moment

        def interrupted(work: Path, new: Path, place: Path) -> None:
            (work / workspace.BEFORE).mkdir()
            if place.exists():
                place.rename(work / workspace.BEFORE / place.name)
            raise KeyboardInterrupt

    monkeypatch.setattr(installing, step, interrupted)
    with nothing_changes(home), pytest.raises(KeyboardInterrupt):
        install([files / "e4e.pt"], **where)


@pytest.mark.parametrize("where", [{"name": "new"}, {"into": "face"}])
def test_a_model_that_fails_its_check_is_not_installed(
    home: Path, face: Path, tmp_path: Path, where: dict[str, str]
) -> None:
    content = gradual_content("e4e", RESOLUTION)
    content["state_dict"]["encoder.styles.0.linear.bias"] += 3e38  # finite, but not what comes of it
    content["latent_avg"] += 3e38
    broken = write(tmp_path / "broken.pt", content)
    assert "not finite" in refusal(home, broken, **where)


def test_a_weight_that_is_not_finite_is_not_installed(home: Path, tmp_path: Path) -> None:
    tensors = generator_tensors(RESOLUTION, w_dim=W_DIM)
    tensors["convs.0.conv.weight"][0, 0, 0] = float("nan")
    broken = write(tmp_path / "broken.pt", {"g_ema": tensors, "latent_avg": torch.zeros(W_DIM)})
    text = refusal(home, broken, name="new")
    assert "no model that can work" in text


def test_what_a_killed_import_left_is_cleared_away(files: Path, home: Path, face: Path) -> None:
    before = contents(home)
    half = home / workspace.WORK / workspace.NEW
    half.mkdir(parents=True)
    (half / "generator.safetensors").write_bytes(b"half of it")
    # Killed between the two renames: the model is out of the way, and nothing is in its place.
    (home / workspace.WORK / workspace.BEFORE).mkdir()
    face.rename(home / workspace.WORK / workspace.BEFORE / "face")
    assert home / workspace.WORK not in list_bundles()
    with pytest.raises(BadRequest):
        install([files / "other.pt"], name="a/b")
    install([files / "other.pt"], name="other")
    after = contents(home)
    assert {name: data for name, data in after.items() if name.startswith("face/")} == before
    assert not (home / workspace.WORK).exists()


def test_one_import_at_a_time(files: Path, home: Path, face: Path) -> None:
    with filelock.FileLock(home / workspace.LOCK):
        assert "another process" in refusal(home, files / "e4e.pt", into="face", kind=BadRequest)
        with pytest.raises(BadRequest, match="another process"):
            remove("face")
    install([files / "e4e.pt"], into="face")
