"""training.judging.seams: every style is pasted and counted once."""

import json
from pathlib import Path

import numpy as np
import pytest

from core.engine import Engine
from core.images import save_image
from core.session import View
from training.judging.seams import Paste, evaluate, pastes, seam_table, seams, summary, view


def test_every_edit_comes_in_every_style() -> None:
    every = pastes(["smile", "age"], [-2.0, 2.0], ["off"])
    assert len(every) == len(set(every)) == 2 * 2 * 2 * 2
    request = Paste("smile", 2.0, "photo", "off", False).request()
    assert dict(request.sliders) == {"smile": 2.0}
    assert request.view == View("photo", "photo", False)


def test_summary_counts_what_passes() -> None:
    smile, age = (Paste(name, 2.0, "photo", "off", True) for name in ("smile", "age"))
    figures = summary([(smile, 1.0, 1.1), (smile, 1.3, 1.7), (age, 0.9, 1.0), (age, 1.1, 1.0)])
    assert list(figures) == ["start photo, refine off, detail on", "smile +2", "age +2"]
    assert figures["smile +2"] == pytest.approx(
        {"count": 2, "pass": 0.5, "mean": 1.15, "worst": 1.3, "afar_mean": 1.4, "afar_worst": 1.7}
    )
    assert figures["start photo, refine off, detail on"]["pass"] == 0.75
    assert "| smile +2 | 2 | 50.0 % | 1.150 | 1.300 | 1.400 | 1.700 |" in seam_table(figures)


def test_figures_and_sheets_are_written(tiny_engine: Engine, photo: np.ndarray, tmp_path: Path) -> None:
    save_image(photo, tmp_path / "a.png")
    save_image(np.zeros((64, 64, 3), np.uint8), tmp_path / "empty.png")
    every = pastes(["smile"], [2.0], ["off"])
    tables = evaluate(tiny_engine, [tmp_path / "a.png", tmp_path / "empty.png"], every, 1, tmp_path)
    figures = json.loads((tmp_path / "seams.json").read_text())
    assert figures["smile +2"]["count"] == 4
    assert (tmp_path / "seams.md").read_text() == tables
    assert (tmp_path / "seams-0.png").exists()
    assert not (tmp_path / "seams-1.png").exists()


def test_the_photo_has_no_seam_and_is_shown_upright(tiny_engine: Engine, photo: np.ndarray) -> None:
    portrait = tiny_engine.open_portrait(photo)
    assert seams(portrait, portrait.photo) == (1, 1)
    shown = view(portrait.photo, portrait)
    x, y = (round(c) for c in portrait.transform.center)
    assert np.abs(shown[224, 224].astype(int) - portrait.photo[y, x]).max() < 40
