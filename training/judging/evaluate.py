"""What the editor must show: inversions, sliders, identity and attribute dependency, with an outside judge.

    python -m training.judging.evaluate --data DIR --identity ID --judge JUDGE \
        --bundle checkpoints/portrait128 --photos FOLDER --out FOLDER

On the test split and, where given, on photos opened as a visitor would. FOLDER then holds `evaluation.json`
with all figures, `evaluation.md` with tables for the model card, and sheets to look at: `inversions.png`
and `sliders-NAME.png`, of the photos where there are any, since UTKFace's faces may not be shown.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from core.checkpoints import Bundle, load_bundle
from core.faces.judge import IdentityJudge
from training.data.packs import load
from training.judging.attribute_dependency import measure_dependency
from training.judging.edits import Figures, Judges, evaluate_sliders, real_deviations
from training.judging.faces import Opened, Order, open_photos, open_split
from training.judging.inversion import breakdown, groups, inversion_measures
from training.judging.judge import Judge, judge_pictures
from training.judging.sheets import inversion_sheet, slider_sheets
from training.judging.tables import report
from training.loops.loop import pick_device

DEPENDENCY_FACES = 100


def mean_row(rows: Mapping[str, Figures]) -> dict[str, float]:
    """Mean over sliders of every number."""
    numbers = [{k: v for k, v in row.items() if not isinstance(v, str)} for row in rows.values()]
    return {name: float(np.mean([row[name] for row in numbers])) for name in numbers[0]}


def dependency(bundle: Bundle, test: Opened, judge: Judge, device: torch.device) -> dict[str, Any]:
    """mean-AD on the first faces of the test split, sigma over all their inversions."""
    sigma = judge_pictures(judge, test.inversions, device).std(0)
    some = test.first(DEPENDENCY_FACES)
    return {"faces": len(some), **measure_dependency(bundle, some, judge, sigma, device)}


def evaluate(args: argparse.Namespace) -> dict[str, Any]:
    """Measure everything, write the sheets into `args.out`; returns the figures."""
    # Imported here, as in all that it calls: dlib is a need of evaluation alone.
    from cli.evaluate import photos_in

    device = pick_device(args.device)
    bundle = load_bundle(args.bundle, device)
    judge = Judge.load(args.judge).to(device)
    network = IdentityJudge.load(args.identity, device)
    faces = load(args.data, "test", args.limit)
    sets, no_face = {"test": open_split(bundle, faces, device)}, {}
    if args.photos:
        files = photos_in(args.photos)[: args.limit]
        sets["photos"], lost = open_photos(bundle, files, device, lambda words: print(words, file=sys.stderr))
        no_face[f"{len(files)} photos"] = lost
    shown = sets.get("photos", sets["test"])
    inversion_sheet(shown, args.out / "inversions.png")
    slider_sheets(bundle, shown, args.order, device, args.out)
    members = {"test": groups(faces)}
    judges = Judges(judge, real_deviations(args.data, judge, faces.images, device), device)
    inversion, sliders = {}, {}
    for name, opened in sets.items():
        inversion[name] = breakdown(inversion_measures(opened, network), members.get(name, {}))
        rows = evaluate_sliders(bundle, opened, judges, network, args.order, device)
        sliders[name] = {"sliders": rows, "mean": mean_row(rows)}
    return {
        "bundle": {"name": bundle.config.name, "version": bundle.config.version},
        "order": args.order,
        "torch": torch.__version__,
        "cpus": os.cpu_count(),
        "device": device.type,
        "no_face": no_face,
        "inversion": inversion,
        "sliders": sliders,
        "dependency": dependency(bundle, sets["test"], judge, device),
    }


def main(argv: list[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        prog="python -m training.judging.evaluate", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--identity", type=Path, required=True, help="MobileFaceNet weights (safetensors)")
    parser.add_argument("--judge", type=Path, required=True, help="what training.judging.judge wrote")
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--photos", type=Path, help="folder of portraits to evaluate as well")
    parser.add_argument("--out", type=Path, required=True, help="folder for figures and sheets")
    parser.add_argument(
        "--order", choices=get_args(Order), default="first", help="of the sliders' directions"
    )
    parser.add_argument("--limit", type=int, help="test faces, and photos (a rehearsal)")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    found = {"command": " ".join(["python -m training.judging.evaluate", *argv]), **evaluate(args)}
    text = json.dumps(found, indent=2, allow_nan=False)
    (args.out / "evaluation.json").write_text(text + "\n", encoding="utf-8")
    tables = report(found)
    (args.out / "evaluation.md").write_text(tables, encoding="utf-8")
    print(tables)


if __name__ == "__main__":
    main()
