"""The linear probe against plain formulas."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from training.data.probe import (
    HAND,
    LABELS,
    area_under_curve,
    cross_validate,
    fit_ridge,
    fit_sigmoid,
    write_columns,
)


def test_dual_ridge_is_the_primal_one() -> None:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(12, 30, generator=random, dtype=torch.float64).float()
    y = torch.randn(12, 2, generator=random)
    primal = torch.linalg.solve(x.T @ x / 30 + 0.3 * torch.eye(30), x.T @ y / 30)
    torch.testing.assert_close(fit_ridge(x, y, 0.3), primal, atol=1e-4, rtol=1e-3)


def test_area_under_curve_counts_pairs() -> None:
    scores, labels = torch.tensor([0.1, 0.4, 0.35, 0.8]), torch.tensor([0.0, 0.0, 1.0, 1.0])
    assert area_under_curve(scores, labels) == pytest.approx(3 / 4)


def test_cross_validation_finds_a_rule_and_does_not_find_noise() -> None:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(400, 20, generator=random)
    rule = (x[:, 3] > 0).float()
    noise = (torch.rand(400, generator=random) > 0.5).float()
    scores = cross_validate(x, torch.stack([rule, noise], 1), 0.1)
    assert area_under_curve(scores[:, 0], rule) > 0.95
    assert 0.4 < area_under_curve(scores[:, 1], noise) < 0.6


def test_sigmoid_recovers_the_odds() -> None:
    random = torch.Generator().manual_seed(0)
    scores = torch.randn(4000, 1, generator=random)
    labels = (torch.rand(4000, 1, generator=random) < torch.sigmoid(3 * scores - 1)).float()
    slope, offset = fit_sigmoid(scores, labels)
    assert abs(slope.item() - 3) < 0.3
    assert abs(offset.item() + 1) < 0.15


def test_columns_are_added_and_replaced(tmp_path: Path) -> None:
    table = tmp_path / "faces.csv"
    table.write_text("file,split,length,age\na,train,3,7\nb,test,4,8\n")
    write_columns(table, {"hat": {"a": 0.25, "b": 1.0}})
    write_columns(table, {"hat": {"a": 0.5, "b": 1.0}})
    assert table.read_text().split() == [
        "file,split,length,age,hat",
        "a,train,3,7,0.5000",
        "b,test,4,8,1.0000",
    ]


def test_hand_labels_are_whole() -> None:
    with open(HAND, newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["file"] for row in rows}) == len(rows) == 1000
    values = np.array([[row[name] for name in (*LABELS, "unsure")] for row in rows])
    assert set(values.flat) == {"0", "1"}
