"""What "Refine" must show: fidelity and seconds of every setting, and edits with the fade and without.

    python -m training.judging.refinement --data DIR --identity mobilefacenet.safetensors \
        --judge judge.safetensors --bundle BUNDLE --photos FOLDER --out FOLDER \
        --refine one_stage,two_stage,best

On the test split and, where given, on photos opened as a visitor would. Best takes a minute for each face, so
it is measured on `--best-faces` of them, spread evenly, and the others on the same faces too. FOLDER then
holds `refinement.json`, `refinement.md` with tables for the model card, and sheets: `refined-SET.png` (a
column for each face: photo, off, ...) and `refined-SLIDER+3.png` (a row for each face; columns: the JSON).
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from core.checkpoints import Bundle, load_bundle
from core.config import BundleConfig
from core.faces.judge import IdentityJudge
from core.files import write_whole
from core.images import to_tensor
from core.network_config import InverterConfig
from core.rendering.renderer import Renderer
from training.data.packs import load
from training.judging.edits import Judges, real_deviations
from training.judging.faces import Opened, Order, open_photos, open_split
from training.judging.inversion import inversion_measures
from training.judging.judge import Judge
from training.judging.refined_edits import compared, evaluate_refined_edits
from training.judging.refined_faces import PREDICTED, SLOW, Refined, refine_faces, solver, subset
from training.judging.refinement_sheets import edit_sheets, portrait_sheet
from training.judging.refinement_tables import report
from training.judging.sheets import spread
from training.loops.loop import pick_device

Settings = dict[str, Refined]


def refine_set(
    bundle: Bundle, opened: Opened, renderer: Renderer, names: list[str], some: np.ndarray
) -> tuple[Settings, Settings]:
    """All faces under off and the fast settings, and the faces with numbers `some` under every setting."""
    quick = {
        name: refine_faces(opened, solver(bundle, renderer, name), renderer, name)
        for name in names
        if name not in SLOW
    }
    few = subset(quick, some.tolist())
    for name in names:
        if name in SLOW:
            few[name] = refine_faces(
                opened.pick(some.tolist()), solver(bundle, renderer, name), renderer, name
            )
    return quick, few


def fidelity(
    settings: Settings, network: IdentityJudge, open_seconds: float | None, device: torch.device
) -> dict[str, dict[str, float | None]]:
    """Means of every measure under each setting; seconds is None where opening was not timed."""
    # Imported here, as in all that it calls: dlib is a need of evaluation alone.
    from cli.measures import load_lpips

    lpips = load_lpips(lambda words: print(words, file=sys.stderr))
    rows: dict[str, dict[str, float | None]] = {}
    for name, refined in settings.items():
        opened = refined.opened
        means = {k: float(v.mean()) for k, v in inversion_measures(opened, network).items()}
        pairs = zip(opened.crops, opened.inversions, strict=True)
        rows[name] = {
            **means,
            "lpips": statistics.fmean(lpips(to_tensor(a), to_tensor(b)) for a, b in pairs) if lpips else None,
            "refine_seconds": refined.seconds,
            "seconds": None if open_seconds is None else open_seconds + refined.seconds,
        }
    return rows


def open_seconds(bundle: Bundle, files: Sequence[Path], device: torch.device) -> float:
    """Mean seconds from a decoded photo to an unrefined portrait, over the photos that have a face."""
    from core.engine import Engine
    from core.errors import NoFaceFound
    from core.images import open_image

    engine, times = Engine(bundle, device), []
    for file in files:
        photo = open_image(file)
        start = time.perf_counter()
        try:
            engine.open_portrait(photo)
        except NoFaceFound:
            continue
        times.append(time.perf_counter() - start)
    return statistics.fmean(times)


def costs(config: BundleConfig) -> dict[str, dict[str, int | None]]:
    """Parameters and MACs from photo to codes and residual, counted as the paper's table does.

    MACs of a stage are those of its prediction; None where a polish follows, which renders as well.
    """
    from cli.costs import network_costs, refiner_costs

    networks = network_costs(config.generator, config.inverter, config.classifier)
    inverter = {k: networks["inverter"][k] - networks["mapping"][k] for k in ("parameters", "macs")}
    found: dict[str, dict[str, int | None]] = {"off": {**inverter}}
    for refiner in config.refiners:
        assert isinstance(config.inverter, InverterConfig)  # the config sees to it
        own = refiner_costs(refiner, config.generator, config.inverter)
        together = {k: own[k] + inverter[k] for k in own}
        predicted = together if refiner.stage == "one_stage" else own
        found[refiner.stage + PREDICTED] = {**predicted}
        found[refiner.stage] = {**predicted, "macs": None} if refiner.polish else {**predicted}
    return found


def papers(
    config: BundleConfig, rows: Mapping[str, Mapping[str, float | None]]
) -> dict[str, dict[str, float | None]]:
    """The papers' columns for every setting. rows: of `fidelity`."""
    counted = costs(config)
    unknown = {"parameters": None, "macs": None}
    return {
        name: {**{k: row[k] for k in ("mse", "lpips", "cosine", "seconds")}, **counted.get(name, unknown)}
        for name, row in rows.items()
    }


@dataclass(frozen=True)
class Tools:
    """What every measurement needs."""

    bundle: Bundle
    renderer: Renderer
    judges: Judges
    network: IdentityJudge
    device: torch.device

    @classmethod
    def load(
        cls, args: argparse.Namespace, bundle: Bundle, real: np.ndarray, device: torch.device
    ) -> "Tools":
        """real: (N, S, S, 3) uint8, faces between which the judge's outputs are seen to vary."""
        judge = Judge.load(args.judge).to(device)
        judges = Judges(judge, real_deviations(args.data, judge, real, device), device)
        network = IdentityJudge.load(args.identity, device)
        return cls(bundle, Renderer(bundle.generator, device), judges, network, device)


def evaluate_set(
    args: argparse.Namespace, tools: Tools, name: str, opened: Opened, open_time: float | None
) -> tuple[dict[str, Any], Settings]:
    """Figures of one set of faces; and, for the sheets, those of its faces that every setting refined."""
    bundle, device = tools.bundle, tools.device
    some = spread(len(opened), args.best_faces)
    quick, few = refine_set(bundle, opened, tools.renderer, ["off", *args.refine], some)
    parts = {f"{name}, all {len(opened)}": quick}
    to_edit = [subset(quick, spread(len(opened), args.edit_faces).tolist())]
    if len(few) > len(quick):
        parts[f"{name}, {len(some)} of {len(opened)}"] = few
        to_edit.append(few)
    measured = {part: fidelity(s, tools.network, open_time, device) for part, s in parts.items()}
    sliders = [a.name for a in bundle.config.attributes if not args.sliders or a.name in args.sliders]
    rows = {}
    for settings in to_edit:
        part = f"{name}, {len(settings['off'].opened)} of {len(opened)}"
        rows[part] = evaluate_refined_edits(
            bundle, settings, tools.renderer, tools.judges, tools.network, sliders, args.order, device
        )
    # Of the few faces only what all of them do not have.
    own = {k: row for settings in reversed(measured.values()) for k, row in settings.items()}
    figures = {
        "fidelity": measured,
        "edits": {part: compared(r) for part, r in rows.items()},
        "edits_by_slider": rows,
        "papers": {name: papers(bundle.config, own)},
    }
    return figures, few


def evaluate(args: argparse.Namespace) -> dict[str, Any]:
    """Measure everything, write the sheets into `args.out`; returns the figures."""
    from cli.photos import photos_in

    device = pick_device(args.device)
    bundle = load_bundle(args.bundle, device)
    known = (*bundle.refiners, *(stage + PREDICTED for stage in bundle.refiners), *SLOW)
    unknown = [name for name in args.refine if name not in known]
    if unknown:
        raise ValueError(f"This model cannot refine by {', '.join(unknown)}")
    faces = load(args.data, "test", args.limit)
    tools = Tools.load(args, bundle, faces.images, device)
    sets, open_time = {"test": open_split(bundle, faces, device)}, None
    if args.photos:
        files = photos_in(args.photos).photos[: args.limit]
        open_time = open_seconds(bundle, files, device)
        sets["photos"], _ = open_photos(bundle, files, device, lambda words: print(words, file=sys.stderr))
    found: dict[str, Any] = {}
    for name, opened in sets.items():
        figures, few = evaluate_set(args, tools, name, opened, open_time)
        for key, value in figures.items():
            found.setdefault(key, {}).update(value)
        portrait_sheet(few, args.out / f"refined-{name}.png")
    # Of the photos where there are any: UTKFace's faces may not be shown.
    found["sheet_columns"] = edit_sheets(bundle, few, tools.renderer, args.order, device, args.out)
    return {
        "bundle": {"name": bundle.config.name, "version": bundle.config.version},
        "resolution": bundle.config.generator.resolution,
        "order": args.order,
        "torch": torch.__version__,
        "cpus": os.cpu_count(),
        "device": device.type,
        **found,
    }


def main(argv: list[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        prog="python -m training.judging.refinement", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--identity", type=Path, required=True, help="MobileFaceNet weights (safetensors)")
    parser.add_argument("--judge", type=Path, required=True, help="what training.judging.judge wrote")
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--photos", type=Path, help="folder of portraits to evaluate as well")
    parser.add_argument("--out", type=Path, required=True, help="folder for figures and sheets")
    parser.add_argument(
        "--refine", type=lambda text: text.split(","), default=["one_stage", "two_stage", "best"],
        help="settings beside off: one_stage, two_stage, best, pivotal (one_stage,two_stage,best)",
    )  # fmt: skip
    parser.add_argument("--best-faces", type=int, default=12, help="of each set, for best and pivotal (12)")
    parser.add_argument("--edit-faces", type=int, default=48, help="of each set, for edits (48)")
    parser.add_argument("--sliders", type=lambda text: text.split(","), help="some of the sliders (all)")
    parser.add_argument(
        "--order", choices=get_args(Order), default="first", help="of the sliders' directions"
    )
    parser.add_argument("--limit", type=int, help="test faces, and photos (a rehearsal)")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    command = " ".join(["python -m training.judging.refinement", *argv])
    found = {"command": command, **evaluate(args)}
    text = json.dumps(found, indent=2, allow_nan=False)
    write_whole(args.out / "refinement.json", (text + "\n").encode())
    tables = report(found)
    write_whole(args.out / "refinement.md", tables.encode())
    print(tables)


if __name__ == "__main__":
    main()
