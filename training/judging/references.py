"""Does a face get what it takes from another, and only that: judged in the edited pictures.

    python -m training.judging.references --data DIR --identity mobilefacenet.safetensors \
        --judge judge.safetensors --bundle BUNDLE --photos FOLDER --out FOLDER

On random pairs of a source and a reference of the test split, every attribute at amount 1. FOLDER then holds
`references.json` with all figures, `references.md` with the table for the model card and, of the photos,
`references-NAME.png`: sources in the first column, the gallery's faces that have most of the attribute above.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from core.checkpoints import Bundle, load_bundle
from core.faces.judge import IdentityJudge
from core.files import write_whole
from core.images import save_image
from training.data.packs import load
from training.judging.attribute_dependency import at_move, curve
from training.judging.edits import Judges, points_after, real_deviations
from training.judging.faces import Opened, edit, face_axes, open_photos, open_split, render
from training.judging.judge import Judge, judge_pictures
from training.judging.sheets import grid, spread
from training.judging.tables import number, percent, table
from training.loops.loop import pick_device
from training.loops.trained import classifier_of

# Pairs whose scores differ by less say nothing about which way is right.
LEAST_GAP = 0.5
LABEL_VALUES = (0.25, 0.5, 1.0, 2.0, 3.0)
SHEET_SOURCES, SHEET_REFERENCES = 8, 6
# A pixel belongs to the edited region where some edit changes it by this many levels of 255.
CHANGED = 8

Figures = dict[str, float | None]


def random_pairs(faces: int, count: int, seed: int) -> np.ndarray:
    """(count, 2) of different numbers below `faces`: source and reference."""
    random = np.random.default_rng(seed)
    return np.stack([random.choice(faces, 2, replace=False) for _ in range(count)])


def towards(before: np.ndarray, after: np.ndarray, wanted: np.ndarray) -> Figures:
    """Do scores move from the source's to the reference's? All arguments (N,), in deviations between people.

    Pairs nearer than LEAST_GAP are left out. `share` moves the right way; `move` is the mean way gone, and
    `reach` that as a share of the way there was.
    """
    gap = wanted - before
    told = np.abs(gap) >= LEAST_GAP
    gone = ((after - before) * np.sign(gap))[told]
    return {
        "pairs": float(told.sum()),
        "left_out": float((~told).sum()),
        "share": float((gone > 0).mean()),
        "move": float(gone.mean()),
        "reach": float(gone.mean() / np.abs(gap[told]).mean()),
    }


@torch.no_grad()
def taken(bundle: Bundle, name: str, sources: Tensor, references: Tensor, amount: float = 1.0) -> Tensor:
    """Codes (N, L, D) with one attribute of the references."""
    return sources + amount * bundle.reference_editors[name](sources, references)


class Pairs:
    """Sources and references, and all that is measured of them once."""

    def __init__(
        self, bundle: Bundle, opened: Opened, pairs: np.ndarray, judges: Judges, network: IdentityJudge
    ) -> None:
        self.bundle, self.judges, self.network = bundle, judges, network
        self.source, self.reference = opened.pick(pairs[:, 0].tolist()), opened.pick(pairs[:, 1].tolist())
        self.names = tuple(bundle.reference_editors)
        self.before = judges(self.source.inversions, self.source, self.names)
        self.wanted = judges(self.reference.inversions, self.reference, self.names)
        self.sigma = judge_pictures(judges.judge, opened.inversions, judges.device).std(0)
        self.start = judge_pictures(judges.judge, self.source.inversions, judges.device)
        self.axes = face_axes(bundle, self.source.codes, "first", judges.device)
        unedited = (self.source.inversions, self.source.crops)
        self.identities = [network.embeddings(p, self.source.landmarks) for p in unedited]

    def _render(self, codes: Tensor) -> np.ndarray:
        return render(self.bundle.generator, codes, self.judges.device)

    def measure(self, name: str) -> Figures:
        """One attribute: `towards`, identity to the inversion and to the photo, and dependency.

        dependency: mean-AD (`judging.attribute_dependency`) of the references' edits; label_dependency: that
        of first-order sliders, moved towards the reference, where they move the attribute equally far (None
        if they never do).
        """
        pictures = self._render(taken(self.bundle, name, self.source.codes, self.reference.codes))
        after = self.judges(pictures, self.source, [name])[name]
        points = points_after(name, pictures, self.source.landmarks)
        embedded = self.network.embeddings(pictures, points)
        to_inversion, to_photo = (float((embedded * i).sum(1).mean()) for i in self.identities)
        sign = np.sign(self.wanted[name] - self.before[name])
        told = np.abs(self.wanted[name] - self.before[name]) >= LEAST_GAP
        moves, dependencies = self._curve(name, pictures[None], sign, told)
        labels = np.stack([self._render(self._label(name, value, sign)) for value in LABEL_VALUES])
        return {
            **towards(self.before[name], after, self.wanted[name]),
            "identity": to_inversion,
            "identity_photo": to_photo,
            "network_move": float(moves[0]),
            "dependency": float(dependencies[0]),
            "label_dependency": at_move(*self._curve(name, labels, sign, told), float(moves[0])),
        }

    def _label(self, name: str, value: float, sign: np.ndarray) -> Tensor:
        up, down = (edit(self.bundle, self.source.codes, self.axes, name, v) for v in (value, -value))
        return torch.where(torch.from_numpy(sign > 0)[:, None, None], up, down)

    def _curve(
        self, name: str, pictures: np.ndarray, sign: np.ndarray, told: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """`curve` of pictures (S, N, R, R, 3), with the target's move counted towards the reference."""
        target = self.judges.judge.attributes.index(name)
        judged = np.stack([judge_pictures(self.judges.judge, p, self.judges.device) for p in pictures])
        change = judged - self.start  # (S, N, A)
        change[:, :, target] *= sign
        return curve(np.zeros_like(self.start[told]), change[:, told], target, self.sigma)


def diversity(sources: np.ndarray, edits: np.ndarray) -> float:
    """How different are the results of different references, in levels of 255?

    sources: (N, R, R, 3) uint8; edits: (N, K, R, R, 3), of K references. The mean absolute difference between
    two of one source's, over the pixels where some edit changes it by more than CHANGED.
    """
    found = []
    for source, row in zip(sources.astype(np.float32), edits.astype(np.float32), strict=True):
        region = np.abs(row - source).max((0, 3)) > CHANGED  # (R, R)
        if region.any():
            inside = row[:, region]  # (K, pixels, 3)
            first, second = np.triu_indices(len(inside), 1)
            found.append(np.abs(inside[first] - inside[second]).mean())
    return float(np.mean(found)) if found else 0.0


def sheets(bundle: Bundle, shown: Opened, device: torch.device, out: Path) -> dict[str, float]:
    """Write `references-NAME.png` for every attribute; returns the `diversity` of each.

    References have the same label: they are the gallery's faces of the highest logits.
    """
    some = shown.pick(spread(len(shown), SHEET_SOURCES).tolist())
    found = {}
    for name in tqdm(bundle.reference_editors, desc="Sheets", disable=None):
        logits = classifier_of(bundle)(bundle.gallery)[:, classifier_of(bundle).config.attributes.index(name)]
        references = bundle.gallery[logits.argsort(descending=True)[:SHEET_REFERENCES]].cpu()
        pairs = [taken(bundle, name, code.expand(len(references), -1, -1), references) for code in some.codes]
        edits = render(bundle.generator, torch.cat(pairs), device).reshape(
            len(some), len(references), *some.inversions.shape[1:]
        )
        found[name] = diversity(some.inversions, edits)
        blank = np.full_like(some.inversions[:1], 255)
        head = np.concatenate([blank, render(bundle.generator, references, device)])
        rows = [np.concatenate([face[None], row]) for face, row in zip(some.inversions, edits, strict=True)]
        save_image(grid([head, *rows]), out / f"references-{name}.png")
    return found


def report(found: Mapping[str, Any]) -> str:
    """references.json as markdown."""
    rows: list[tuple[str, ...]] = []
    for name, row in found["attributes"].items():
        rows.append(
            (
                name,
                f"{row['pairs']:.0f}",
                percent(row["share"]),
                number(row["move"], 2),
                number(row["reach"], 2),
                number(row["dependency"]),
                number(row["label_dependency"]),
                number(row["identity"]),
                number(row["identity_photo"]),
                number(row["diversity"], 1),
            )
        )
    header = (
        "attribute", "pairs", "towards the reference", "move", "of the way", "mean-AD", "mean-AD, label",
        "identity kept", "to the photo", "diversity",
    )  # fmt: skip
    return f"`{found['command']}`\n\n(torch {found['torch']}, {found['cpus']} CPUs)\n\n" + table(header, rows)


def evaluate(args: argparse.Namespace) -> dict[str, Any]:
    """Measure everything, write the sheets into `args.out`; returns the figures."""
    # Imported here, as in all that it calls: dlib is a need of evaluation alone.
    from cli.photos import photos_in

    device = pick_device(args.device)
    bundle = load_bundle(args.bundle, device)
    judge, network = Judge.load(args.judge).to(device), IdentityJudge.load(args.identity, device)
    faces = load(args.data, args.split, args.limit)
    judges = Judges(judge, real_deviations(args.data, judge, faces.images, device), device)
    opened = open_split(bundle, faces, device)
    pairs = Pairs(bundle, opened, random_pairs(len(opened), args.pairs, args.seed), judges, network)
    rows = {name: pairs.measure(name) for name in tqdm(pairs.names, desc="Attributes", disable=None)}
    shown, _ = open_photos(
        bundle, photos_in(args.photos).photos, device, lambda words: print(words, file=sys.stderr)
    )
    for name, value in sheets(bundle, shown, device, args.out).items():
        rows[name]["diversity"] = value
    return {
        "bundle": {"name": bundle.config.name, "version": bundle.config.version},
        "split": args.split,
        "pairs": args.pairs,
        "torch": torch.__version__,
        "cpus": os.cpu_count(),
        "device": device.type,
        "attributes": rows,
    }


def main(argv: list[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        prog="python -m training.judging.references", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--identity", type=Path, required=True, help="MobileFaceNet weights (safetensors)")
    parser.add_argument("--judge", type=Path, required=True, help="what training.judging.judge wrote")
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True, help="folder of portraits to show")
    parser.add_argument("--out", type=Path, required=True, help="folder for figures and sheets")
    parser.add_argument("--split", choices=("validation", "test"), default="test")
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="faces of the split (a rehearsal)")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    found = {"command": " ".join(["python -m training.judging.references", *argv]), **evaluate(args)}
    text = json.dumps(found, indent=2, allow_nan=False)
    write_whole(args.out / "references.json", (text + "\n").encode())
    tables = report(found)
    write_whole(args.out / "references.md", tables.encode())
    print(tables)


if __name__ == "__main__":
    main()
