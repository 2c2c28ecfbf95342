"""Checkpoints, averages and logs."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from training.loops import loop
from training.loops.loop import Average, Clock, Log, Run, Sums, restore, save


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


def test_a_log_keeps_its_columns(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.csv")
    log.write({"step": 1, "loss": 0.5})
    Log(tmp_path / "log.csv").write({"loss": 0.25, "step": 2})
    assert (tmp_path / "log.csv").read_text().splitlines() == ["step,loss", "1,0.50000", "2,0.25000"]
    with pytest.raises(ValueError, match="columns"):
        log.write({"step": 3, "other": 1.0})


def test_a_term_is_averaged_over_the_steps_that_tell_it() -> None:
    sums = Sums()
    for i in range(4):
        sums.add({"a": float(i)} | ({"b": 6.0} if i == 2 else {}))
    assert sums.means() == {"a": 1.5, "b": 6.0}
    sums.add({"a": 1.0})
    found = sums.means()
    assert found["a"] == 1
    assert math.isnan(found["b"])


def test_a_clock_tells_what_is_due_and_goes_on_after_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(loop.time, "monotonic", lambda: now[0])
    clock = Clock(spent=50.0, minutes=1)
    assert (clock.spent, clock.over, clock.end) == (50, False, 110)
    assert not clock.due("checkpoint", 20)
    now[0] += 20
    assert clock.due("checkpoint", 20)
    assert not clock.due("checkpoint", 20)
    assert clock.due("sheet", 10)
    now[0] += 40
    assert clock.over
    assert clock.due("checkpoint", 1000)  # what there is at the end is kept


def test_a_run_goes_on_where_it_was_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(loop.time, "monotonic", lambda: now[0])
    layer = nn.Linear(1, 1)

    run = Run(tmp_path / "run", {"layer": layer}, minutes=1, resume=True)
    for loss in (1.0, 3.0, 5.0):
        run.passed({"loss": loss}, report=2)
        now[0] += 10
    assert run.left == pytest.approx(0.5)
    run.save()
    saved = layer.weight.detach().clone()
    other = nn.Linear(1, 1)
    later = Run(tmp_path / "run", {"layer": other}, minutes=2, resume=True)

    assert torch.equal(other.weight, saved)
    assert (later.number, later.clock.spent, later.clock.end) == (3, 30, 150)
    later.passed({"loss": 7.0}, report=2)
    lines = (tmp_path / "run" / "log.csv").read_text().splitlines()
    assert lines == ["step,seconds,loss", "2,10.00000,2.00000", "4,30.00000,7.00000"]
    assert Run(tmp_path / "run", {"layer": other}, minutes=2, resume=False).number == 0
