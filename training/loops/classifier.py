"""Train the latent classifier on the codes of real faces, and the linear directions beside it.

    python -m training.loops.classifier --data DIR --bundle BUNDLE

Reads the bundle's generator and inverter, encodes the training split, and writes the bundle back (or to
`--out`) with a new classifier and new linear directions; the sliders' units, the refiners and the gallery
stay as they were. Reference editors, which were taught by the old classifier, are left out.
"""

import argparse
import dataclasses
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from core.checkpoints import load_bundle, save_bundle
from core.models.latent_classifier import LatentClassifier
from core.network_config import ClassifierConfig
from training.data.codes import encode
from training.data.packs import Faces, load
from training.loops.loop import pick_device
from training.loops.trained import classifier_of, inverter_of

# Known for each face; all others are scores.
BINARY = ("gender",)


def targets(faces: Faces, attributes: tuple[str, ...], reference: Faces) -> Tensor:
    """(N, A) in [0, 1]: binary labels as they are, scores as the logistic of twice their z-score.

    The z-score is taken with the mean and deviation of `reference` (the training split).
    """
    columns = []
    for name in attributes:
        values = torch.from_numpy(faces.score(name))
        if name not in BINARY:
            base = torch.from_numpy(reference.score(name))
            values = torch.sigmoid(2 * (values - base.mean()) / base.std())
        columns.append(values)
    return torch.stack(columns, 1)


def fit_linear(codes: Tensor, wanted: Tensor, ridge: float = 0.1) -> Tensor:
    """(A, L, D) normals of the separating planes, as InterFaceGAN's, by ridge regression.

    codes: (N, L, D); wanted: (N, A). `ridge` is relative to the codes' mean variance.
    """
    x = codes.flatten(1) - codes.flatten(1).mean(0)  # (N, L*D)
    y = wanted - wanted.mean(0)
    covariance = x.T @ x / len(x)
    covariance += ridge * covariance.diagonal().mean() * torch.eye(len(covariance))
    return torch.linalg.solve(covariance, x.T @ y / len(x)).T.reshape(-1, *codes.shape[1:])


def balanced_accuracy(logits: Tensor, wanted: Tensor) -> Tensor:
    """(A,): mean of the hit rates on faces above and below one half."""
    high = wanted > 0.5
    hit = (logits > 0) == high
    return ((hit & high).sum(0) / high.sum(0) + (hit & ~high).sum(0) / (~high).sum(0)) / 2


def fit_classifier(
    codes: Tensor, wanted: Tensor, config: ClassifierConfig, epochs: int, noise: float, seed: int
) -> LatentClassifier:
    """Binary cross-entropy on codes with Gaussian noise of `noise` times their deviation.

    Without the noise the classifier is sure of itself next to every training code, and its gradient
    points out of the space of faces.
    """
    torch.manual_seed(seed)
    model = LatentClassifier(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), 3e-4, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    deviation = codes.std(0)
    for _ in range(epochs):
        for index in torch.randperm(len(codes)).split(256):
            batch = codes[index]
            logits = model(batch + noise * deviation * torch.randn_like(batch))
            loss = F.binary_cross_entropy_with_logits(logits, wanted[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    return model.eval().requires_grad_(False)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.loops.classifier", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, required=True, help="bundle folder, read and written")
    parser.add_argument("--out", type=Path, help="bundle folder to write instead")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--noise", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="faces per split (a rehearsal)")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args(argv)
    device, out = pick_device(args.device), args.out or args.bundle
    bundle = load_bundle(args.bundle, device)
    config = classifier_of(bundle).config
    train, test = load(args.data, "train", args.limit), load(args.data, "test", args.limit)
    codes = encode(bundle.generator, inverter_of(bundle), train, device)
    wanted = targets(train, config.attributes, train)
    linear = fit_linear(codes, wanted)
    classifier = fit_classifier(codes, wanted, config, args.epochs, args.noise, args.seed)
    held_out = encode(bundle.generator, inverter_of(bundle), test, device)
    test_wanted = targets(test, config.attributes, train)
    accuracy = balanced_accuracy(classifier(held_out), test_wanted)
    linear_logits = (held_out - codes.mean(0)).flatten(1) @ linear.flatten(1).T + wanted.mean(0) - 0.5
    linear_accuracy = balanced_accuracy(linear_logits, test_wanted)
    for name, a, b in zip(config.attributes, accuracy, linear_accuracy, strict=True):
        print(f"{name:12} balanced accuracy on the test split {a.item():.3f}, linear {b.item():.3f}")
    described = dataclasses.replace(bundle.config, reference_editor=None)
    bundle = dataclasses.replace(
        bundle, config=described, classifier=classifier, linear_directions=linear, reference_editors={}
    )
    save_bundle(out, bundle)


if __name__ == "__main__":
    main()
