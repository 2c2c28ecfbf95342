"""Train the latent classifier of Style Transformer on labelled samples, whose codes are known.

    python -m training.loops.sampled_classifier --faces gen --labels labels --last 11 --out classifier

Its attributes are the labels that sliders move. A label's target is the logistic of twice its deviation from
the mean, so that the logit is a scale and not a verdict. Every fourth sample has codes that differ, so that W
and W+ are both seen. OUT gets classifier.safetensors (classifier, and the linear directions beside it, by
ridge regression) and classifier.json, its `ClassifierConfig`. Prints how well both tell the shard after the
last.
"""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from core.models.latent_classifier import LatentClassifier
from core.network_config import ClassifierConfig
from training.data.label_table import LabelTable, load_faces
from training.loops.classifier import fit_linear
from training.loops.directions import even_values
from training.loops.loop import pick_device
from training.loops.slider_table import SLIDERS

HIDDEN, EMBEDDING = (256, 128), 16
# The second order is the curvature's; a piecewise linear classifier has none of its own.
ACTIVATION = "softplus"
BATCH, RATE, DECAY = 128, 1e-3, 0.05


def deviations(table: LabelTable, attributes: Sequence[str], of: LabelTable) -> Tensor:
    """(N, A) `even_values` in deviations from the mean over `of`; NaN where there is none."""
    columns = [table.names.index(name) for name in attributes]
    values, base = (even_values(one)[:, columns] for one in (table, of))
    return torch.from_numpy((values - np.nanmean(base, 0)) / np.nanstd(base, 0)).float()


def fit(
    codes: Tensor, wanted: Tensor, config: ClassifierConfig, epochs: int, noise: float, seed: int
) -> LatentClassifier:
    """Binary cross-entropy to the logistic of twice the deviations; what is NaN teaches nothing.

    codes: (N, L, D); wanted: (N, A). Codes get Gaussian noise of `noise` times their deviation: without it
    the classifier is sure of itself next to every training code, and its gradient points out of the space
    of faces.
    """
    torch.manual_seed(seed)
    model = LatentClassifier(config).train()
    # Codes enter in their own unit: the first layer's bias takes their mean away, as far as it is known.
    mean, deviation = codes.mean(0), codes.std(0)
    first = cast(nn.Linear, model.trunk[1])
    with torch.no_grad():
        first.weight.div_(deviation.mean())
        first.bias.sub_(first.weight @ mean.flatten())
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    known = ~wanted.isnan()
    targets = torch.sigmoid(2 * wanted.nan_to_num())
    for _ in range(epochs):
        for rows in torch.randperm(len(codes)).split(BATCH):
            batch = codes[rows]
            logits = model(batch + noise * deviation * torch.randn_like(batch))
            loss = F.binary_cross_entropy_with_logits(logits, targets[rows], known[rows].float())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    return model.eval().requires_grad_(False)


def correlations(told: Tensor, wanted: Tensor) -> list[float]:
    """Of each attribute, over the faces that have it. told, wanted: (N, A)."""
    found = []
    for a, b in zip(told.T.numpy(), wanted.T.numpy(), strict=True):
        known = ~np.isnan(b)
        found.append(float(np.corrcoef(a[known], b[known])[0, 1]))
    return found


def attributes_of_sliders() -> tuple[str, ...]:
    """The labels that sliders move, each once."""
    return tuple(dict.fromkeys(slider.target for slider in SLIDERS))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.loops.sampled_classifier", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--faces", type=Path, required=True, help="shards of sampled faces")
    parser.add_argument("--labels", type=Path, required=True, help="what training.data.label wrote")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--last", type=int, required=True, help="the first shard that is not fitted on")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--noise", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    pick_device("cpu")
    codes, table = load_faces(args.faces, args.labels, args.first, args.last)
    names = attributes_of_sliders()
    w, wanted = torch.from_numpy(codes).float(), deviations(table, names, table)
    found = ~wanted.isnan().all(1)
    w, wanted = w[found], wanted[found]
    config = ClassifierConfig(
        w.shape[1], names, w.shape[2], hidden=HIDDEN, embedding=EMBEDDING, activation=ACTIVATION
    )
    classifier = fit(w, wanted, config, args.epochs, args.noise, args.seed)
    linear = fit_linear(w, wanted.nan_to_num())
    unseen, other = load_faces(args.faces, args.labels, args.last, args.last + 1)
    held, truth = torch.from_numpy(unseen).float(), deviations(other, names, table)
    by_classifier = correlations(classifier(held), truth)
    by_linear = correlations((held - w.mean(0)).flatten(1) @ linear.flatten(1).T, truth)
    for name, a, b in zip(names, by_classifier, by_linear, strict=True):
        print(f"{name:16} correlation with the label: classifier {a:.3f}, linear {b:.3f}")
    args.out.mkdir(parents=True, exist_ok=True)
    save_file(
        {**classifier.state_dict(), "linear_directions": linear.contiguous()},
        args.out / "classifier.safetensors",
    )
    (args.out / "classifier.json").write_text(json.dumps(dataclasses.asdict(config), indent=2) + "\n")


if __name__ == "__main__":
    main()
