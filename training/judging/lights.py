"""What an edit adds in dark and coloured light, against the same edit made in good light and then darkened.

    python -m training.judging.lights --bundle checkpoints/portrait1024 --photos FOLDER --out FOLDER

Each photo is opened as it is and, by its linear light, under lamps: a fifth of the exposure, red, blue. Lamp
on the edited photo less lamp on the photo is what the edit should add; the mean of how far it is off, in grey
levels, is told over the crop and where either changes anything by more than two. `NAME.png` shows photo, edit
and what it should be, a row each lamp.
"""

import argparse
import json
import sys
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from cli import options
from cli.photos import photos_in
from core.engine import Engine
from core.errors import NoFaceFound
from core.files import write_whole
from core.images import open_image, save_image
from core.session import EditRequest, Portrait, View
from training.judging.sheets import grid, spread

LAMPS = {"fifth": (0.2, 0.2, 0.2), "red": (1.5, 0.14, 0.092), "blue": (0.12, 0.28, 1.35)}
EDITS = "smile,eyes_open,age"
WHOLE = View(start="photo", output="photo")
# Photos are looked at with this longest side; a difference of so many levels is none.
SIDE, NOTHING = 640, 2
# Seconds that an opening may take: its steps are what is compared, on whatever machine.
PATIENCE = 3600


def under(photo: np.ndarray, lamp: tuple[float, ...]) -> np.ndarray:
    """(H, W, 3) uint8 sRGB with its linear light multiplied, clipped at white."""
    value = photo / 255.0
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4) * lamp
    linear = linear.clip(0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(255 * encoded).astype(np.uint8)


def off(added: np.ndarray, asked: np.ndarray, box: tuple[slice, slice]) -> tuple[float, float]:
    """Mean distance of two changes (H, W, 3) in the box, and where either is one."""
    added, asked = added[box], asked[box]
    changed = np.maximum(np.abs(added), np.abs(asked)).max(axis=2) > NOTHING
    apart = np.abs(added - asked).mean(axis=2)
    return float(apart.mean()), float(apart[changed].mean()) if changed.any() else 0.0


def crop_box(portrait: Portrait) -> tuple[slice, slice]:
    """Rows and columns of an upright crop in its photo."""
    (x, y), half = portrait.transform.center, portrait.transform.side / 2
    rows, columns = (slice(max(0, round(v - half)), max(0, round(v + half))) for v in (y, x))
    return rows, columns


def judged(
    engine: Engine, photo: np.ndarray, edits: list[str], value: float, steps: int
) -> tuple[dict[str, list[float]], list[np.ndarray]]:
    """By lamp and edit the two figures of `off`; rows of the sheet."""
    requests = {name: EditRequest({name: value}, view=WHOLE) for name in edits}
    good = engine.open_portrait(photo, seconds=PATIENCE, steps=steps)
    well = {name: engine.edit(good, request) for name, request in requests.items()}
    found, rows = {}, []
    for lamp, factors in LAMPS.items():
        dim = under(photo, factors)
        portrait = engine.open_portrait(dim, seconds=PATIENCE, steps=steps)
        for name, request in requests.items():
            edited, asked = engine.edit(portrait, request), under(well[name], factors)
            found[f"{lamp} {name}"] = [*off(edited - 1.0 * dim, asked - 1.0 * dim, crop_box(good))]
            if name == edits[0]:
                rows.append(np.stack([dim, edited, asked]))
        engine.forget(portrait)
    engine.forget(good)
    return found, rows


def main(argv: list[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        prog="python -m training.judging.lights", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True, help="folder of portraits in good light")
    parser.add_argument("--sliders", default=EDITS)
    parser.add_argument("--value", type=float, default=2.0)
    parser.add_argument("--steps", type=options.steps, default=48, help="of opening, each")
    parser.add_argument("--faces", type=int, default=4, help="evenly spread over the folder")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    photos = photos_in(args.photos).photos
    engine = Engine.load(args.bundle, args.device)
    figures: dict[str, list[list[float]]] = {}
    for path in tqdm([photos[i] for i in spread(len(photos), args.faces)], "Photos", disable=None):
        photo = open_image(path)
        scale = min(1.0, SIDE / max(photo.shape[:2]))
        photo = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        try:
            found, rows = judged(engine, photo, args.sliders.split(","), args.value, args.steps)
        except NoFaceFound:
            print(f"{path.name}: no face")
            continue
        for name, pair in found.items():
            figures.setdefault(name, []).append(pair)
        save_image(grid(rows), args.out / f"{path.stem}.png")
    means = {name: np.mean(pairs, axis=0).tolist() for name, pairs in figures.items()}
    for name, (crop, changed) in means.items():
        print(f"{name:18} {crop:6.2f} over the crop {changed:6.2f} where anything changes")
    write_whole(args.out / "lights.json", (json.dumps(means, indent=2) + "\n").encode())


if __name__ == "__main__":
    main()
