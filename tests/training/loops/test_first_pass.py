"""The first pass, taught on what was seen beforehand."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from core.generators.mobile.network import MobileGenerator
from core.inversion.descents import Descents
from core.models.iterative_inverter import IterativeInverter
from training.data import seen as store
from training.data.samples import Samples
from training.data.seen import read_seen
from training.loops import first_pass
from training.loops.first_pass import Trainer, take
from training.loops.iterative_parts import passes_of

from .conftest import Faces

FACES = 12


@pytest.fixture
def seen(
    descents: Descents, inverter: IterativeInverter, tiny_mobile: MobileGenerator, tmp_path: Path
) -> Path:
    """A folder of two shards, made by the command."""
    bundle = SimpleNamespace(generator=tiny_mobile)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "descending", lambda folder: (bundle, descents))
        patch.setattr(store, "first_inverter", lambda bundle, trunk, passes: inverter)
        words = ["--bundle", "b", "--out", str(tmp_path / "seen"), "--faces", str(FACES)]
        store.main([*words, "--shards", "1"])
        store.main([*words, "--first", "1", "--shards", "1"])
    return tmp_path / "seen"


def test_what_is_kept_is_what_a_pass_would_see(
    seen: Path, descents: Descents, inverter: IterativeInverter, tiny_mobile: MobileGenerator
) -> None:
    coordinates, kept = read_seen(seen)
    wanted, pictures = Samples(descents, tiny_mobile, 1)(10)

    assert len(coordinates) == 2 * FACES
    torch.testing.assert_close(coordinates[FACES : FACES + 10].float(), wanted, rtol=1e-3, atol=1e-3)
    with torch.no_grad():
        looked = passes_of(descents, inverter).look(pictures)
    found = take(kept, torch.arange(FACES, FACES + 10))
    for mine, other in zip((*found.maps, found.descriptors), (*looked.maps, looked.descriptors), strict=True):
        torch.testing.assert_close(mine, other, rtol=0.05, atol=0.05)


def test_a_shard_that_is_there_stays(seen: Path, descents: Descents, tiny_mobile: MobileGenerator) -> None:
    first, second = (load_file(seen / name)["coordinates"] for name in ("000.safetensors", "001.safetensors"))
    assert not torch.equal(first, second)
    with pytest.raises(ValueError, match="holds no shards"):
        read_seen(seen / "none")


def test_steps_bring_codes_nearer_and_leave_the_trunk(
    seen: Path, descents: Descents, inverter: IterativeInverter
) -> None:
    coordinates, kept = read_seen(seen)
    trunk = {name: tensor.clone() for name, tensor in inverter.trunk.state_dict().items()}
    trainer = Trainer(descents, inverter, rate=2e-2, decay=0.0)
    rows = torch.arange(len(coordinates))
    told = [trainer.step(take(kept, rows), coordinates, 1000, left=1.0) for _ in range(60)]

    assert told[-1] < 0.85 * told[0]
    trainer.average.module.load_state_dict(inverter.state_dict())
    assert trainer.explained(take(kept, rows), coordinates) > 0.1
    for name, tensor in inverter.trunk.state_dict().items():
        assert torch.equal(tensor, trunk[name]), name


def test_what_the_mean_tells_explains_nothing(
    seen: Path, descents: Descents, inverter: IterativeInverter
) -> None:
    coordinates, kept = read_seen(seen)
    trainer = Trainer(descents, inverter, rate=0.0, decay=0.0)
    # A new inverter stays at the mean face.
    explained = trainer.explained(take(kept, torch.arange(len(coordinates))), coordinates)
    assert -1 < explained <= 0


def test_a_pass_found_from_what_was_kept_is_the_pass(
    seen: Path, descents: Descents, inverter: IterativeInverter, tiny_mobile: MobileGenerator
) -> None:
    _, kept = read_seen(seen)
    trainer = Trainer(descents, inverter, rate=4e-3, decay=0.0)
    for _ in range(5):
        trainer.step(take(kept, torch.arange(FACES)), read_seen(seen)[0][:FACES], 1000, left=1.0)
    _, pictures = Samples(descents, tiny_mobile, 0)(10)
    with torch.no_grad():
        found = trainer.found(inverter, take(kept, torch.arange(10)))
        (wanted,) = passes_of(descents, inverter).steps(pictures, 1)
    assert float(wanted.abs().mean()) > 0.01
    torch.testing.assert_close(found, wanted, rtol=0.1, atol=0.05 * float(wanted.abs().max()))


def test_a_run_writes_weights_and_goes_on(
    seen: Path,
    descents: Descents,
    inverter: IterativeInverter,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(first_pass, "descending", lambda folder: (None, descents))
    monkeypatch.setattr(first_pass, "first_inverter", lambda bundle, trunk, passes: inverter)
    monkeypatch.setattr(first_pass.AlignedFaces, "open", lambda path: Faces())
    monkeypatch.setattr(first_pass, "HELD", 4)
    monkeypatch.setattr(first_pass, "REPORT", 1)
    out = tmp_path / "run"
    words = ["--bundle", "b", "--seen", str(seen), "--faces", "f", "--out", str(out), "--batch", "4"]

    first_pass.main([*words, "--minutes", "0.02"])
    number = torch.load(out / "last.pt", weights_only=True)["number"]
    first_pass.main([*words, "--minutes", "0.02", "--resume"])

    second = torch.load(out / "last.pt", weights_only=True)
    assert second["number"] > number > 0
    assert len((out / "log.csv").read_text().splitlines()) == 1 + second["number"]
    assert "explained" in (out / "validation.csv").read_text()
    for name, tensor in load_file(out / "inverter.safetensors").items():
        assert torch.equal(tensor, second["average"][name].half()), name
