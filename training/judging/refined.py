"""What refinement gains on opened faces, and what edits lose by it: a model that opens photos by descent.

    python -m training.judging.refined --bundle checkpoints/portrait1024 --opened DIR --faces faces256.tar \\
        --faces512 faces512.tar --source CelebA-HQ --count 24 --judge mobilefacenet.safetensors --out OUT

DIR is what `training.judging.opened` wrote: its codes are refined, fast and best, as the engine does it once
a portrait has settled. With --soon in its place the first test names of the source are opened here, by as
many steps as fast begins after, which is what the app shows within seconds; OUT/codes has what came of it.
A line of OUT/faces.jsonl is written as soon as a face is measured (at 256 px, and the Haar grid at full
size); --resume goes on where a run was ended. OUT/refined.md holds the means. The files in OUT/residuals are
what `training.judging.refined_sliders` edits with.

OUT shows people who may not be passed on: no file of it belongs into a repository.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from cli import options
from cli.measures import Measures
from core.checkpoints import find_bundle, load_bundle
from core.engine import Engine
from core.faces.judge import IdentityJudge
from core.files import write_whole
from core.generators.residual import Residual
from core.images import save_image, to_array
from core.inversion.bundled import descents_of
from core.inversion.pursuit import Begin
from core.opening import SETTLED_STEPS
from core.precision import gradient_dtype
from core.projects.tensor_file import pack_tensors
from core.refinement.behind_descent import BehindDescent
from core.refinement.running import Watcher
from training.data.aligned import AlignedFace, AlignedFaces
from training.judging.grid import PERIODS, dots
from training.judging.opened import CODES, file_name, known_lines
from training.judging.tables import number, table

MODES = ("fast", "best")
LINES, RESIDUALS = "faces.jsonl", "residuals"
FIGURES = ("mse", "lpips", "judge_cosine", "seconds", *(f"grid_{period}" for period in PERIODS))

Entry = dict[str, Any]


class Refining:
    """One engine's refinements of codes whose faces are crops already."""

    def __init__(self, engine: Engine, behind: BehindDescent, measures: Measures, begin: Begin) -> None:
        """begin: a descent like those that open photos."""
        self._engine, self._behind, self._measures, self._begin = engine, behind, measures, begin

    def soon(self, face: AlignedFace) -> tuple[Tensor, float]:
        """The code (L, D) of as many steps as fast begins after, and how long they took."""
        began = time.perf_counter()
        descent = self._begin(face.crop, face.landmarks, None)
        for _ in range(SETTLED_STEPS["fast"]):
            descent.step()
        return descent.codes, time.perf_counter() - began

    def __call__(
        self, face: AlignedFace, w_plus: Tensor, took: float, modes: Sequence[str]
    ) -> Iterator[tuple[str, Any]]:
        """Name of the way, its figures, its picture (R, R, 3) uint8, and its residual; "off" first.

        took: seconds that the code took, which all figures include.
        """
        side = self._engine.generator.resolution
        # As a portrait has it: as many pixels as the model's pictures have.
        crop = cv2.resize(face.crop, (side, side), interpolation=cv2.INTER_CUBIC)
        landmarks = (face.landmarks + 0.5) * (side / len(face.crop)) - 0.5
        yield "off", self._measured(face, w_plus, None, took)
        for mode in modes:
            find = self._behind.fast if mode == "fast" else self._behind.best
            began = time.perf_counter()
            residual = find(crop, landmarks, w_plus, Watcher())
            yield mode, self._measured(face, w_plus, residual, took + time.perf_counter() - began)

    def _measured(
        self, face: AlignedFace, w_plus: Tensor, residual: Residual | None, seconds: float
    ) -> tuple[dict[str, float | None], np.ndarray, Residual | None]:
        picture = to_array(self._engine.renderer.render(w_plus[None], residual))[0]
        found = self._measures.picture(face.crop, face.landmarks, picture)
        grid = dots(picture) or dict.fromkeys(PERIODS)
        figures = {**{f"grid_{period}": value for period, value in grid.items()}, "seconds": seconds, **found}
        return {name: figures[name] for name in FIGURES}, picture, residual


def chosen(folder: Path, source: str, count: int) -> list[Entry]:
    """The first faces of a source that opened, in the order in which they were opened."""
    entries = (entry for entry in known_lines(folder / "faces.jsonl") if entry["source"] == source)
    return [entry for entry in entries if "at" in entry][:count]


def listed(faces: AlignedFaces, source: str, count: int) -> list[Entry]:
    """The first test names of a source, in the table's order."""
    sources = {row["name"]: row["source"] for row in faces.rows}
    names = [name for name in faces.first(count, "test") if sources[name] == source]
    return [{"name": name, "source": source} for name in names]


def means(entries: Sequence[Entry]) -> dict[str, dict[str, float]]:
    """By way: means, of the grid median and worst."""
    found: dict[str, dict[str, float]] = {}
    for way in entries[0]["ways"]:
        rows = [entry["ways"][way] for entry in entries if way in entry["ways"]]
        row: dict[str, float] = {"faces": len(rows)}
        for name in FIGURES:
            values = [r[name] for r in rows if r[name] is not None]
            if not values:
                continue
            if name.startswith("grid"):
                row |= {f"{name} median": statistics.median(values), f"{name} worst": max(values)}
            else:
                row[name] = statistics.fmean(values)
        found[way] = row
    return found


def report(found: dict[str, dict[str, float]]) -> str:
    """The means as a table."""
    columns = list(dict.fromkeys(name for row in found.values() for name in row))
    rows = [(way, *(number(row.get(name), 4) for name in columns)) for way, row in found.items()]
    return table(("", *columns), rows)


def run(
    refining: Refining,
    entries: Sequence[Entry],
    faces: AlignedFaces,
    larger: AlignedFaces | None,
    opened: Path | None,
    modes: Sequence[str],
    out: Path,
    done: Sequence[Entry],
) -> list[Entry]:
    """Refine every face that is not done; a line is in the file before the next begins.

    opened: where their codes are; None: they are opened here, soon.
    """
    for folder in (RESIDUALS, "strips", *[CODES] * (opened is None)):
        (out / folder).mkdir(parents=True, exist_ok=True)
    names, found = {entry["name"] for entry in done}, [*done]
    write_whole(out / LINES, "".join(json.dumps(entry) + "\n" for entry in done).encode())
    with open(out / LINES, "a", encoding="utf-8") as file:
        for entry in tqdm(entries, "Faces", disable=None):
            name = entry["name"]
            if name in names:
                continue
            face = (larger if larger is not None and name in larger else faces)[name]
            code = (opened or out) / CODES / f"{file_name(entry)}.npy"
            if opened is None:
                w_plus, took = refining.soon(face)
                np.save(code, w_plus.cpu().numpy())
            else:
                w_plus, took = torch.from_numpy(np.load(code)), 0.0
            ways = dict(refining(face, w_plus, took, modes))
            line = {"name": name, "source": entry["source"], "px": len(face.crop)}
            line["ways"] = {way: figures for way, (figures, *_) in ways.items()}
            residuals = {way: residual for way, (*_, residual) in ways.items() if residual is not None}
            write_whole(out / RESIDUALS / f"{file_name(entry)}.safetensors", pack_tensors({}, residuals))
            side = max(len(picture) for _, picture, _ in ways.values())
            shown = [cv2.resize(face.crop, (side, side), interpolation=cv2.INTER_CUBIC)]
            save_image(np.hstack([*shown, *(p for _, p, _ in ways.values())]), out / "strips" / f"{name}.png")
            file.write(json.dumps(line, allow_nan=False) + "\n")
            file.flush()
            found.append(line)
    return found


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.judging.refined", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--bundle", default="portrait1024", help="a model's name or folder")
    codes = parser.add_mutually_exclusive_group(required=True)
    codes.add_argument("--opened", type=Path, help="what training.judging.opened wrote")
    codes.add_argument("--soon", action="store_true", help="open them here, by as few steps as fast needs")
    parser.add_argument("--faces", type=Path, required=True, help="aligned faces, a folder or a tar")
    parser.add_argument("--faces512", type=Path, help="the same at 512 px, those that there are")
    parser.add_argument("--source", default="CelebA-HQ")
    parser.add_argument("--count", type=options.count, default=24)
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--judge", type=Path, required=True, help="MobileFaceNet weights (safetensors)")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resume", action="store_true", help="leave out what is in --out already")
    parser.add_argument("--device", default="auto")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse(argv)
    engine = Engine.load(args.bundle, args.device)
    bundle = load_bundle(find_bundle(args.bundle), engine.device)
    descents = descents_of(bundle, gradient_dtype(engine.device))
    faces, larger = (AlignedFaces.open(path) if path else None for path in (args.faces, args.faces512))
    assert faces is not None
    which = args.source, args.count
    entries = listed(faces, *which) if args.soon else chosen(args.opened, *which)
    if descents is None or not entries:
        sys.exit("This model does not descend, or there are none of these faces.")
    measures = Measures.of(
        engine, IdentityJudge.load(args.judge), lambda words: print(words, file=sys.stderr)
    )
    refining = Refining(engine, BehindDescent(bundle.generator, descents), measures, descents)
    done = known_lines(args.out / LINES) if args.resume else []
    found = means(run(refining, entries, faces, larger, args.opened, args.modes, args.out, done))
    text = report(found)
    write_whole(args.out / "refined.md", text.encode())
    write_whole(args.out / "refined.json", (json.dumps(found, indent=2) + "\n").encode())
    print(text)


if __name__ == "__main__":
    main()
