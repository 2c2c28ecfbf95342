"""Does a face get what it takes from another, and only that: judged in the pictures, by what taught nothing.

    python -m training.judging.references --bundle checkpoints/portrait1024 --opened DIR --pairs 200 \\
        --identity mobilefacenet_arcface.safetensors --probe judge.safetensors \\
        --trunk lpips_alex.safetensors --pose fr_pose.onnx --out FOLDER

DIR is what `training.judging.opened` wrote: sources and references are opened photos, as visitors' are. Of
--count of them a group has --pairs at random, of those that say which way is right. The judges are those of
`training.judging.sliders`; a group has several, and moves towards the reference where their change points to
the reference's values. Beside each group stand the sliders of the same, each as long as its judge's gap says,
walked until they move the judges as far: `dependency` and `slider_dependency` are mean attribute dependency
there (`judging.attribute_dependency`).
A take that has a region moves that alone, as the engine shows it, but of the unedited picture, since there
is no photo here; with --everywhere, all that its module moves.
FOLDER gets references.json, a line at a time, and references.md.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from core.checkpoints import Bundle, load_bundle
from core.edits import mixed
from core.faces.judge import IdentityJudge
from core.faces.parsing import Parsing
from core.files import write_whole
from core.images import to_array, to_tensor
from core.rendering.renderer import Renderer
from training.data.attribute_probe import Probe
from training.data.trunks import load_trunk
from training.judging.attribute_dependency import at_move
from training.judging.slider_measures import POINT_MEASURES
from training.judging.sliders import SIDE, TURNS, HeadPose, Judged, Judges, Render, opened_codes
from training.judging.tables import number, percent, table

# Pairs whose judges differ by less, in deviations between faces, say nothing about which way is right; and
# neither do two faces without what is rare, in the judge's own unit, or two with it.
LEAST_GAP = 1.0
RARE = {"glasses": 0.4, "beard": 0.2, "bangs": 0.3}
# Points in the plane move with the head: whoever judges features by them looks at heads that are turned
# alike, within so many deviations of yaw and pitch.
ALIKE = 1.0
SLIDER_SHARES = (0.5, 1.0)


@dataclass(frozen=True)
class Group:
    """judges: what tells it. sliders: by name, each with the judge that says how far and its mean move, in
    deviations, for a value of one (the model card's); negative where the judge falls while the slider rises.
    """

    judges: tuple[str, ...]
    sliders: Mapping[str, tuple[str, float]]


GROUPS: Mapping[str, Group] = {
    "hair_style": Group(
        ("hair_length", "bald", "bangs"),
        {"hair_length": ("hair_length", 0.8), "bald": ("bald", 1.1), "bangs": ("bangs", 0.5)},
    ),
    "hair_colour": Group(
        ("hair_brightness", "black_hair", "blond_hair", "red_hair", "grey_hair"),
        {
            "black_hair": ("black_hair", 0.75),
            "blond_hair": ("blond_hair", 0.75),
            "red_hair": ("red_hair", 0.5),
            "grey_hair": ("grey_hair", 0.45),
        },
    ),
    "fringe": Group(("bangs",), {"bangs": ("bangs", 0.5)}),
    "beard": Group(("beard", "moustache"), {"beard": ("beard", 0.8)}),
    "smile": Group(("smile", "mouth_corners"), {"smile": ("smile", 0.9)}),
    "mouth": Group(
        ("mouth_open", "lips", "philtrum"),
        {"mouth_open": ("mouth_open", 0.5), "lips": ("lips", 0.55), "philtrum": ("philtrum", 0.6)},
    ),
    "eyes": Group(
        ("eyes_open", "eye_distance"),
        {"eyes_open": ("eyes_open", 0.7), "eye_distance": ("eye_distance", 0.45)},
    ),
    "brows": Group(("brows", "brow_tilt"), {"brows": ("brows", 0.7), "brow_tilt": ("brow_tilt", 0.5)}),
    "nose": Group(
        ("nose_width", "nose_length"),
        {"nose_width": ("nose_width", 0.45), "nose_length": ("nose_length", 0.3)},
    ),
    "age": Group(("age",), {"age": ("age", 0.5)}),
    "make_up": Group(("makeup", "eye_makeup", "lipstick", "lip_red"), {"lipstick": ("lip_red", 0.8)}),
    "glasses": Group(("glasses",), {"glasses": ("glasses", 1.6)}),
    "face_shape": Group(
        ("face_width", "jaw", "chin"),
        {"face_width": ("face_width", 0.6), "chin": ("chin", 0.4)},
    ),
    "skin": Group(
        ("skin_brightness", "blush"),
        {"skin_brightness": ("skin_brightness", 0.75), "skin_red": ("blush", 0.5)},
    ),
    "light": Group(
        ("side_light", "exposure", "contrast", "warmth"),
        {
            "side_light": ("side_light", 1.5),
            "brightness": ("exposure", 0.8),
            "contrast": ("contrast", 0.8),
            "warmth": ("warmth", 0.8),
        },
    ),
    "pose": Group(("yaw", "pitch"), {"yaw": ("yaw", 1.05), "pitch": ("pitch", 0.75)}),
}


def shuffled_pairs(faces: int, seed: int) -> np.ndarray:
    """(P, 2): all pairs of different numbers below `faces`, source and reference, in random order."""
    every = np.array([(a, b) for a in range(faces) for b in range(faces) if a != b])
    return np.random.default_rng(seed).permutation(every)


def towards(change: np.ndarray, gap: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far each face went to its reference, (N,), in deviations along the way there; and (N,) bool: who
    has a way of LEAST_GAP or more. change, gap: (N, J) of J judges, in deviations; what is NaN says nothing.
    """
    change, gap = np.nan_to_num(change), np.nan_to_num(gap)
    length = np.linalg.norm(gap, axis=1)
    told: np.ndarray = length >= LEAST_GAP
    return (change * gap).sum(1) / np.maximum(length, 1e-9), told


class Pairs:
    """Sources and references as the judges see them unedited."""

    def __init__(
        self,
        bundle: Bundle,
        judges: Judges,
        codes: np.ndarray,
        pairs: np.ndarray,
        parsing: Parsing | None = None,
    ) -> None:
        """codes: (N, L, D) of opened faces; pairs: (P, 2). parsing: None: takes move the whole picture."""
        self._bundle, self._judges, self._parsing = bundle, judges, parsing
        pictures = judges.render(codes)
        seen = judges.judged(pictures)
        self.names, self.deviations = seen.names, np.nanstd(seen.values, 0)
        self._codes, self._pairs = codes, pairs
        self._pictures = pictures
        self._before, self._wanted = seen.values[pairs[:, 0]], seen.values[pairs[:, 1]]
        self._way = (self._wanted - self._before) / self.deviations  # (P, A)
        self._identity = (seen.identity[pairs[:, 0]], seen.turned[pairs[:, 0]])

    def telling(self, group: Group, count: int) -> np.ndarray:
        """Numbers of the first `count` pairs that say which way is right."""
        own = [self.names.index(judge) for judge in group.judges]
        _, told = towards(self._way[:, own], self._way[:, own])
        if (least := RARE.get(group.judges[0])) is not None:
            told &= np.abs(self._wanted - self._before)[:, own[0]] >= least
        if group.judges[0] in POINT_MEASURES:
            turns = [self.names.index(turn) for turn in TURNS if turn in self.names]
            told &= (np.abs(self._way[:, turns]) < ALIKE).all(1)
        return np.flatnonzero(told)[:count]

    def measure(self, name: str, count: int, with_sliders: bool) -> dict[str, float | None]:
        """One group's row, of so many pairs at most: `share` of pairs that move the right way, `move` in
        deviations, `reach` as a share of the way, MobileFaceNet's `identity` to the unedited face, and what
        else moves."""
        group = GROUPS[name]
        own = [self.names.index(judge) for judge in group.judges]
        way, rows = self._way, self.telling(group, count)
        gone, dependency, identity = self._judged(self._taken(name, rows), rows, own, way)
        found: dict[str, float | None] = {
            "pairs": float(len(rows)),
            "share": float((gone > 0).mean()),
            "move": float(gone.mean()),
            "reach": float(gone.mean() / np.linalg.norm(np.nan_to_num(way[rows][:, own]), axis=1).mean()),
            "identity": identity,
            "dependency": dependency,
        }
        if with_sliders:
            walked = [
                self._judged(self._judges.render(self._slid(group, share, rows, way)), rows, own, way)
                for share in SLIDER_SHARES
            ]
            moves = np.array([gone.mean() for gone, _, _ in walked])
            lost = at_move(moves, np.array([1 - kept for _, _, kept in walked]), float(gone.mean()))
            found |= {
                "slider_share": float((walked[1][0] > 0).mean()),
                "slider_dependency": at_move(moves, np.array([d for _, d, _ in walked]), float(gone.mean())),
                # From the unedited face, whose cosine to itself is one.
                "slider_identity": None if lost is None else 1 - lost,
                "slider_most": float(moves.max()),
            }
        return found

    def _judged(
        self, pictures: np.ndarray, rows: np.ndarray, own: list[int], way: np.ndarray
    ) -> tuple[np.ndarray, float, float]:
        """Of edited sources (N, S, S, 3): how far each went, mean dependency, mean identity."""
        after: Judged = self._judges.judged(pictures, self._pictures[self._pairs[rows, 0]])
        change = (after.values - self._before[rows]) / self.deviations
        gone, _ = towards(change[:, own], way[rows][:, own])
        others = np.delete(np.abs(change), own, axis=1)
        turned = self.names[own[0]] in TURNS
        embedded = after.turned if turned else after.identity
        cosine = (embedded * self._identity[turned][rows]).sum(1)
        return gone, float(np.nanmean(others)), float(cosine.mean())

    @torch.no_grad()
    def _taken(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Pictures (N, S, S, 3) uint8 of the sources with what they take."""
        source, reference = (torch.from_numpy(self._codes[part]).float() for part in self._pairs[rows].T)
        pictures = self._judges.render(
            (source + self._bundle.reference_editors[name](source, reference)).numpy()
        )
        described = self._bundle.config.reference_editor
        assert described is not None
        region = dict(zip(described.attributes, described.regions, strict=False)).get(name)
        if not region or self._parsing is None:
            return pictures
        before = self._pictures[self._pairs[rows, 0]]
        return np.stack([self._within(region, *pair) for pair in zip(before, pictures, strict=True)])

    def _within(self, region: str, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """`after` in its region, around it `before`; (SIDE, SIDE, 3) uint8 each."""
        assert self._parsing is not None
        seen = [self._parsing.classes(to_tensor(picture)) for picture in (before, after)]
        found, _ = mixed(to_tensor(before), to_tensor(after), (region,), (seen[0], seen[1]))
        return to_array(found)[0]

    def _slid(self, group: Group, share: float, rows: np.ndarray, way: np.ndarray) -> np.ndarray:
        """Sources with the group's sliders, each at `share` of what its judge's way asks for, within 3."""
        codes = self._codes[self._pairs[rows, 0]]
        for slider, (judge, move) in group.sliders.items():
            unit = next(a.unit for a in self._bundle.config.attributes if a.name == slider)
            axis = self._bundle.directions[self._bundle.config.directions.index(slider)].numpy()
            asked = np.nan_to_num(way[rows, self.names.index(judge)]) / move
            values = np.clip(share * asked, -3, 3)
            codes += (values * unit)[:, None, None].astype(np.float32) * axis
        return codes


def rendering(bundle: Bundle, size: int) -> Render:
    """Pictures of the generator's own `size`, averaged to SIDE."""
    renderer = Renderer(bundle.generator, torch.device("cpu"))

    def render(codes: np.ndarray) -> np.ndarray:
        pictures = (renderer.render(w[None], size=size) for w in torch.from_numpy(codes).float())
        return np.concatenate([to_array(F.interpolate(p, size=(SIDE, SIDE), mode="area")) for p in pictures])

    return render


def report(found: Mapping[str, Any]) -> str:
    """references.json as markdown."""
    rows: list[tuple[str, ...]] = [
        (
            name,
            f"{row['pairs']:.0f}",
            percent(row["share"]),
            number(row["move"], 2),
            number(row["reach"], 2),
            number(row["identity"]),
            number(row["dependency"]),
            number(row.get("slider_dependency")),
            percent(row["slider_share"]) if "slider_share" in row else "-",
        )
        for name, row in found["groups"].items()
    ]
    header = (
        "group", "pairs", "towards the reference", "move", "of the way", "identity", "mean-AD",
        "mean-AD, sliders", "towards, sliders",
    )  # fmt: skip
    shares = [row["share"] for row in found["groups"].values()]
    mean = f"\nTowards the reference: mean {percent(float(np.mean(shares)))}, least {percent(min(shares))}\n"
    return (
        f"`{found['command']}`\n\n(torch {found['torch']}, {found['cpus']} CPUs)\n\n"
        + table(header, rows)
        + mean
    )


def main(argv: list[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        prog="python -m training.judging.references", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--opened", type=Path, required=True, help="what training.judging.opened wrote")
    for name in ("identity", "probe", "trunk", "pose"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder for the figures")
    parser.add_argument("--count", type=int, default=100, help="faces that pairs are drawn from")
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--size", type=int, help="of the pictures (by default, the full one)")
    parser.add_argument("--only", nargs="+", metavar="GROUP")
    parser.add_argument("--no-sliders", action="store_true")
    parser.add_argument("--everywhere", action="store_true", help="takes move more than their regions")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    bundle = load_bundle(args.bundle)
    judges = Judges(
        rendering(bundle, args.size or bundle.generator.resolution),
        HeadPose(args.pose),
        Probe.load(args.probe),
        load_trunk("alexnet", args.trunk),
        IdentityJudge.load(args.identity),
    )
    codes = opened_codes(args.opened, args.count).astype(np.float32)
    parsing = None
    if bundle.parser is not None and not args.everywhere:
        parsing = Parsing(bundle.parser, torch.device("cpu"), torch.float32)
    pairs = Pairs(bundle, judges, codes, shuffled_pairs(len(codes), args.seed), parsing)
    found: dict[str, Any] = {
        "command": " ".join(["python -m training.judging.references", *argv]),
        "bundle": {"name": bundle.config.name, "version": bundle.config.version},
        "torch": torch.__version__,
        "cpus": os.cpu_count(),
        "groups": {},
    }
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.only or bundle.reference_editors:
        found["groups"][name] = row = pairs.measure(name, args.pairs, not args.no_sliders)
        print(name, {k: None if v is None else round(v, 3) for k, v in row.items()}, flush=True)
        text = json.dumps(found, indent=2, allow_nan=False)
        write_whole(args.out / "references.json", (text + "\n").encode())
    write_whole(args.out / "references.md", report(found).encode())
    print(report(found))


if __name__ == "__main__":
    main()
