"""Choose the gallery of synthetic reference faces that a bundle ships with.

    python -m training.data.gallery --bundle BUNDLE --sheet gallery.png --first 5 --without 3 17

Of many samples of the generator those are kept that differ most in what the sliders know, one after the
other: each is the one farthest from all before it. Somebody has to look: the sheet shows them in their order,
`--without` names samples (numbers as printed) that look wrong, and others take their places; `--first` those
to begin with, else the one nearest to the mean.
"""

import argparse
import dataclasses
from pathlib import Path

import torch
from torch import Tensor

from core.checkpoints import load_bundle, save_bundle
from core.images import save_image
from training.judging.faces import render
from training.judging.sheets import grid
from training.loops.trained import classifier_of

SAMPLES, PSI, SEED = 1000, 0.8, 5
# Beyond this, in deviations, an attribute is not more of a difference, only more of a caricature.
FAR = 2.0


def farthest(points: Tensor, count: int, first: list[int]) -> list[int]:
    """`count` rows of (N, A): `first`, or the one nearest to the mean, then always the farthest."""
    chosen = list(first) or [int((points - points.mean(0)).norm(dim=1).argmin())]
    while len(chosen) < count:
        distance = torch.cdist(points, points[chosen]).min(1).values
        distance[chosen] = -1
        chosen.append(int(distance.argmax()))
    return chosen


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.data.gallery", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--out", type=Path, help="where to write it (by default, in place)")
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--first", type=int, nargs="*", default=[], help="numbers of samples to begin with")
    parser.add_argument("--without", type=int, nargs="*", default=[], help="numbers of samples to leave out")
    parser.add_argument("--sheet", type=Path, required=True, help="picture to look at")
    args = parser.parse_args(argv)
    bundle = load_bundle(args.bundle)
    codes = bundle.generator.sample(SAMPLES, PSI, SEED)
    names = [classifier_of(bundle).config.attributes.index(a.name) for a in bundle.config.attributes]
    logits = classifier_of(bundle)(codes)[:, names]
    scores = ((logits - logits.mean(0)) / logits.std(0)).clamp(-FAR, FAR)  # (N, A)
    allowed = [i for i in range(SAMPLES) if i not in args.without]
    first = [allowed.index(i) for i in args.first]
    chosen = torch.tensor(allowed)[farthest(scores[allowed], args.count, first)]
    print("Samples", *chosen.tolist())
    pictures = render(bundle.generator, codes[chosen], torch.device("cpu"))
    save_image(grid([pictures[i : i + 8] for i in range(0, len(pictures), 8)]), args.sheet)
    described = dataclasses.replace(bundle.config, gallery=len(chosen))
    save_bundle(
        args.out or args.bundle, dataclasses.replace(bundle, config=described, gallery=codes[chosen])
    )


if __name__ == "__main__":
    main()
