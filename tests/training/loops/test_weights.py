"""Weights on their way home: whole, in pieces, and strict."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from core.config import BundleConfig
from core.models.style_transformer import StyleTransformer
from training.loops import weights
from training.loops.weights import load_half, load_started, save_half


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4))


@pytest.mark.parametrize(
    ("limit", "files"), [(2**20, ["w.pt"]), (50, ["w-0.pt", "w-1.pt", "w-2.pt"])], ids=["whole", "pieces"]
)
def test_weights_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, files: list[str]
) -> None:
    monkeypatch.setattr(weights, "PIECE_BYTES", limit)
    (tmp_path / "w-0.pt").write_bytes(b"of an earlier run")
    original, copy = network(0), network(1)
    copy[1].num_batches_tracked.fill_(7)
    save_half(tmp_path / "w.pt", original)
    assert sorted(p.name for p in tmp_path.iterdir()) == files
    load_half(tmp_path / "w.pt", copy)
    for name, value in original.state_dict().items():
        found = copy.state_dict()[name]
        if value.is_floating_point():
            assert torch.equal(found, value.half().float())
        else:
            assert found == 7


def test_a_missing_piece_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "PIECE_BYTES", 50)
    save_half(tmp_path / "w.pt", network(0))
    (tmp_path / "w-1.pt").unlink()
    with pytest.raises(RuntimeError, match="Missing key"):
        load_half(tmp_path / "w.pt", network(1))
    with pytest.raises(FileNotFoundError, match=r"neither .*v\.pt nor v-0\.pt"):
        load_half(tmp_path / "v.pt", network(1))


def test_an_inverter_that_grew_a_dense_head_starts_from_one_without(tiny_config: BundleConfig) -> None:
    old = StyleTransformer(tiny_config.inverter).eval()
    new = StyleTransformer(replace(tiny_config.inverter, dense_width=4)).eval()
    load_started(new, old.state_dict())
    image = torch.rand(1, 3, 32, 32) * 2 - 1
    assert torch.equal(new(image), old(image))  # the head starts silent
    state = old.state_dict()
    state.pop("z")
    with pytest.raises(RuntimeError, match="Missing key"):
        load_started(new, state)
