"""training.judging.synthesis: what is timed, on a tiny generator, and the command."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from core.errors import BadRequest
from core.generators.mobile.config import MobileConfig
from core.generators.mobile.folded import FoldedMobile
from core.generators.mobile.network import MobileGenerator
from training.judging import synthesis
from training.judging.synthesis import costs, main

CPU = torch.device("cpu")
TINY = MobileConfig(256, (8, 8, 8, 8, 8, 8), w_dim=10, z_dim=7, mapping_layers=2, previews=(64,))


@pytest.fixture
def generator() -> MobileGenerator:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return MobileGenerator(TINY).requires_grad_(False).eval()


def test_each_size_from_each_place(generator: MobileGenerator) -> None:
    found = costs(generator, FoldedMobile(generator, torch.float32), CPU, runs=2)
    assert [(cost.size, cost.side) for cost in found] == [(64, 4), (128, 4), (128, 128), (256, 4), (256, 128)]
    assert all(ms > 0 for cost in found for ms in cost[2:5])
    # The same mathematics, in float32 here and there: hardly a grey level differs.
    assert all(cost.psnr > 60 for cost in found if cost.side == 4)
    assert all(cost.psnr is None for cost in found if cost.side > 4)


def test_codes_before_the_place_stay_and_all_others_move(
    generator: MobileGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []
    w = generator.sample(1)
    synthesis._median_ms(seen.append, w, first=3, runs=4)
    assert len(seen) == 4 + synthesis.WARM_UP
    for before, after in zip([w, *seen], seen, strict=False):
        assert torch.equal(before[:, :3], after[:, :3])
        assert not (before[:, 3:] == after[:, 3:]).all(2).any()


def test_the_command(
    generator: MobileGenerator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(synthesis, "load_bundle", lambda folder: SimpleNamespace(generator=generator))
    main(["--bundle", "somewhere", "--device", "cpu", "--runs", "1", "--profile", "3"])
    said = capsys.readouterr().out
    assert "graphs: 0" in said
    assert "| 256 | 128 px |" in said
    assert "Self CPU" in said
    other = torch.nn.Linear(1, 1)
    monkeypatch.setattr(synthesis, "load_bundle", lambda folder: SimpleNamespace(generator=other))
    with pytest.raises(BadRequest, match="another generator"):
        main(["--bundle", "somewhere", "--device", "cpu"])
