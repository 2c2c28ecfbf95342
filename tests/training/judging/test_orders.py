"""Orders side by side, by a judge that is linear in the codes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from core.models.latent_classifier import LatentClassifier
from core.network_config import ClassifierConfig
from training.judging.orders import ORDERS, VALUES, Row, all_steps, load_classifier, summary, walk
from training.judging.sliders import Judged

NAMES = ("smile", "age", "glasses")
L, D = 2, 4


def judged(codes: np.ndarray) -> Judged:
    """Each attribute is one coordinate of the first code; identity turns with the second code's first."""
    angle = codes[:, 1, 0]
    who = np.stack([np.cos(angle), np.sin(angle)], 1)
    return Judged(NAMES, codes[:, 0, :3], who, who)


def judges(codes: np.ndarray, pictures: np.ndarray) -> Judged:
    return judged(codes)


@pytest.fixture
def codes() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(40, L, D))


def walked(codes: np.ndarray, step: np.ndarray, judge: str) -> Row:
    steps = np.stack([value * np.broadcast_to(step, codes.shape) for value in (0.5, 1.0, 2.0)])
    return walk(judges, codes, judged(codes), steps, judge, codes)  # type: ignore[arg-type]


def test_dependency_and_identity_are_read_off_at_one_deviation(codes: np.ndarray) -> None:
    smile, age = codes[:, 0, :2].std(0)
    step = np.zeros((L, D))
    step[0, 0], step[0, 1], step[1, 0] = smile, age / 2, 0.3
    row = walked(codes, step, "smile")
    assert row.dependency == pytest.approx((0.5 + 0) / 2)
    assert row.identity == pytest.approx(np.cos(0.3))
    assert row.moved == 1
    # The same edit, of an attribute that is judged by what falls.
    assert walked(codes, -step, "-smile").dependency == pytest.approx(0.25)
    wrong = walked(codes, -step, "smile")
    assert (wrong.dependency, wrong.identity, wrong.moved) == (None, None, 0)


def test_every_order_walks_as_far_as_the_fixed_slider(codes: np.ndarray, tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = ClassifierConfig(L, ("smile", "frown"), D, hidden=(8, 6), embedding=3, activation="softplus")
    save_file(
        {**LatentClassifier(config).state_dict(), "linear_directions": torch.randn(2, L, D)},
        tmp_path / "classifier.safetensors",
    )
    (tmp_path / "classifier.json").write_text(json.dumps({**vars(config)}))
    classifier, linear = load_classifier(tmp_path)
    assert classifier.config == config
    fixed = {"smile": torch.tensor([[3.0, 0, 0, 0], [0, 4.0, 0, 0]])}

    found = all_steps(classifier, linear, fixed, codes)

    assert set(found) == {("smile", order) for order in ORDERS}
    for (_, order), steps in found.items():
        assert steps.shape == (len(VALUES), len(codes), L, D)
        lengths = np.sqrt(np.square(steps).sum((2, 3)))
        np.testing.assert_allclose(lengths, np.array(VALUES)[:, None] * 5 * np.ones(len(codes)), rtol=1e-6)
        if order != "fixed":
            norms = np.linalg.norm(steps, axis=3)
            np.testing.assert_allclose(norms[:, :, 0], norms[:, :, 1], rtol=1e-6)
    np.testing.assert_allclose(found["smile", "fixed"][1, 3], fixed["smile"].numpy())


def test_only_attributes_that_every_order_moves_are_averaged() -> None:
    rows = {("smile", order): Row(0.2 + i / 10, 0.9, 1.0) for i, order in enumerate(ORDERS)}
    rows |= {("age", order): Row(None if order == "second" else 5.0, 0.1, 0.5) for order in ORDERS}
    found = summary(rows)
    assert [found[order]["dependency"] for order in ORDERS] == pytest.approx([0.2, 0.3, 0.4, 0.5])
    assert found["fixed"]["attributes"] == 1
    assert found["fixed"]["identity"] == pytest.approx(0.9)
