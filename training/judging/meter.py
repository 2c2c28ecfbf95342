"""Does the meter under the picture say what an independent judge says of the same edits?

    python -m training.judging.meter --photos DIR --judge mobilefacenet_arcface.safetensors \\
        [--model portrait1024] [--steps 56] [--several 64] [--bounds 0.5 0.6 0.75]

Of every photo the face is opened, and every slider goes to each of VALUES; then several sliders at once
go further than a careful hand would take them. The meter's number is dlib's (`app/likeness.py`); the judge is
MobileFaceNet, of which no loss knows. Faces are compared at the preview's size, on the photo's own pixels.
Prints a line of JSON for each span of the meter between two bounds: how many edits fell there, and the
judge's cosines.
"""

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.checkpoints import DEFAULT_BUNDLE
from core.engine import Engine
from core.faces.judge import IdentityJudge
from core.images import open_image
from core.session import EditRequest, View

VALUES = (-3.0, -1.5, 1.5, 3.0)
AT_ONCE = (2, 3, 4, 5)
FACE = View(start="photo", output="face")


def edits_of(sliders: Sequence[str], several: int, seed: int = 1) -> list[dict[str, float]]:
    """Each slider alone at each of VALUES, then so many edits of AT_ONCE sliders at whole steps."""
    choose = random.Random(seed)
    alone = [{name: value} for name in sliders for value in VALUES]
    counts = (min(AT_ONCE[i % len(AT_ONCE)], len(sliders)) for i in range(several))
    steps = (-3.0, -2.0, -1.0, 1.0, 2.0, 3.0)
    return alone + [{name: choose.choice(steps) for name in choose.sample(sliders, n)} for n in counts]


def spans(meter: np.ndarray, judged: np.ndarray, bounds: Sequence[float]) -> list[dict[str, Any]]:
    """Of each span of the meter between two bounds, the highest first: what the judge says of its edits.

    meter, judged: (N,) each. Spans without edits are left out.
    """
    edges = [-np.inf, *sorted(bounds), np.inf]
    rows = []
    for low, high in reversed(list(zip(edges[:-1], edges[1:], strict=True))):
        found = judged[(meter >= low) & (meter < high)]
        if len(found):
            least, mean, most = (round(float(f(found)), 3) for f in (np.min, np.mean, np.max))
            row = {"from": max(0.0, low), "edits": len(found), "least": least, "mean": mean, "most": most}
            rows.append(row)
    return rows


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.judging.meter", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--judge", type=Path, required=True)
    parser.add_argument("--model", default=DEFAULT_BUNDLE)
    parser.add_argument("--steps", type=int, default=56)
    parser.add_argument("--several", type=int, default=64)
    parser.add_argument("--bounds", type=float, nargs="+", default=[0.5, 0.6, 0.75])
    args = parser.parse_args(argv)
    engine, judge = Engine.load(args.model), IdentityJudge.load(args.judge)
    edits = edits_of([attribute.name for attribute in engine.config.attributes], args.several)
    found = []
    for path in sorted(args.photos.iterdir()):
        portrait = engine.preview(engine.open_portrait(open_image(path), seconds=3600, steps=args.steps))
        for sliders in edits:
            picture = engine.edit(portrait, EditRequest(sliders, view=FACE))
            meter = max(0.0, 1.0 - portrait.identity.distance(picture))
            found.append((meter, judge.cosine(portrait.crop, picture, portrait.landmarks)))
    meter, judged = np.array(found).T  # (N,) each
    for row in spans(meter, judged, args.bounds):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
