"""Sampled faces: what a shard holds is what the generator makes of its codes."""

from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F

from core.generators.mobile.network import MobileGenerator
from training.data import sampled


def test_every_fourth_face_has_codes_of_its_own(tiny_mobile: MobileGenerator) -> None:
    w = sampled.draw(tiny_mobile, 8, np.random.default_rng(0))
    equal = [bool((codes == codes[0]).all()) for codes in w]
    assert equal == [True, True, True, False] * 2
    assert torch.equal(w, sampled.draw(tiny_mobile, 8, np.random.default_rng(0)))


def test_every_fourth_face_takes_what_opened_codes_have_of_their_own(
    tiny_mobile: MobileGenerator, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    length, width = tiny_mobile.w_mean.shape
    for i in range(3):
        np.save(tmp_path / f"{i}.npy", torch.randn(length, width).numpy())
    opened = sampled.read_codes(tmp_path)

    w = sampled.draw(tiny_mobile, 8, np.random.default_rng(0), opened)
    parts = [sampled.own_part(opened, np.random.default_rng(seed)) for seed in range(30)]

    assert [bool((codes == codes[0]).all()) for codes in w] == [True, True, True, False] * 2
    own = (opened - opened.mean(1, keepdim=True))[:, 0]  # (M, D), before any crossing
    shares = torch.stack([(part[0] * own).sum(1) / own.square().sum(1) for part in parts])  # (30, M)
    off = torch.stack([part[0] - share[:, None] * own for part, share in zip(parts, shares, strict=True)])
    best = off.norm(dim=2).min(1)  # one of the faces explains all of it
    found = shares[torch.arange(30), best.indices]
    assert float(best.values.max()) < 1e-4
    assert len(set(best.indices.tolist())) == 3
    assert 0.2 <= float(found.abs().min()) < float(found.abs().max()) <= 1.3
    assert float(found.min()) < 0 < float(found.max())


def test_a_folder_without_codes_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no codes"):
        sampled.read_codes(tmp_path)


def test_pictures_targets_and_features_are_those_of_the_codes(
    tiny_mobile: MobileGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampled, "PATCH", 4)
    parts = sampled.shard(tiny_mobile, 2, 0, patches=True)
    for i in range(2):
        full = tiny_mobile.synthesis(parts["codes"][i : i + 1])
        small = full[0].unflatten(1, (16, 4)).unflatten(3, (16, 4)).mean((2, 4))  # (3, 16, 16)
        shown = (small.permute(1, 2, 0) * 127.5 + 127.5).round().clamp(0, 255)
        assert (shown - parts["pictures"][i].float()).abs().max() <= 1  # a half rounds either way
        x = tiny_mobile.first(tiny_mobile.constant, parts["codes"][i : i + 1, 0])
        for block, size in enumerate((8, 16)):
            x = tiny_mobile.blocks[block](x, parts["codes"][i : i + 1, 2 * block + 1 : 2 * block + 3])
            padded, target = F.pad(x[0], (1, 1, 1, 1)), F.avg_pool2d(full, 64 // size)[0]
            for p, (top, left) in enumerate(parts[f"corners_{size}"][i].tolist()):
                cut = padded[:, top : top + 6, left : left + 6].half()
                torch.testing.assert_close(parts[f"features_{size}"][i, p], cut)
                wanted = target[:, top : top + 4, left : left + 4]
                torch.testing.assert_close(
                    parts[f"targets_{size}"][i, p].float(), wanted, atol=2e-3, rtol=2e-3
                )


def test_shards_are_written_once_and_the_first_have_patches(
    tiny_mobile: MobileGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampled, "published", lambda: tiny_mobile)
    words = ["--out", str(tmp_path), "--patch-shards", "1", "--faces", "2", "--shards"]
    sampled.main([*words, "1"])
    first = (tmp_path / "000.safetensors").read_bytes()
    sampled.main([*words, "2"])
    assert (tmp_path / "000.safetensors").read_bytes() == first
    names = [set(safetensors.torch.load_file(tmp_path / f"00{i}.safetensors")) for i in range(2)]
    assert names[1] == {"codes", "pictures"}
    assert names[0] - names[1] == {
        f"{part}_{size}" for part in ("features", "targets", "corners") for size in (8, 16)
    }
