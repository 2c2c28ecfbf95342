"""Do sliders still move a refined face, and is it more the person: judged by what made no label.

    python -m training.judging.refined_sliders --bundle checkpoints/portrait1024 --opened DIR --refined OUT \\
        --faces faces256.tar --identity mobilefacenet_arcface.safetensors --probe judge.safetensors \\
        --trunk lpips_alex.safetensors --pose fr_pose.onnx [--only smile age ...]

OUT is what `training.judging.refined` wrote of the codes in DIR. Every slider goes to +VALUE and -VALUE on
each face, off, fast and best, with the fade that the engine has; judges as in `training.judging.sliders`, but
identity is MobileFaceNet's cosine of the edits to the photo itself.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from core.checkpoints import find_bundle, load_bundle
from core.engine import Engine
from core.faces.judge import IdentityJudge
from core.files import write_whole
from core.generators.residual import Residual
from core.images import to_array
from core.projects.tensor_file import TensorFile
from core.refinement.fade import fade
from core.rendering.renderer import Renderer
from training.data.aligned import AlignedFaces
from training.data.attribute_probe import Probe
from training.data.trunks import load_trunk
from training.judging.opened import CODES, file_name, known_lines
from training.judging.refined import LINES, RESIDUALS
from training.judging.sliders import SIDE, TURNS, HeadPose, Judged, Judges, engine_render, figures
from training.judging.tables import number, table

OFF = "off"
Row = dict[str, float]


class Pictures:
    """Edits of some faces under one refinement, as the engine makes them, averaged to SIDE px."""

    def __init__(self, renderer: Renderer, codes: Tensor, residuals: Sequence[Residual | None]) -> None:
        """codes: (N, L, D), of the unedited faces."""
        self._renderer, self._codes, self._residuals = renderer, codes, residuals

    def __call__(self, step: Tensor | None) -> np.ndarray:
        """(N, SIDE, SIDE, 3) uint8 of the codes + step (L, D); None: unedited."""
        return np.concatenate(
            [self._one(*pair, step) for pair in zip(self._codes, self._residuals, strict=True)]
        )

    def _one(self, w: Tensor, residual: Residual | None, step: Tensor | None) -> np.ndarray:
        render = self._renderer.render
        edited = w if step is None else w + step
        picture = render(edited[None], residual)
        if residual is not None and step is not None:
            picture = fade(render(edited[None]), picture, render(w[None]))
        return to_array(F.interpolate(picture, size=(SIDE, SIDE), mode="area"))


def cosines(name: str, photos: np.ndarray, edits: Sequence[Judged]) -> float:
    """Mean over faces and edits; photos: (N, 128), the photos' own embeddings."""
    kind = "turned" if name in TURNS else "identity"
    return float(np.mean([(getattr(edit, kind) * photos).sum(1) for edit in edits]))


def judge_ways(
    judges: Judges, ways: dict[str, Pictures], steps: dict[str, Tensor], photos: np.ndarray
) -> dict[str, dict[str, Row]]:
    """{slider: {way: moved, move, identity}}. Moves are counted in the unrefined faces' deviations."""
    unedited = {way: pictures(None) for way, pictures in ways.items()}
    before = {way: judges.judged(pictures) for way, pictures in unedited.items()}
    deviations = np.nanstd(before[OFF].values, 0)
    rows: dict[str, dict[str, Row]] = {}
    for name, step in tqdm(steps.items(), "Sliders", disable=None):
        for way, pictures in ways.items():
            up, down = (judges.judged(pictures(sign * step), unedited[way]) for sign in (1, -1))
            row = figures(name, before[way], up, down, deviations)
            kept = {key: float(row[key]) for key in ("moved", "move")}  # type: ignore[arg-type]
            rows.setdefault(name, {})[way] = {**kept, "identity": cosines(name, photos, (up, down))}
    return rows


def report(rows: dict[str, dict[str, Row]]) -> str:
    """A line for each slider, and the means."""
    ways, measures = list(next(iter(rows.values()))), ("moved", "move", "identity")
    means = {way: {m: float(np.mean([r[way][m] for r in rows.values()])) for m in measures} for way in ways}
    header = ("slider", *(f"{measure}, {way}" for measure in measures for way in ways))
    lines = [
        (name, *(number(row[way][measure], 2) for measure in measures for way in ways))
        for name, row in {**rows, "mean": means}.items()
    ]
    return table(header, lines)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", default="portrait1024", help="a model's name or folder")
    for name in ("opened", "refined", "faces", "identity", "probe", "trunk", "pose"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--value", type=float, default=2.0)
    parser.add_argument("--only", nargs="+", metavar="SLIDER", default=[])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(argv)
    bundle = load_bundle(find_bundle(args.bundle))
    engine, faces = Engine(bundle), AlignedFaces.open(args.faces)
    trunk = load_trunk("alexnet", args.trunk)
    parts = HeadPose(args.pose), Probe.load(args.probe), trunk, IdentityJudge.load(args.identity)
    judges = Judges(engine_render(engine), *parts)
    entries = known_lines(args.refined / LINES)
    codes = torch.stack(
        [torch.from_numpy(np.load(args.opened / CODES / f"{file_name(e)}.npy")) for e in entries]
    )
    files = [
        TensorFile((args.refined / RESIDUALS / f"{file_name(e)}.safetensors").read_bytes()) for e in entries
    ]
    count = len(bundle.generator.kernels())
    ways = {OFF: Pictures(engine.renderer, codes, [None] * len(codes))}
    for way in [way for way in entries[0]["ways"] if way != OFF]:
        ways[way] = Pictures(engine.renderer, codes, [file.residual(way, count) for file in files])
    attributes = [a for a in bundle.config.attributes if not args.only or a.name in args.only]
    axes = {a.name: bundle.directions[bundle.config.directions.index(a.name)] for a in attributes}
    steps = {a.name: args.value * a.unit * axes[a.name].float() for a in attributes}
    shown = [faces[entry["name"]] for entry in entries]
    crops, points = (np.stack([getattr(face, part) for face in shown]) for part in ("crop", "landmarks"))
    rows = judge_ways(judges, ways, steps, judges.identity.embeddings(crops, points))
    if args.json:
        write_whole(args.json, (json.dumps(rows, indent=2) + "\n").encode())
    print(report(rows))


if __name__ == "__main__":
    main()
