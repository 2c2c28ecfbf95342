"""First order, second order, linear and fixed directions side by side: what else moves, and who stays.

    python -m training.judging.orders --bundle checkpoints/portrait1024 --classifier DIR --opened DIR \\
        --identity mobilefacenet_arcface.safetensors --probe judge.safetensors \\
        --trunk lpips_alex.safetensors --pose fr_pose.onnx

--classifier is what `training.loops.sampled_classifier` wrote, --opened what `training.judging.opened` did.
Every direction is walked in both senses until its own attribute has moved by one deviation, as the judges of
`training.judging.sliders` see it; there the mean attribute dependency (`attribute_dependency`) and
MobileFaceNet's cosine to the unedited face are read off. "Moved": the share of faces whose attribute went the
right way at the last strength. "Fixed" are the bundle's own sliders.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from core.checkpoints import Bundle, load_bundle
from core.editing.label import directions, unit_codes
from core.engine import Engine
from core.faces.judge import IdentityJudge
from core.models.latent_classifier import LatentClassifier
from core.network_config import ClassifierConfig
from training.data.attribute_probe import Probe
from training.data.trunks import load_trunk
from training.judging.attribute_dependency import at_move, curve
from training.judging.sliders import JUDGED_AS, HeadPose, Judged, Judges, engine_render, opened_codes
from training.loops.slider_table import SLIDERS

# A slider's values whose length in W+ the directions of all orders are walked to.
VALUES = (0.5, 1.0, 2.0, 3.0)
ORDERS = ("first", "second", "linear", "fixed")


@dataclass(frozen=True)
class Row:
    """Of one attribute and order; None where one deviation is never reached."""

    dependency: float | None
    identity: float | None
    moved: float


def walk(
    judges: Judges, codes: np.ndarray, before: Judged, steps: np.ndarray, judge: str, pictures: np.ndarray
) -> Row:
    """codes: (N, L, D); steps: (S, N, L, D), each face's own, weakest first; judge: "-name" for what falls.

    Both senses together: the face went down counts as the other's mirror image.
    """
    own, sign = before.names.index(judge.removeprefix("-")), -1.0 if judge.startswith("-") else 1.0
    sigma = np.nanstd(before.values, 0)
    moved, cosines = [], []
    for step in steps:
        up, down = (judges(codes + sense * step, pictures) for sense in (1, -1))
        # The attribute's own direction is positive, whichever way its judge counts and the edit went.
        change = [sign * sense * (j.values - before.values) for sense, j in ((1, up), (-1, down))]
        moved.append(np.nan_to_num(np.concatenate(change)))
        cosines.append(np.mean([(j.identity * before.identity).sum(1) for j in (up, down)]))
    edited = np.stack(moved)  # (S, 2 N, A)
    moves, dependencies = curve(np.zeros_like(edited[0]), edited, own, np.where(sigma > 0, sigma, np.inf))
    return Row(
        at_move(moves, dependencies, 1.0),
        # From the unedited face, whose cosine to itself is one.
        None if (lost := at_move(moves, 1 - np.array(cosines), 1.0)) is None else 1 - lost,
        float((edited[-1][:, own] > 0).mean()),
    )


def all_steps(
    classifier: LatentClassifier, linear: torch.Tensor, fixed: Mapping[str, torch.Tensor], codes: np.ndarray
) -> dict[tuple[str, str], np.ndarray]:
    """By attribute and order: (S, N, L, D), as long as the fixed step (L, D) of VALUES is over all codes."""
    w = torch.from_numpy(codes).double()
    by_order = {
        "first": torch.stack([directions(classifier, one, "first") for one in w]),
        "second": torch.stack([directions(classifier, one, "second") for one in w]),
        "linear": unit_codes(linear.double()).expand(len(w), -1, -1, -1),
    }  # (N, A, L, D) each
    found = {}
    for number, name in enumerate(classifier.config.attributes):
        if name not in fixed:
            continue
        step = fixed[name].double()
        length = float(step.norm()) / len(step) ** 0.5
        for order in ORDERS:
            one = step.expand_as(w) if order == "fixed" else length * by_order[order][:, number]
            found[name, order] = np.stack([value * one.numpy() for value in VALUES])
    return found


def summary(rows: Mapping[tuple[str, str], Row]) -> dict[str, dict[str, float]]:
    """Means by order over the attributes that every order moves by one deviation."""
    names = {name for name, _ in rows}
    common = [n for n in names if all(rows[n, order].dependency is not None for order in ORDERS)]
    return {
        order: {
            "attributes": len(common),
            "dependency": float(np.mean([rows[n, order].dependency for n in common])),
            "identity": float(np.mean([rows[n, order].identity for n in common])),
            "moved": float(np.mean([rows[n, order].moved for n in common])),
        }
        for order in ORDERS
        if common
    }


def fixed_steps(bundle: Bundle) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """By the label that a slider moves: its step (L, D) at 1, and who judges it."""
    targets = {slider.name: slider.target for slider in SLIDERS}
    steps, judges = {}, {}
    for attribute in bundle.config.attributes:
        if (target := targets.get(attribute.name)) is not None:
            axis = bundle.directions[bundle.config.directions.index(attribute.name)]
            steps[target] = attribute.unit * axis
            judges[target] = JUDGED_AS.get(attribute.name, attribute.name)
    return steps, judges


def load_classifier(folder: Path) -> tuple[LatentClassifier, torch.Tensor]:
    """The classifier, and the linear directions (A, L, D) beside it."""
    described = json.loads((folder / "classifier.json").read_text(encoding="utf-8"))
    parts: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in described.items()}
    config = ClassifierConfig(**parts)
    state = load_file(folder / "classifier.safetensors")
    linear = state.pop("linear_directions")
    classifier = LatentClassifier(config)
    classifier.load_state_dict(state)
    return classifier.eval().requires_grad_(False).double(), linear


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.judging.orders", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--only", nargs="+", metavar="LABEL", default=[])
    for name in ("bundle", "classifier", "opened", "identity", "probe", "trunk", "pose"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    a = parser.parse_args(argv)
    bundle = load_bundle(a.bundle)
    judges = Judges(
        engine_render(Engine(bundle)),
        HeadPose(a.pose),
        Probe.load(a.probe),
        load_trunk("alexnet", a.trunk),
        IdentityJudge.load(a.identity),
    )
    codes = opened_codes(a.opened, a.count)
    pictures = judges.render(codes)
    before = judges.judged(pictures)
    fixed, judged_by = fixed_steps(bundle)
    fixed = {name: step for name, step in fixed.items() if not a.only or name in a.only}
    rows = {}
    for (name, order), steps in all_steps(*load_classifier(a.classifier), fixed, codes).items():
        row = rows[name, order] = walk(judges, codes, before, steps, judged_by[name], pictures)
        print(f"{name:16} {order:8} {row}", flush=True)
    for order, means in summary(rows).items():
        print(order, {k: round(v, 3) for k, v in means.items()})


if __name__ == "__main__":
    main()
