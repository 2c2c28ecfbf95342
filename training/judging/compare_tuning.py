"""Gradient modules against plain tuning at equal time, and what each term of their loss buys.

    python -m training.judging.compare_tuning --data DIR --identity mobilefacenet.safetensors \
        --bundle BUNDLE --split validation --faces 6 --out tuning.json

One row for each way to refine, means over the faces: MSE on [-1, 1], dlib distance, MobileFaceNet cosine,
drift (mean squared change that the correction makes to pictures of other, sampled codes) and seconds. Plain
tuning gets as many steps as fit into the modules' processor time, which is measured first.
"""

import argparse
import dataclasses
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.checkpoints import Bundle, load_bundle
from core.faces.judge import IdentityJudge
from core.files import write_whole
from core.generators.residual import WeightShift
from core.refinement.gradient_modules import GradientSettings, refine_weights
from core.refinement.losses import picture_loss
from core.refinement.optimise import TuningSettings
from core.refinement.pivotal import tune_weights
from core.rendering.renderer import Renderer
from training.data.packs import load
from training.judging.faces import Opened, open_split
from training.judging.inversion import inversion_measures
from training.judging.refined_faces import Refined, Solver, refine_faces
from training.judging.sheets import spread
from training.loops.loop import pick_device
from training.loops.trained import inverter_of

TERMS = ("pixel", "perceptual", "identity", "locality")
TRIAL_STEPS = 8
DRIFT_SAMPLES, DRIFT_SEED = 16, 10**6  # codes that no refinement has sampled

Tune = Callable[..., WeightShift]


def tuning(bundle: Bundle, tune: Tune, settings: TuningSettings) -> Solver:
    """A solver with other settings than a visitor gets."""

    def solve(image: Tensor, inversion: Tensor, codes: Tensor) -> WeightShift:
        likeness = picture_loss(inverter_of(bundle), image, settings.weights, bundle.lpips)
        return tune(bundle.generator, likeness, codes.clone(), settings)

    return solve


def plain_settings(settings: GradientSettings, iterations: int) -> TuningSettings:
    """Those that plain tuning shares with the modules."""
    shared = {f.name: getattr(settings, f.name) for f in dataclasses.fields(TuningSettings)}
    return TuningSettings(**{**shared, "iterations": iterations})


def equal_steps(bundle: Bundle, opened: Opened, renderer: Renderer, settings: GradientSettings) -> int:
    """How many steps of plain tuning take as much processor time as the modules'."""
    seconds = []
    for tune, trial in (
        (refine_weights, dataclasses.replace(settings, iterations=TRIAL_STEPS)),
        (tune_weights, plain_settings(settings, TRIAL_STEPS)),
    ):
        start = time.process_time()
        refine_faces(opened.first(1), tuning(bundle, tune, trial), renderer, "trial")
        seconds.append(time.process_time() - start)
    return round(settings.iterations * seconds[0] / seconds[1])


def without(settings: GradientSettings, term: str) -> GradientSettings:
    """The same settings, one term of the loss left out."""
    return dataclasses.replace(settings, weights=dataclasses.replace(settings.weights, **{term: 0.0}))


@torch.no_grad()
def drift(renderer: Renderer, refined: Refined, others: Tensor) -> float:
    """Mean squared change of the pictures of codes (N, L, D), over all corrections."""
    before = renderer.render(others)
    changes = [
        float((renderer.render(others, residual) - before).square().mean())
        for residual in refined.residuals
        if residual is not None
    ]
    return statistics.fmean(changes) if changes else 0.0


def compare(args: argparse.Namespace, settings: GradientSettings) -> dict[str, dict[str, float]]:
    """A row of figures for every way to refine."""
    device = pick_device(args.device)
    bundle = load_bundle(args.bundle, device)
    network = IdentityJudge.load(args.identity, device)
    renderer = Renderer(bundle.generator, device)
    opened = open_split(bundle, load(args.data, args.split), device)
    opened = opened.pick(spread(len(opened), args.faces).tolist())
    ways: dict[str, Solver] = {
        "off": lambda image, inversion, codes: None,
        "modules": tuning(bundle, refine_weights, settings),
    }
    if args.plain:
        steps = equal_steps(bundle, opened, renderer, settings)
        ways[f"plain, {steps} steps"] = tuning(bundle, tune_weights, plain_settings(settings, steps))
    for term in args.without:
        ways[f"modules without {term}"] = tuning(bundle, refine_weights, without(settings, term))
    others = bundle.generator.sample(DRIFT_SAMPLES, seed=DRIFT_SEED)
    rows = {}
    for name, solve in ways.items():
        start = time.process_time()
        refined = refine_faces(opened, solve, renderer, name)
        spent = time.process_time() - start
        measures = inversion_measures(refined.opened, network)
        rows[name] = {
            **{k: float(v.mean()) for k, v in measures.items() if k != "ms_ssim"},
            "drift": drift(renderer, refined, others),
            "seconds": refined.seconds,
            "processor_seconds": spent / len(opened),
        }
        print(row(name, rows[name]), flush=True)
    return rows


def row(name: str, figures: dict[str, float]) -> str:
    """A line of the table."""
    return f"| {name} | " + " | ".join(f"{v:.4f}" for v in figures.values()) + " |"


def read_settings(args: argparse.Namespace) -> GradientSettings:
    """The defaults with what the command line changes: NAME=NUMBER of a setting or of a term's weight."""
    settings = GradientSettings()
    for change in args.set:
        name, _, text = change.partition("=")
        if name in TERMS:
            weights = dataclasses.replace(settings.weights, **{name: float(text)})
            settings = dataclasses.replace(settings, weights=weights)
        else:
            kind = type(getattr(settings, name))
            settings = dataclasses.replace(settings, **{name: kind(text)})
    return settings


def main(argv: list[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        prog="python -m training.judging.compare_tuning", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--identity", type=Path, required=True, help="MobileFaceNet weights (safetensors)")
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--split", default="validation")
    parser.add_argument("--faces", type=int, default=6, help="spread evenly over the split")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=NUMBER", help="other settings")
    parser.add_argument("--plain", action="store_true", help="plain tuning of equal time as well")
    parser.add_argument("--without", nargs="*", default=[], choices=TERMS, help="leave out, one at a time")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args(argv)
    settings = read_settings(args)
    found: dict[str, Any] = {
        "command": " ".join(["python -m training.judging.compare_tuning", *argv]),
        "settings": dataclasses.asdict(settings),
        "rows": compare(args, settings),
    }
    if args.out:
        write_whole(args.out, (json.dumps(found, indent=2, allow_nan=False) + "\n").encode())


if __name__ == "__main__":
    main()
