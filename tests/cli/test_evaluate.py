"""cli.evaluate: what is opened, at which times, and what is reported of it."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cli import evaluate as evaluation
from cli import measures
from cli.evaluate import evaluate, evenly
from cli.photos import Found, photos_in
from core.checkpoints import Bundle
from core.engine import Engine
from core.errors import BadRequest
from core.faces.judge import IdentityJudge
from core.session import Portrait
from tests.cli.converging import Clock, ConvergingEngine
from tests.core.faces.test_judge import random_network


@pytest.fixture
def converging(tiny_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> ConvergingEngine:
    clock = Clock()
    monkeypatch.setattr(evaluation, "time", clock)
    return ConvergingEngine(tiny_engine, clock)


def test_evaluate_counts_measures_and_averages(
    tiny_engine: Engine, photo: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measures, "perception_of", lambda *_: lambda a, b: float((a - b).abs().max()))
    Image.fromarray(photo).save(tmp_path / "a.png")
    Image.fromarray(np.ascontiguousarray(photo[:, ::-1])).save(tmp_path / "b.JPG")
    Image.new("RGB", (200, 200), "grey").save(tmp_path / "empty.png")
    (tmp_path / "broken.jpg").write_bytes(b"not a picture")
    (tmp_path / "notes.txt").write_text("no picture at all")
    (tmp_path / "._a.png").write_bytes(b"notes of macOS")
    os.mkfifo(tmp_path / "pipe.png")
    warnings: list[str] = []

    result = evaluate(tiny_engine, photos_in(tmp_path), warnings.append)

    assert (result["folder_photos"], result["photos"], result["no_face"]) == (4, 3, 1)
    assert result["refine"] == "off"
    assert [entry["file"] for entry in result["per_photo"]] == ["a.png", "b.JPG"]
    assert [warning.split(":")[0] for warning in warnings] == [
        "._a.png is left out", "pipe.png is left out", "broken.jpg is left out", "empty.png",
    ]  # fmt: skip
    assert [entry["file"] for entry in result["skipped"]] == ["._a.png", "pipe.png", "broken.jpg"]
    assert all(entry["why"] in warning for entry, warning in zip(result["skipped"], warnings, strict=False))
    assert result["without_face"] == ["empty.png"]
    portrait = tiny_engine.open_portrait(photo)
    error = (portrait.crop.astype(float) - portrait.inversion.astype(float)) / 127.5
    first = result["per_photo"][0]
    assert first["mse"] == pytest.approx((error**2).mean(), rel=1e-5)
    assert first["lpips"] == pytest.approx(abs(error).max(), rel=1e-5)
    assert first["dlib_distance"] > 0.3  # random weights show nobody
    known = {"mse", "ms_ssim", "dlib_distance", "lpips", "code_rms", "code_spread", "seconds"}
    assert set(result["mean"]) == known
    for name in known:
        values = [entry[name] for entry in result["per_photo"]]
        assert result["mean"][name] == pytest.approx(sum(values) / 2)


def test_a_refined_portrait_is_measured_as_refined_and_timed_with_it(
    refining_bundle: Bundle, photo: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measures, "perception_of", lambda *_: None)
    Image.fromarray(photo).save(tmp_path / "a.png")
    engine = Engine(refining_bundle)
    clock = iter(range(100))
    monkeypatch.setattr(evaluation.time, "perf_counter", lambda: next(clock))
    refine = engine.refine

    def slow(portrait: Portrait, mode: str) -> Portrait:
        assert mode == "fast"
        for _ in range(10):
            next(clock)
        return refine(portrait, mode)

    monkeypatch.setattr(engine, "refine", slow)
    (found,) = evaluate(engine, photos_in(tmp_path), pytest.fail, "fast")["per_photo"]
    portrait = refine(engine.open_portrait(photo), "fast")
    rendered = portrait.bases["fast"].clamp(-1, 1)
    crop = torch.from_numpy(portrait.crop / 127.5 - 1).permute(2, 0, 1)[None]
    assert found["mse"] == pytest.approx(float((rendered - crop).square().mean()), rel=0.01)
    assert found["mse"] != pytest.approx(float((portrait.rendered - crop).square().mean()), rel=0.02)
    assert found["seconds"] == 12  # a tick for opening, eleven for refining


def test_figures_of_several_times_come_from_one_run(
    converging: ConvergingEngine, photo: np.ndarray, tmp_path: Path
) -> None:
    Image.fromarray(photo).save(tmp_path / "a.png")
    judge = IdentityJudge(random_network())
    result = evaluate(converging, photos_in(tmp_path), pytest.fail, times=(12, 20, 40), judge=judge)
    (entry,) = result["per_photo"]
    # Opening was late by a second, which the next gets less.
    assert converging.asked == [("open", 12), ("improve", 7), ("improve", 20)]
    assert {t: found["seconds"] for t, found in entry["at"].items()} == {"12": 13, "20": 20, "40": 40}
    whole = converging.inner.open_portrait(photo)
    for time, left in (("12", 1.0), ("20", 0.0), ("40", 0.0)):
        portrait, found = converging.at(whole, left), entry["at"][time]
        error = (portrait.crop.astype(float) - portrait.inversion) / 127.5
        assert found["mse"] == pytest.approx((error**2).mean(), rel=1e-4)
        assert found["lpips"] == pytest.approx(abs(error).max(), rel=1e-4)
        cosine = judge.cosine(portrait.crop, portrait.inversion, portrait.landmarks)
        assert found["judge_cosine"] == pytest.approx(cosine, abs=1e-5)
    there = (whole.w_plus - converging.generator.w_mean) / 2
    rms = [float((there + 3 * left).square().mean().sqrt()) for left in (1, 0)]
    assert [entry["at"][t]["code_rms"] for t in ("12", "40")] == pytest.approx(rms, rel=1e-4)
    spread = float((there - there.mean(0)).square().mean().sqrt())
    assert entry["code_spread"] == pytest.approx(spread, rel=1e-4)
    # What stands alone is of the last.
    last = entry["at"]["40"]
    assert {name: entry[name] for name in last} == last
    assert result["at"] == entry["at"]
    assert {name: result["mean"][name] for name in last} == last
    # The first picture is the first of those that were shown.
    assert entry["first_seconds"] == result["mean"]["first_seconds"] == 1.5
    first = judge.cosine(whole.crop, converging.at(whole, 4.0).inversion, whole.landmarks)
    assert entry["first_judge_cosine"] == pytest.approx(first)


def test_a_time_that_opening_has_used_up_is_not_improved_in(
    converging: ConvergingEngine, photo: np.ndarray, tmp_path: Path
) -> None:
    Image.fromarray(photo).save(tmp_path / "a.png")
    (entry,) = evaluate(converging, photos_in(tmp_path), pytest.fail, times=(12, 13))["per_photo"]
    assert converging.asked == [("open", 12)]
    assert entry["at"]["13"] == entry["at"]["12"]
    assert "judge_cosine" not in entry


def test_a_refinement_that_the_model_lacks_is_refused(tiny_engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="no refiner"):
        evaluate(tiny_engine, Found(tmp_path, (tmp_path / "a.png",)), pytest.fail, "fast")


def test_a_limit_takes_photos_from_the_whole_folder(
    tiny_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measures, "perception_of", lambda *_: None)
    files = [tmp_path / f"{i}.png" for i in range(9)]
    assert [f.name for f in evenly(files, 3)] == ["0.png", "4.png", "8.png"]
    assert evenly(files, None) == evenly(files, 9) == evenly(files, 12) == files
    for file in files:
        Image.new("RGB", (100, 100), "grey").save(file)
    result = evaluate(tiny_engine, Found(tmp_path, tuple(files)), lambda _: None, limit=2)
    assert result["without_face"] == ["0.png", "8.png"]
    assert (result["folder_photos"], result["photos"], result["no_face"]) == (9, 2, 2)


def test_evaluate_without_any_face_has_no_means(
    tiny_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measures, "perception_of", lambda *_: None)
    Image.new("RGB", (100, 100), "grey").save(tmp_path / "empty.png")
    warnings: list[str] = []
    result = evaluate(tiny_engine, photos_in(tmp_path), warnings.append)
    assert warnings == ["empty.png: no face was found."]
    assert result["photos"] == result["no_face"] == 1
    assert result["per_photo"] == []
    assert set(result["mean"].values()) == {None}


def test_photos_of_inner_folders_are_named_by_their_way(
    tiny_engine: Engine, photo: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measures, "perception_of", lambda *_: None)
    (tmp_path / "in" / "deep").mkdir(parents=True)
    Image.fromarray(photo).save(tmp_path / "in" / "deep" / "a.png")
    Image.new("RGB", (100, 100), "grey").save(tmp_path / "in" / "empty.png")
    result = evaluate(tiny_engine, photos_in(tmp_path, recursive=True), lambda _: None)
    assert [entry["file"] for entry in result["per_photo"]] == ["in/deep/a.png"]
    assert result["without_face"] == ["in/empty.png"]
