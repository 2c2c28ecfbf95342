"""Make a bundle of trained networks: code statistics, classifier, slider units, half-precision weights.

    python -m training.loops.export --data DIR --generator runs/a/generator-average.pt \
        --inverter runs/a/inverter-average.pt --out checkpoints/portrait128

A slider's unit is the step in W+ that moves its attribute, seen by the linear directions in the codes of
the re-inverted pictures, by as much as the attribute varies between people (see `calibrate`).
Refiners, reference editors and the gallery belong to one generator and one classifier: the new bundle has
none, whatever the folder held.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from core.checkpoints import Bundle, save_bundle
from core.config import PORTRAIT128_TEMPLATE, AttributeConfig, BundleConfig, ClassifierConfig
from core.editing.label import directions
from core.generators.stylegan2.network import Generator
from core.models.inverter import invert
from core.models.latent_classifier import LatentClassifier
from core.models.style_transformer import StyleTransformer
from training.data.codes import encode, fit_gaussian
from training.data.packs import load
from training.loops.classifier import balanced_accuracy, fit_classifier, fit_linear, targets
from training.loops.inverter import load_generator
from training.loops.loop import autocast, pick_device
from training.loops.presets import (
    CLASSIFIER_HIDDEN,
    PORTRAIT128_GENERATOR,
    PORTRAIT128_INVERTER,
    PORTRAIT128_SLIDERS,
)
from training.loops.weights import load_half

VERSION = "0.2.0"
LICENCE = "Non-commercial research only: trained on UTKFace (see MODEL_CARD.md)"
CALIBRATION_FACES = 16


@torch.no_grad()
def response(
    generator: Generator, inverter: StyleTransformer, linear: Tensor, codes: Tensor, axes: Tensor, step: float
) -> Tensor:
    """(A,): how far a step along its axis moves each attribute's linear score after re-inversion.

    codes: (N, L, D); axes: (N, A, L, D); linear: (A, L, D).
    """
    moved = []
    for a in range(len(linear)):
        scores = []
        for sign in (1, -1):
            with autocast(codes.device):
                picture = generator.synthesis(codes + sign * step * axes[:, a])
                scores.append((invert(generator, inverter, picture.clamp(-1, 1)) * linear[a]).sum((1, 2)))
        moved.append((scores[0] - scores[1]).mean() / 2)
    return torch.stack(moved)


def calibrate(
    generator: Generator,
    inverter: StyleTransformer,
    classifier: LatentClassifier,
    linear: Tensor,
    codes: Tensor,
) -> Tensor:
    """(A,) slider units: one unit moves the re-inverted score by 0.8 of its deviation between faces.

    The response is measured at two steps and taken as linear between; a unit stays in [0.1, 2].
    """
    deviation = (codes * linear[:, None]).sum((2, 3)).std(1)  # (A,)
    some = codes[:: len(codes) // CALIBRATION_FACES][:CALIBRATION_FACES]
    axes = torch.stack([directions(classifier, w, "first") for w in some])  # (N, A, L, D)
    steps = torch.tensor([0.5, 1.0, 2.0, 4.0])
    moved = torch.stack([response(generator, inverter, linear, some, axes, s.item()) for s in steps])
    reach = moved / deviation  # (steps, A)
    wanted = 1.6  # what slider value 2 should do, in deviations
    units = []
    for column in reach.T:
        above = int((column >= wanted).nonzero()[0]) if (column >= wanted).any() else len(steps) - 1
        units.append((steps[above] * wanted / column[above].clamp(min=0.2) / 2).clamp(0.1, 2.0))
    return torch.stack(units)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.loops.export", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--generator", type=Path, required=True, help="generator-average.pt of a training")
    parser.add_argument("--inverter", type=Path, required=True, help="inverter-average.pt of a training")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--noise", type=float, default=0.5)
    parser.add_argument("--limit", type=int, help="faces per split (a rehearsal)")
    args = parser.parse_args(argv)
    device = pick_device("cpu")
    generator = load_generator(args.generator, device)
    inverter = StyleTransformer(PORTRAIT128_INVERTER)
    load_half(args.inverter, inverter)
    inverter = inverter.to(memory_format=torch.channels_last).eval().requires_grad_(False)
    train, test = load(args.data, "train", args.limit), load(args.data, "test", args.limit)
    codes = encode(generator, inverter, train, device)
    generator.code_mean, generator.code_basis = fit_gaussian(codes, generator.config.code_rank)
    names = tuple(name for name, *_ in PORTRAIT128_SLIDERS)
    classes = ClassifierConfig(
        PORTRAIT128_GENERATOR.num_codes, names, PORTRAIT128_GENERATOR.w_dim, CLASSIFIER_HIDDEN
    )
    wanted = targets(train, names, train)
    linear = fit_linear(codes, wanted)
    classifier = fit_classifier(codes, wanted, classes, args.epochs, args.noise, seed=0)
    units = calibrate(generator, inverter, classifier, linear, codes)
    accuracy = balanced_accuracy(
        classifier(encode(generator, inverter, test, device)), targets(test, names, train)
    )
    config = BundleConfig(
        name="portrait128",
        title="Portrait 128",
        version=VERSION,
        generator=PORTRAIT128_GENERATOR,
        inverter=PORTRAIT128_INVERTER,
        classifier=classes,
        template=PORTRAIT128_TEMPLATE,
        attributes=tuple(
            AttributeConfig(name, label, round(unit.item(), 3), low, high)
            for (name, label, low, high), unit in zip(PORTRAIT128_SLIDERS, units, strict=True)
        ),
        licence=LICENCE,
    )
    save_bundle(args.out, Bundle.of(config, generator, inverter, classifier, linear))
    for name, unit, hit in zip(names, units, accuracy, strict=True):
        print(f"{name:12} unit {unit.item():.3f}  balanced accuracy on the test split {hit.item():.3f}")


if __name__ == "__main__":
    main()
