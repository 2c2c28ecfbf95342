"""A sheet of edits to look at: originals, inversions, and both ends of some sliders.

    python -m training.judging.edit_sheet --bundle checkpoints/portrait128 --photos FOLDER \
        --sliders smile,age,gender --out sheet.png
"""

import argparse
from pathlib import Path

import numpy as np

from core.engine import Engine
from core.errors import NoFaceFound
from core.images import open_image, save_image
from core.session import EditRequest, View


def column(engine: Engine, photo: Path, requests: list[EditRequest]) -> np.ndarray:
    """One face from top to bottom: crop, inversion, then each edit."""
    portrait = engine.open_portrait(open_image(photo))
    return np.vstack([portrait.crop, portrait.inversion, *(engine.edit(portrait, r) for r in requests)])


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.judging.edit_sheet", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--sliders", default="smile,age,gender")
    parser.add_argument("--values", default="-2,2")
    parser.add_argument("--order", default="first")
    parser.add_argument("--start", default="inversion")
    parser.add_argument("--faces", type=int, default=12, help="evenly spread over the folder")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(argv)
    engine = Engine.load(args.bundle, "cpu")
    photos = sorted(p for p in args.photos.iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    requests = [
        EditRequest({name: float(value)}, order=args.order, view=View(args.start))
        for name in args.sliders.split(",")
        for value in args.values.split(",")
    ]
    columns: list[np.ndarray] = []
    for photo in photos[:: max(1, len(photos) // args.faces)][: args.faces]:
        try:
            columns.append(column(engine, photo, requests))
        except NoFaceFound:
            print(f"{photo.name}: no face")
    save_image(np.hstack(columns), args.out)


if __name__ == "__main__":
    main()
