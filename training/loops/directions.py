"""Fit the fixed directions behind the sliders of a generator, from labelled samples.

    python -m training.loops.directions --faces gen --labels labels --first 0 --last 20 --out directions

Writes OUT/directions.safetensors, one float16 tensor `directions` (A, L, D) as a bundle holds it, and
OUT/attributes.json, the sliders in its order (name, label, unit, low, high: `core.config.AttributeConfig`). A
slider at value 1 takes the step unit * direction in W+. Prints how well each label is told on the shard
after the last, and what each slider is expected to move besides its own label.
"""

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from core.config import AttributeConfig
from core.files import replacing, write_whole
from training.data.label_table import LabelTable, load_faces
from training.loops.direction_fit import LinearLabels, Whitening, fit_labels, holding_step, principal
from training.loops.slider import Slider
from training.loops.slider_table import SLIDERS

COMPONENTS = 200  # of w: 93 % of its variance
RIDGE = 0.1
IDENTITY, SURROUND = 24, 16  # principal components held
DARK = 0.1  # the share of faces with the darkest eyes
# Fitted and held as log(this + label). A child's year shows as much as ten of a grown-up's, and most of what
# networks say of a rare expression lies far below what they say of a clear one.
LOGARITHMIC = {"age": 1.0, "surprise": 1e-4, "sad": 1e-4, "frown": 1e-4, "pucker": 1e-4}


def even_values(table: LabelTable) -> np.ndarray:
    """(N, A) float64 labels, those that are `LOGARITHMIC` so."""
    values = table.values.astype(np.float64)
    for name, offset in LOGARITHMIC.items():
        column = table.names.index(name)
        values[:, column] = np.log(offset + values[:, column].clip(0))
    return values


def held_labels(table: LabelTable) -> tuple[np.ndarray, tuple[str, ...]]:
    """(N, A + IDENTITY + SURROUND) float64 labels with the components that must not move, and their names."""
    values = even_values(table)
    # Dark glasses are glasses too: left out, so that what the others have in common is a clear pair.
    dark = table.column("eye_shadow") > np.nanquantile(table.column("eye_shadow"), 1 - DARK)
    values[dark, table.names.index("glasses")] = np.nan
    identity = principal(table.identity.astype(np.float64), IDENTITY)
    surround = principal(table.surround.astype(np.float64), SURROUND)
    names = [
        *table.names,
        *(f"identity {i}" for i in range(IDENTITY)),
        *(f"surround {i}" for i in range(SURROUND)),
    ]
    return np.concatenate([values, identity, surround], 1), tuple(names)


def fit(codes: np.ndarray, table: LabelTable) -> tuple[Whitening, LinearLabels]:
    """codes: (N, L, D) and their labels. Faces that no network found (NaN throughout) are left out."""
    found = ~np.isnan(table.values).all(1)
    codes = codes[found].astype(np.float64)
    values, names = held_labels(table)
    equal = np.abs(codes - codes[:, :1]).max((1, 2)) < 1e-6
    whitening = Whitening.fit(codes[equal, 0], min(COMPONENTS, int(equal.sum()) - 1))
    return whitening, fit_labels(whitening(codes), values[found], names, RIDGE)


def held_weights(slider: Slider, names: tuple[str, ...]) -> np.ndarray:
    """(A,) how firmly the slider holds each label and component."""
    groups = {"identity": slider.identity_held, "surround": slider.surround_held}
    return np.array([groups.get(name.split(" ")[0], slider.weight(name)) for name in names])


def step_of(slider: Slider, whitening: Whitening, labels: LinearLabels) -> tuple[np.ndarray, np.ndarray]:
    """The step in W+ of slider value 1, (L, D), and what all labels (A,) are expected to do, in deviations.

    Components count by their own deviation: what varies little of a descriptor needs little holding.
    """
    codes = slice(*slider.codes)
    component = np.array([" " in name for name in labels.names])
    effects = labels.effects(codes) * np.where(component, labels.deviation, 1.0)[:, None]
    own = labels.index(slider.target)
    moved = np.mean([effects[labels.index(name)] for name in (slider.target, *slider.also)], 0)
    d = holding_step(moved, effects, held_weights(slider, labels.names))
    d = d * slider.step / labels.deviation[own]
    step = np.zeros((labels.profiles.shape[1], len(whitening.mean)))
    step[codes] = whitening.step(d)
    return step, effects @ d


def save_directions(out: Path, steps: np.ndarray, sliders: tuple[Slider, ...]) -> None:
    """steps: (A, L, D). The strongest code of a direction has norm 1, its unit is the norm it had."""
    units = np.linalg.norm(steps, axis=2).max(1)
    directions = torch.from_numpy(steps / units[:, None, None]).to(torch.float16)
    out.mkdir(parents=True, exist_ok=True)
    with replacing(out / "directions.safetensors") as new:
        save_file({"directions": directions.contiguous()}, new)
    attributes = [
        AttributeConfig(s.name, s.label, round(float(unit), 4), s.low, s.high, s.group)
        for s, unit in zip(sliders, units, strict=True)
    ]
    text = json.dumps([dataclasses.asdict(attribute) for attribute in attributes], indent=2)
    write_whole(out / "attributes.json", (text + "\n").encode())


def report(labels: LinearLabels, whitening: Whitening, codes: np.ndarray, table: LabelTable) -> str:
    """Correlation of each label with what is told of it, on faces that the fit has not seen."""
    told, values = labels.predict(whitening(codes.astype(np.float64))), even_values(table)
    lines = []
    for index, name in enumerate(table.names):
        known = ~np.isnan(values[:, index])
        r = np.corrcoef(told[known, index], values[known, index])[0, 1]
        profile = " ".join(f"{100 * share:3.0f}" for share in labels.profiles[index])
        lines.append(f"{name:16} {r:5.2f}  made at codes (%): {profile}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=Path, required=True, help="shards of sampled faces")
    parser.add_argument("--labels", type=Path, required=True, help="what training.data.label wrote")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--last", type=int, required=True, help="the first shard that is not fitted on")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    whitening, labels = fit(*load_faces(arguments.faces, arguments.labels, arguments.first, arguments.last))
    unseen = arguments.labels / f"{arguments.last:03d}.npz"
    if unseen.exists():
        codes, table = load_faces(arguments.faces, arguments.labels, arguments.last, arguments.last + 1)
        print(report(labels, whitening, codes, table))
    steps = []
    for slider in SLIDERS:
        step, moved = step_of(slider, whitening, labels)
        steps.append(step)
        others = [i for i in np.argsort(-np.abs(moved)) if labels.names[i] != slider.target][:5]
        print(f"{slider.name:16}", ", ".join(f"{labels.names[i]} {moved[i]:+.2f}" for i in others))
    save_directions(arguments.out, np.stack(steps), SLIDERS)


if __name__ == "__main__":
    main()
