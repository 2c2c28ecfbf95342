"""Checkpoints, averages and logs."""

from pathlib import Path

import pytest
import torch
from torch import nn

from training.loops.loop import Average, Log, restore, save


def test_a_restored_run_goes_on_as_if_never_cut(tmp_path: Path) -> None:
    def run(resume_at: int | None) -> torch.Tensor:
        torch.manual_seed(0)
        model = nn.Linear(3, 2)
        optimizer = torch.optim.Adam(model.parameters(), 0.1)
        for step in range(6):
            if step == resume_at:
                save(tmp_path / "last.pt", step=step, model=model, optimizer=optimizer)
                model = nn.Linear(3, 2)
                optimizer = torch.optim.Adam(model.parameters(), 0.1)
                assert restore(tmp_path / "last.pt", model=model, optimizer=optimizer) == {"step": step}
            loss = model(torch.full((1, 3), float(step))).square().sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return model.weight.detach()

    torch.testing.assert_close(run(3), run(None))


def test_average_is_the_exponential_mean() -> None:
    model = nn.BatchNorm1d(1)
    average = Average(model, decay=0.9)
    wanted = 1.0
    for step in (1000, 1001, 1002):  # past the warm-up of the decay
        model.weight.data.fill_(float(step))
        model.running_mean.fill_(float(step))
        average.update(model, step)
        wanted = 0.9 * wanted + 0.1 * step
    assert average.module.weight.item() == pytest.approx(wanted, rel=1e-5)
    assert average.module.running_mean.item() == 1002


def test_log_appends_and_writes_its_header_once(tmp_path: Path) -> None:
    for step in (1, 2):
        Log(tmp_path / "log.csv").write({"step": step, "loss": 0.5})
    assert (tmp_path / "log.csv").read_text().splitlines() == ["step,loss", "1,0.50000", "2,0.50000"]
