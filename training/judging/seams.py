"""Does paste-back show? The seams of some edits on a folder of portraits, and sheets to look at.

    python -m training.judging.seams --bundle BUNDLE --photos FOLDER --out FOLDER

`core.paste.seam_measure` says what is measured: 1 is the photo itself, up to 1.1 passes. "afar" is the same
seen through a blur of two hundredths of the crop's side, where steps show that skin hides.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from core.engine import Engine
from core.errors import NoFaceFound
from core.faces.alignment import CropTransform, crop
from core.files import write_whole
from core.images import open_image, save_image
from core.paste.seam_measure import seam
from core.session import EditRequest, Portrait, View
from training.judging.tables import number, percent, table

SLIDERS = "smile,age,gender,mouth_open,hair_brightness,yaw,skin_brightness"
LIMIT = 1.1
AFAR = 0.02
# A sheet shows this much around the crop, each picture at this side.
MARGIN, SIDE = 1.35, 448


@dataclass(frozen=True)
class Paste:
    """One way of pasting one edit."""

    slider: str
    value: float
    start: str
    refine: str
    keep_detail: bool

    def request(self) -> EditRequest:
        return EditRequest(
            {self.slider: self.value},
            refine=self.refine,  # type: ignore[arg-type]  # checked by EditRequest itself
            view=View(self.start, "photo", self.keep_detail),  # type: ignore[arg-type]  # and by View
        )

    @property
    def style(self) -> str:
        return f"start {self.start}, refine {self.refine}, detail {'on' if self.keep_detail else 'off'}"


def pastes(sliders: list[str], values: list[float], refine: list[str]) -> list[Paste]:
    """Every edit in every style."""
    every = itertools.product(sliders, values, ("photo", "inversion"), refine, (True, False))
    return [Paste(*choice) for choice in every]


def seams(portrait: Portrait, pasted: np.ndarray) -> tuple[float, float]:
    """The seam close by and from afar."""
    where = (portrait.photo, pasted, portrait.transform, portrait.mask)
    return seam(*where), seam(*where, blur=AFAR * portrait.transform.side)


def summary(found: list[tuple[Paste, float, float]]) -> dict[str, dict[str, float]]:
    """By style, then by slider: share of pastes that pass, mean and worst of both figures."""
    rows: dict[str, list[tuple[float, float]]] = {}
    for paste, near, far in found:
        for name in (paste.style, f"{paste.slider} {paste.value:+g}"):
            rows.setdefault(name, []).append((near, far))
    result = {}
    for name in sorted(rows, key=lambda name: not name.startswith("start")):
        near, far = np.array(rows[name]).T
        result[name] = {
            "count": len(near),
            "pass": float((near <= LIMIT).mean()),
            "mean": float(near.mean()),
            "worst": float(near.max()),
            "afar_mean": float(far.mean()),
            "afar_worst": float(far.max()),
        }
    return result


def seam_table(figures: dict[str, dict[str, float]]) -> str:
    """`summary` as markdown."""
    rows = [
        (name, f"{row['count']:g}", percent(row["pass"]), *(number(row[k]) for k in list(row)[2:]))
        for name, row in figures.items()
    ]
    return table(("pastes", "count", f"seam <= {LIMIT}", "mean", "worst", "mean afar", "worst afar"), rows)


def view(photo: np.ndarray, portrait: Portrait) -> np.ndarray:
    """(SIDE, SIDE, 3): the face upright as it stands in the photo, with its surroundings."""
    around = CropTransform(portrait.transform.center, (portrait.transform.side / 2 * MARGIN, 0.0))
    return cv2.resize(crop(photo, around, 2 * SIDE), (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def opened(engine: Engine, photos: list[Path], refine: list[str]) -> Iterator[Portrait]:
    """A portrait for every photo with a face, its refinements computed."""
    for path in tqdm(photos, "Photos", disable=None):
        try:
            portrait = engine.open_portrait(open_image(path))
        except NoFaceFound:
            print(f"{path.name}: no face")
            continue
        for mode in refine:
            if mode != "off":
                portrait = engine.refine(portrait, mode)
        yield portrait


def evaluate(engine: Engine, photos: list[Path], every: list[Paste], sheets: int, out: Path) -> str:
    """Paste all, write `seams.json`, `seams.md` and a sheet for each of the first faces; the table."""
    found = []
    refine = sorted({paste.refine for paste in every})
    for number_, portrait in enumerate(opened(engine, photos, refine)):
        rows: dict[tuple[str, float], list[np.ndarray]] = {}
        for paste in every:
            pasted = engine.edit(portrait, paste.request())
            found.append((paste, *seams(portrait, pasted)))
            if number_ < sheets:
                row = rows.setdefault((paste.slider, paste.value), [view(portrait.photo, portrait)])
                row.append(view(pasted, portrait))
        if rows:
            sheet = np.vstack([np.hstack(row) for row in rows.values()])
            save_image(sheet, out / f"seams-{number_}.png")
    figures = summary(found)
    tables = seam_table(figures)
    write_whole(out / "seams.json", (json.dumps(figures, indent=2) + "\n").encode())
    write_whole(out / "seams.md", tables.encode())
    return tables


def main(argv: list[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        prog="python -m training.judging.seams", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True, help="folder of portraits")
    parser.add_argument("--sliders", default=SLIDERS)
    parser.add_argument("--values", default="-2,2")
    parser.add_argument("--refine", nargs="+", choices=("off", "fast", "best"), default=["off"])
    parser.add_argument("--limit", type=int, help="photos (a rehearsal)")
    parser.add_argument("--sheets", type=int, default=4, help="faces to draw: photo, then every style")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, required=True, help="folder for the table and the sheets")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    photos = sorted(p for p in args.photos.iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    every = pastes(args.sliders.split(","), [float(v) for v in args.values.split(",")], args.refine)
    engine = Engine.load(args.bundle, args.device)
    print(evaluate(engine, photos[: args.limit], every, args.sheets, args.out))


if __name__ == "__main__":
    main()
