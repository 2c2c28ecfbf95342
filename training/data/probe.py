"""Spread hand labels over the whole data set by a linear probe on MobileFaceNet's features.

    python -m training.data.probe --data DIR --identity mobilefacenet.safetensors

Reads `training/labels/hand.csv` (how it was made: `training/labels/README.md`), judges the probe by five-fold
cross-validation, and writes a column of probabilities for each label into DIR/faces.csv. Hand-labelled
faces keep their labels.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from training.data.batches import Batches
from training.data.packs import SPLITS, Faces, load
from training.judging.mobilefacenet import MobileFaceNet, align
from training.loops.loop import autocast, pick_device

LABELS = ("eyeglasses", "beard", "bangs", "hat")
HAND = Path(__file__).parent / "labels" / "hand.csv"
FOLDS = 5
# The two deeper feature maps, averaged to this grid: where in the face something is, matters.
GRID = (4, 3)


@torch.no_grad()
def features(network: MobileFaceNet, faces: Faces, device: torch.device) -> Tensor:
    """(N, 3072) float32 on the CPU."""
    batches, rows = Batches(faces, 64, device, 0), []
    for start in range(0, len(faces), 64):
        index = np.arange(start, min(start + 64, len(faces)))
        images, theta = batches.take(index, np.zeros(len(index), bool))
        with autocast(device):
            _, maps = network(align(images, theta))
        cells = [F.adaptive_avg_pool2d(m.float(), GRID).flatten(1) for m in maps[2:]]
        rows.append(torch.cat(cells, 1).cpu())
    return torch.cat(rows)


def fit_ridge(x: Tensor, y: Tensor, strength: float) -> Tensor:
    """(F, A) weights of ridge regression in its dual form, for fewer rows than columns.

    x: (N, F) standardised; y: (N, A) centred; `strength` is relative to the mean squared row.
    """
    gram = x @ x.T / x.shape[1]  # (N, N)
    return x.T @ torch.linalg.solve(gram + strength * torch.eye(len(x)), y) / x.shape[1]


def cross_validate(x: Tensor, y: Tensor, strength: float) -> Tensor:
    """(N, A) scores of each row by a probe that never saw it."""
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    fold = torch.empty(len(x), dtype=torch.long)
    fold[order] = torch.arange(len(x)) % FOLDS
    scores = torch.empty_like(y)
    for f in range(FOLDS):
        seen = fold != f
        mean = y[seen].mean(0)
        scores[~seen] = x[~seen] @ fit_ridge(x[seen], y[seen] - mean, strength) + mean
    return scores


def fit_sigmoid(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Platt scaling: slope and offset, each (A,), with labels ~ sigmoid(slope * score + offset)."""
    slope = torch.full((labels.shape[1],), 5.0, requires_grad=True)
    offset = torch.full((labels.shape[1],), -2.0, requires_grad=True)
    optimizer = torch.optim.LBFGS([slope, offset], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(slope * scores + offset, labels)
        loss.backward()
        return loss

    optimizer.step(closure)
    return slope.detach(), offset.detach()


def area_under_curve(scores: Tensor, labels: Tensor) -> float:
    """How often a positive scores above a negative. scores, labels: (N,), no ties."""
    ranks = scores.argsort().argsort().double() + 1
    positive, negative = labels.sum().item(), (1 - labels).sum().item()
    above = ranks[labels > 0].sum().item() - positive * (positive + 1) / 2
    return above / (positive * negative)


def write_columns(table: Path, columns: dict[str, dict[str, float]]) -> None:
    """Add or replace columns of faces.csv. columns: name -> file -> value."""
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row |= {name: f"{values[row['file']]:.4f}" for name, values in columns.items()}
    temporary = table.with_suffix(".tmp")
    with open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    temporary.replace(table)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.data.probe", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of training.data.packs build")
    parser.add_argument("--identity", type=Path, required=True, help="MobileFaceNet weights (safetensors)")
    parser.add_argument("--hand", type=Path, default=HAND, help="hand labels")
    parser.add_argument("--strength", type=float, default=0.3, help="of the ridge")
    args = parser.parse_args(argv)
    device = pick_device()
    network = MobileFaceNet.load(args.identity).to(device, memory_format=torch.channels_last)
    with open(args.hand, newline="") as file:
        hand = {row["file"]: [float(row[name]) for name in LABELS] for row in csv.DictReader(file)}
    splits = [load(args.data, split) for split in SPLITS]
    files = [file for faces in splits for file in faces.files]
    x = torch.cat([features(network, faces, device) for faces in splits])
    x = (x - x.mean(0)) / x.std(0).clamp(min=1e-6)
    chosen = [i for i, file in enumerate(files) if file in hand]
    known, y = x[chosen], torch.tensor([hand[files[i]] for i in chosen])
    held_out = cross_validate(known, y, args.strength)
    slope, offset = fit_sigmoid(held_out, y)
    guess = (slope * held_out + offset) > 0
    for a, name in enumerate(LABELS):
        hit = (guess[:, a] == (y[:, a] > 0.5)).float()
        positive = y[:, a] > 0.5
        print(
            f"{name:12} {int(positive.sum())} of {len(y)} faces; held out: accuracy {hit.mean():.3f}, "
            f"recall {hit[positive].mean():.3f}, AUC {area_under_curve(held_out[:, a], y[:, a]):.3f}"
        )
    scores = x @ fit_ridge(known, y - y.mean(0), args.strength) + y.mean(0)
    chance = torch.sigmoid(slope * scores + offset)
    spread = {file: chance[i].tolist() for i, file in enumerate(files)} | hand
    write_columns(
        args.data / "faces.csv",
        {name: {file: values[a] for file, values in spread.items()} for a, name in enumerate(LABELS)},
    )


if __name__ == "__main__":
    main()
