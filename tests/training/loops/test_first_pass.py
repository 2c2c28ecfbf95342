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
from training.loops.first_pass import Trainer
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
    kept = read_seen(seen)
    wanted, pictures = Samples(descents, tiny_mobile, 1)(10)

    assert len(kept) == 2 * FACES
    found = kept.take(torch.arange(FACES, FACES + 10))
    torch.testing.assert_close(found.coordinates, wanted, rtol=1e-3, atol=1e-3)
    passes = passes_of(descents, inverter)
    with torch.no_grad():
        looked, begun = passes.begin(pictures)
        compared = passes.look(passes.pictures(begun))
    torch.testing.assert_close(found.begun, begun[:, 0], rtol=0.05, atol=0.05)
    for mine, other in ((found.photo, looked), (found.picture, compared)):
        for a, b in zip((*mine.maps, mine.descriptors), (*other.maps, other.descriptors), strict=True):
            torch.testing.assert_close(a, b, rtol=0.05, atol=0.05)


def test_a_shard_that_is_there_stays(seen: Path, descents: Descents, tiny_mobile: MobileGenerator) -> None:
    first, second = (load_file(seen / name)["coordinates"] for name in ("000.safetensors", "001.safetensors"))
    assert not torch.equal(first, second)
    with pytest.raises(ValueError, match="holds no shards"):
        read_seen(seen / "none")


def test_steps_bring_codes_nearer_and_leave_the_trunk(
    seen: Path, descents: Descents, inverter: IterativeInverter
) -> None:
    kept = read_seen(seen)
    trunk = {name: tensor.clone() for name, tensor in inverter.trunk.state_dict().items()}
    trainer = Trainer(descents, inverter, rate=2e-2, decay=0.0)
    everything = kept.take(torch.arange(len(kept)))
    told = [trainer.step(everything, 1000, left=1.0) for _ in range(60)]

    assert told[-1] < 0.85 * told[0]
    trainer.average.module.load_state_dict(inverter.state_dict())
    assert trainer.explained(kept) > 0.1
    for name, tensor in inverter.trunk.state_dict().items():
        assert torch.equal(tensor, trunk[name]), name


def test_what_the_mean_tells_explains_nothing(
    seen: Path, descents: Descents, inverter: IterativeInverter
) -> None:
    trainer = Trainer(descents, inverter, rate=0.0, decay=0.0)
    # A new inverter stays where it begins: these descents have no start.
    explained = trainer.explained(read_seen(seen))
    assert -1 < explained <= 0


def test_a_pass_found_from_what_was_kept_is_the_pass(
    seen: Path, descents: Descents, inverter: IterativeInverter, tiny_mobile: MobileGenerator
) -> None:
    kept = read_seen(seen)
    trainer = Trainer(descents, inverter, rate=4e-3, decay=0.0)
    for _ in range(5):
        trainer.step(kept.take(torch.arange(FACES)), 1000, left=1.0)
    _, pictures = Samples(descents, tiny_mobile, 0)(10)
    with torch.no_grad():
        found = trainer.found(inverter, kept.take(torch.arange(10)))
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
