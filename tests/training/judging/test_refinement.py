"""Refinement's figures: planted numbers against plain sums, edits as the engine makes them, and the whole."""

import copy
import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from cli import measures
from cli.costs import parameters
from core.checkpoints import Bundle
from core.engine import Engine
from core.faces.judge import MobileFaceNet
from core.generators.residual import WeightShift
from core.images import to_array
from core.refinement import gradient_modules
from core.refinement.fast import predict
from core.rendering.renderer import Renderer
from core.session import EditRequest
from training.judging import refinement as evaluate_refinement
from training.judging.faces import Opened, edit, face_axes, open_photos
from training.judging.judge import Judge
from training.judging.refined_edits import compared
from training.judging.refined_faces import Refined, edited, refine_faces, solver, subset
from training.judging.refinement import costs
from training.judging.refinement_tables import paper_table, report

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def renderer(refining_bundle: Bundle) -> Renderer:
    return Renderer(refining_bundle.generator, CPU)


@pytest.fixture
def opened(refining_bundle: Bundle, photo: np.ndarray, tmp_path: Path) -> Opened:
    for name, picture in (("a.png", photo), ("b.png", photo[:, ::-1])):
        cv2.imwrite(str(tmp_path / name), picture[..., ::-1])
    return open_photos(refining_bundle, [tmp_path / "a.png", tmp_path / "b.png"], CPU, pytest.fail)[0]


@pytest.mark.parametrize("stage", ["one_stage", "two_stage"])
def test_settings_refine_render_and_edit_as_the_engine_does(
    refining_bundle: Bundle, renderer: Renderer, opened: Opened, photo: np.ndarray, stage: str
) -> None:
    engine = Engine(refining_bundle, refiner=stage)
    portrait = engine.refine(engine.open_portrait(photo), "fast")
    settings = {
        name: refine_faces(opened, solver(refining_bundle, renderer, name), renderer, name)
        for name in ("off", stage)
    }
    assert settings[stage].seconds > settings["off"].seconds >= 0
    assert np.array_equal(settings["off"].opened.inversions[0], portrait.inversion)
    assert np.array_equal(settings[stage].opened.inversions[0], to_array(portrait.bases["fast"])[0])
    axes = face_axes(refining_bundle, opened.codes, "first", CPU)
    codes = edit(refining_bundle, opened.codes, axes, "smile", 1.5)
    reference = torch.cat([renderer.render(w[None]) for w in opened.codes])
    pictures = edited(renderer, settings, codes, reference)
    assert list(pictures) == ["off", stage, f"{stage}, not faded"]
    for name, refine in (("off", "off"), (stage, "fast")):
        wanted = engine.edit(portrait, EditRequest({"smile": 1.5}, refine=refine))
        assert np.array_equal(to_array(pictures[name])[0], wanted)
    unfaded = renderer.render(codes[:1], portrait.residuals["fast"])
    assert torch.equal(pictures[f"{stage}, not faded"][:1], unfaded)


def test_a_subset_keeps_faces_and_residuals_together(opened: Opened) -> None:
    residuals = tuple(WeightShift((torch.full((1,), float(i)),)) for i in range(2))
    some = subset({"best": Refined(opened, residuals, 3.0)}, [1])["best"]
    assert (some.opened.names, some.seconds) == (("b.png",), 3.0)
    assert some.residuals == residuals[1:]
    assert np.array_equal(some.opened.crops[0], opened.crops[1])
    assert torch.equal(some.opened.codes[0], opened.codes[1])


def test_edits_are_compared_slider_by_slider() -> None:
    def row(share: float, identity: float) -> dict[str, float | str]:
        return {"judge": "network", "share": share, "move": 2 * share, "identity": identity}

    rows = {
        "off": {"smile": row(0.9, 0.5), "age": row(0.8, 0.6)},
        "best": {"smile": row(0.95, 0.7), "age": row(0.74, 0.55)},
    }
    found = compared(rows)
    assert found["off"]["points"] == found["off"]["mean_points"] == found["off"]["gained"] == 0
    best = found["best"]
    assert best["points"] == pytest.approx(6)
    assert best["mean_points"] == pytest.approx(0.5)
    assert (best["share"], best["identity"]) == pytest.approx((0.845, 0.625))
    assert (best["gained"], best["sliders"]) == (1, 2)


def test_costs_are_those_of_the_loaded_networks(refining_bundle: Bundle) -> None:
    found = costs(refining_bundle.config)
    inverter = parameters(refining_bundle.inverter) - parameters(refining_bundle.inverter.mapping)
    refiners = {stage: parameters(network) for stage, network in refining_bundle.refiners.items()}
    assert {name: row["parameters"] for name, row in found.items()} == {
        "off": inverter,
        "one_stage": inverter + refiners["one_stage"],
        "one_stage_predicted": inverter + refiners["one_stage"],
        "two_stage": refiners["two_stage"],
        "two_stage_predicted": refiners["two_stage"],
    }
    assert found["two_stage"]["macs"] == found["two_stage_predicted"]["macs"]  # no polish here
    polished = tuple(dataclasses.replace(r, polish=2) for r in refining_bundle.config.refiners)
    assert costs(dataclasses.replace(refining_bundle.config, refiners=polished))["one_stage"]["macs"] is None


def test_a_prediction_alone_takes_no_steps(refining_bundle: Bundle, renderer: Renderer) -> None:
    """The setting and its prediction differ where the refiner polishes, and the prediction is `predict`."""
    refiner = refining_bundle.refiners["two_stage"]
    config = dataclasses.replace(refiner.config, polish=2)
    polishing = copy.copy(refiner)
    polishing.config = config
    bundle = dataclasses.replace(refining_bundle, refiners={"two_stage": polishing})
    image, codes = torch.rand(1, 3, 32, 32) * 2 - 1, refining_bundle.generator.w_mean
    inversion = renderer.render(codes[None])
    with torch.inference_mode(), renderer.autocast():
        wanted = predict(refiner, refining_bundle.inverter, image, inversion)
    alone = solver(bundle, renderer, "two_stage_predicted")(image, inversion, codes)
    polished = solver(bundle, renderer, "two_stage")(image, inversion, codes)
    for a, b, c in zip(wanted.tokens, alone.tokens, polished.tokens, strict=True):
        assert (a is None) == (b is None) == (c is None)
        if a is not None:
            assert torch.equal(a[0], b[0])
            assert torch.equal(a[1], b[1])
            assert not torch.equal(a[0], c[0])


def test_what_cannot_be_said_is_a_dash_beside_the_published_figures() -> None:
    ours = {
        "best": {
            "mse": 0.0021,
            "lpips": None,
            "cosine": 0.934,
            "parameters": None,
            "macs": None,
            "seconds": 41,
        }
    }
    lines = paper_table(ours).splitlines()
    assert (
        "| RefineStyle, one-stage (published) | 0.017 | 0.073 | 0.75 | 46.4 M | 43.0 G | 0.045 s |" in lines
    )
    assert lines[-1] == "| ours, best (GANI) | 0.002 | - | 0.93 | - | - | 41.000 s |"


def test_the_whole_evaluation_of_a_tiny_model(
    data: Path,
    judge: Judge,
    refining_bundle_dir: Path,
    photo: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nudge(generator, likeness, w_plus, *rest) -> WeightShift:
        return WeightShift(tuple(0.3 * c.weight.detach() * c.gain for c in generator.convolutions()))

    monkeypatch.setattr(gradient_modules, "refine_weights", nudge)
    monkeypatch.setattr(measures, "load_lpips", lambda warn: None)
    judge.save(tmp_path / "judge.safetensors")
    save_file(MobileFaceNet().state_dict(), tmp_path / "identity.safetensors")
    photos = tmp_path / "photos"
    photos.mkdir()
    cv2.imwrite(str(photos / "a.png"), photo[..., ::-1])
    out = tmp_path / "out"
    argv = ["--data", data, "--identity", tmp_path / "identity.safetensors", "--bundle", refining_bundle_dir]
    argv += ["--judge", tmp_path / "judge.safetensors", "--photos", photos, "--out", out, "--device", "cpu"]
    argv += ["--best-faces", "2", "--edit-faces", "2", "--sliders", "smile,young"]
    evaluate_refinement.main([str(a) for a in argv])
    found = json.loads((out / "refinement.json").read_text())
    quick, every = ["off", "one_stage", "two_stage"], ["off", "one_stage", "two_stage", "best"]
    assert {part: list(rows) for part, rows in found["fidelity"].items()} == {
        "test, all 3": quick, "test, 2 of 3": every, "photos, all 1": quick, "photos, 1 of 1": every,
    }  # fmt: skip
    for row in found["fidelity"]["photos, 1 of 1"].values():
        assert row["seconds"] > row["refine_seconds"] >= 0
        assert row["lpips"] is None
    assert list(found["edits"]) == ["test, 2 of 3", "photos, 1 of 1"]
    for part, variants in found["edits"].items():
        assert list(variants) == ["off", *(f"{n}{e}" for n in every[1:] for e in ("", ", not faded"))]
        for variant, row in variants.items():
            sliders = found["edits_by_slider"][part][variant]
            assert list(sliders) == ["smile", "young"]
            assert row["identity"] == pytest.approx(np.mean([s["identity"] for s in sliders.values()]))
    assert list(found["papers"]["test"]) == every
    assert found["papers"]["test"]["best"]["mse"] == found["fidelity"]["test, 2 of 3"]["best"]["mse"]
    assert found["papers"]["test"]["off"]["mse"] == found["fidelity"]["test, all 3"]["off"]["mse"]
    assert (out / "refinement.md").read_text() == report(found)
    assert cv2.imread(str(out / "refined-test.png")).shape == (5 * 32, 2 * 32, 3)
    assert len(found["sheet_columns"]) == 1 + 4 + 7
    assert cv2.imread(str(out / "refined-smile+3.png")).shape == (32, 12 * 32, 3)


def test_a_setting_that_the_model_lacks_is_named(tiny_bundle_dir: Path, tmp_path: Path) -> None:
    argv = ["--data", "x", "--identity", "x", "--judge", "x", "--bundle", tiny_bundle_dir, "--out", tmp_path]
    with pytest.raises(ValueError, match=r"cannot refine by one_stage, two_stage$"):
        evaluate_refinement.main([str(a) for a in argv])
