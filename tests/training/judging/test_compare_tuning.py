"""Modules and plain tuning side by side, on a tiny model."""

import argparse
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from core.checkpoints import Bundle
from core.faces.judge import MobileFaceNet
from core.generators.residual import WeightShift
from core.refinement.gradient_modules import GradientSettings
from core.rendering.renderer import Renderer
from training.judging import compare_tuning
from training.judging.compare_tuning import drift, plain_settings, read_settings, without
from training.judging.refined_faces import Refined


def test_settings_are_read_shared_and_stripped_of_a_term() -> None:
    changes = ["rate=0.5", "iterations=7", "perceptual=4"]
    settings = read_settings(argparse.Namespace(set=changes))
    assert (settings.rate, settings.iterations, settings.weights.perceptual) == (0.5, 7, 4.0)
    assert settings.weights.pixel == GradientSettings().weights.pixel
    stripped = without(settings, "locality")
    assert (stripped.weights.locality, stripped.weights.perceptual, stripped.rate) == (0, 4.0, 0.5)
    plain = plain_settings(settings, 11)
    assert (plain.iterations, plain.rate, plain.weights) == (11, 0.5, settings.weights)


def test_drift_is_the_mean_squared_change_at_other_codes(tiny_bundle: Bundle) -> None:
    generator = tiny_bundle.generator
    renderer = Renderer(generator, torch.device("cpu"))
    others = generator.sample(3, seed=1)
    residuals = [
        WeightShift(tuple(size * c.weight.detach() * c.gain for c in generator.convolutions()))
        for size in (0.5, -0.3)
    ]
    changes = [(renderer.render(others, r) - renderer.render(others)).square().mean() for r in residuals]
    refined = Refined(None, tuple(residuals), 0.0)  # type: ignore[arg-type]
    found = drift(renderer, refined, others)
    assert found == pytest.approx(float(sum(changes)) / 2)
    assert found > 0
    assert drift(renderer, Refined(None, (None,), 0.0), others) == 0  # type: ignore[arg-type]


def test_the_whole_comparison_of_a_tiny_model(
    data: Path,
    tiny_bundle_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compare_tuning, "TRIAL_STEPS", 2)
    torch.manual_seed(0)
    save_file(MobileFaceNet().state_dict(), tmp_path / "identity.safetensors")
    out = tmp_path / "tuning.json"
    argv = ["--data", data, "--identity", tmp_path / "identity.safetensors", "--bundle", tiny_bundle_dir]
    argv += ["--split", "test", "--faces", "2", "--device", "cpu", "--out", out]
    argv += ["--plain", "--set", "iterations=6", "--without", "perceptual"]
    compare_tuning.main([str(a) for a in argv])
    rows = json.loads(out.read_text())["rows"]
    plain = next(name for name in rows if name.startswith("plain, "))
    assert list(rows) == ["off", "modules", plain, "modules without perceptual"]
    assert rows["off"]["drift"] == 0
    for name in list(rows)[1:]:
        assert rows[name]["mse"] < rows["off"]["mse"]
        assert rows[name]["drift"] > 0
        assert rows[name]["seconds"] > 0
