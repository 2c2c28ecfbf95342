"""The classifier on samples whose labels are linear in their codes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import load_file

from core.editing.label import directions
from core.models.latent_classifier import LatentClassifier
from core.network_config import ClassifierConfig
from training.data.label import NAMES
from training.data.label_table import LabelTable
from training.loops import sampled_classifier
from training.loops.directions import LOGARITHMIC
from training.loops.sampled_classifier import attributes_of_sliders, correlations, deviations, fit

L, D = 3, 8


def world(count: int, seed: int) -> tuple[np.ndarray, LabelTable]:
    """Codes far from zero, and labels that are each a direction's part of their mean."""
    axes = np.random.default_rng(0).normal(size=(len(NAMES), D))
    random = np.random.default_rng(seed)
    w = 5 + 0.5 * random.normal(size=(count, L, D)).astype(np.float32)
    values = (w.mean(1) - 5) @ axes.T
    for name in LOGARITHMIC:
        values[:, NAMES.index(name)] = np.exp(values[:, NAMES.index(name)])
    values[0] = np.nan  # a face that was not found
    values[1, NAMES.index("smile")] = np.nan
    return w, LabelTable(NAMES, values.astype(np.float32), np.zeros((count, 128)), np.zeros((count, 4)))


def test_it_tells_labels_of_codes_it_has_not_seen_and_points_along_them() -> None:
    w, table = world(600, 1)
    config = ClassifierConfig(
        L, ("smile", "age"), D, hidden=(32, 16), embedding=4, activation="softplus"
    )  # fmt: skip
    wanted = deviations(table, config.attributes, table)
    assert wanted[2:].std(0).tolist() == pytest.approx([1, 1], abs=0.05)
    codes = torch.from_numpy(w)
    model = fit(codes[2:], wanted[2:], config, epochs=200, noise=0.1, seed=0)

    unseen, other = world(200, 2)
    truth = deviations(other, config.attributes, table)
    assert min(correlations(model(torch.from_numpy(unseen)), truth)) > 0.8
    axes = np.random.default_rng(0).normal(size=(len(NAMES), D))
    along = torch.from_numpy(axes[[NAMES.index(name) for name in config.attributes]]).float()
    for order in ("first", "second"):
        found = directions(model, codes[5], order)
        cosines = torch.cosine_similarity(found, along[:, None], dim=-1)
        assert float(cosines.mean()) > (0.8 if order == "first" else 0.3), order
    # Smooth: the second order is another direction than the first.
    assert not torch.allclose(directions(model, codes[5], "first"), directions(model, codes[5], "second"))


def test_the_command_writes_what_builds_it_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gen").mkdir()
    (tmp_path / "labels").mkdir()
    for shard in range(2):
        w, table = world(120, shard)
        save_file({"codes": w}, tmp_path / "gen" / f"{shard:03d}.safetensors")
        table.save(tmp_path / "labels" / f"{shard:03d}.npz")
    out = tmp_path / "out"

    words = ["--faces", str(tmp_path / "gen"), "--labels", str(tmp_path / "labels"), "--out", str(out)]
    sampled_classifier.main([*words, "--last", "1", "--epochs", "2"])

    config = ClassifierConfig(
        **{
            k: tuple(v) if isinstance(v, list) else v
            for k, v in json.loads((out / "classifier.json").read_text()).items()
        }
    )
    assert config.attributes == attributes_of_sliders()
    state = load_file(out / "classifier.safetensors")
    assert state.pop("linear_directions").shape == (len(config.attributes), L, D)
    LatentClassifier(config).load_state_dict(state)
    assert capsys.readouterr().out.count("correlation with the label") == len(config.attributes)
