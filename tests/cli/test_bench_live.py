"""What `bench --live` makes of what drags told, and that it drives the page."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from cli import bench_live
from cli.bench_live import describe, summary
from core.engine import Engine
from core.errors import BadRequest
from core.images import save_image

# A drag of two seconds, an input every 20 ms; pictures from 100 ms on, every 50 ms and one after its end.
DRAG = {
    "inputs": [1000.0 + 20 * i for i in range(101)],
    "paints": [980.0, *(1100.0 + 50 * i for i in range(39)), 3300.0],
    "took": [100, 300, 200],
    "settled": 300.0,
}
SILENT = {"inputs": DRAG["inputs"], "paints": [], "took": [], "settled": None}


def test_a_drag_is_summed_up_as_its_plain_counts_say() -> None:
    told = summary([DRAG])
    during = [time for time in DRAG["paints"] if 1000 <= time <= 3000]
    assert len(during) == 39
    assert told["paints_per_second"] == pytest.approx(len([t for t in during if t >= 1500]) / 1.5)
    assert told["first_change_ms"] == 100
    assert told["settled_ms"] == 300
    assert told["dropped"] == pytest.approx(1 - 39 / 101)
    assert told["server_ms"] == 200
    assert told["socket"] is True


def test_a_picture_that_never_came_is_no_figure() -> None:
    told = summary([DRAG, SILENT, SILENT])
    assert told["first_change_ms"] is told["settled_ms"] is None
    assert told["paints_per_second"] == 0
    assert "never" in describe({**told, "visitors": 1, "peak_mib": 1.0})
    assert summary([DRAG, DRAG, SILENT])["settled_ms"] == 300


def test_without_a_browser_it_says_what_is_missing(
    tiny_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(BadRequest, match="chromedriver and chromium is missing"):
        bench_live.bench_live(tiny_engine)


@pytest.mark.browser
def test_it_drives_the_page(
    tiny_engine: Engine, photo: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_live, "DRAGS", 1)
    monkeypatch.setattr(bench_live, "DRAG_MS", 1000)
    save_image(photo, tmp_path / "photo.png")
    told = bench_live.bench_live(tiny_engine, tmp_path / "photo.png", visitors=2)
    assert (told["visitors"], told["drags"]) == (2, 2)
    assert told["socket"]
    assert told["first_change_ms"] > 0
    assert told["settled_ms"] > 0
    assert told["server_ms"] > 0
    assert "websocket" in describe(told)
