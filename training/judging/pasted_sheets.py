"""Whole photos with the edit in place, to look at at full size: faces by sliders, through the engine.

    python -m training.judging.pasted_sheets --bundle checkpoints/portrait1024 --photos FOLDER --out FOLDER \\
        --sliders smile,yaw,age,gender,glasses,hair_brightness --opened DIR
    python -m training.judging.pasted_sheets ... --take hair_style,hair_colour --references 1,3,4,13,20,2

For every face `NAME.jpg`: the photo, then each slider at --value, or what is taken from each of these faces
of the gallery, in two rows, each at its own resolution up to --side; `sheet.jpg` shows all faces, a row each,
smaller, under the faces that are taken from. Names and values are written down
in `sheet.json`, since pictures carry no words.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from cli.photos import photos_in
from core.engine import Engine
from core.errors import NoFaceFound
from core.files import write_whole
from core.images import open_image, save_image
from core.references import Take
from core.session import EditRequest, Portrait, View
from training.judging.opened import CODES, PORTRAITS, file_name
from training.judging.sheets import grid, spread

SLIDERS = "smile,yaw,age,gender,glasses,hair_brightness"
WHOLE = View(start="photo", output="photo")
SMALL = 256

Edits = Mapping[str, EditRequest]  # by what the sheet calls them


def slid(sliders: list[str], value: float) -> Edits:
    """Each slider at `value`."""
    return {f"{name} {value:+g}": EditRequest({name: value}, view=WHOLE) for name in sliders}


def taken(engine: Engine, what: list[str], references: list[int]) -> Edits:
    """What is taken from each of these faces of the gallery, counted from 1."""
    takes = {number: Take(engine.gallery[number - 1], tuple(what)) for number in references}
    return {f"gallery:{number}": EditRequest(takes=(take,), view=WHOLE) for number, take in takes.items()}


def pasted(engine: Engine, portrait: Portrait, edits: Edits) -> list[np.ndarray]:
    """The photo, then the photo with each edit; (H, W, 3) uint8 each."""
    return [portrait.photo, *(engine.edit(portrait, request) for request in edits.values())]


def fitted(photo: np.ndarray, side: int) -> np.ndarray:
    """(side, side, 3): the photo within a white square, made smaller if it must be, never larger."""
    scale = min(1.0, side / max(photo.shape[:2]))
    height, width = (max(1, round(scale * length)) for length in photo.shape[:2])
    square = np.full((side, side, 3), 255, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    small = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA) if scale < 1 else photo
    square[top : top + height, left : left + width] = small
    return square


def sheet(pictures: list[np.ndarray], side: int, columns: int) -> np.ndarray:
    """Pictures of any size in rows of `columns`."""
    fit = [fitted(picture, side) for picture in pictures]
    return grid([np.stack(fit[i : i + columns]) for i in range(0, len(fit), columns)])


def opener(engine: Engine, seconds: float, known: Path | None) -> Callable[[Path], Portrait]:
    """How a photo is opened: by its code in `known` (`training.judging.opened`), else for `seconds`."""

    def opened(path: Path) -> Portrait:
        photo = open_image(path)
        if known is None:
            return engine.open_portrait(photo, seconds=seconds)
        code = np.load(known / CODES / f"{file_name({'source': PORTRAITS, 'name': path.stem})}.npy")
        return engine.resume(photo, engine.find_faces(photo), 0, code)

    return opened


def draw(
    engine: Engine,
    photos: list[Path],
    edits: Edits,
    opened: Callable[[Path], Portrait],
    side: int,
    out: Path,
) -> None:
    """Open each photo, edit it, write its sheet and the sheet of all."""
    shown: dict[str, list[np.ndarray]] = {}
    for path in tqdm(photos, "Photos", disable=None):
        try:
            portrait = opened(path)
        except NoFaceFound:
            print(f"{path.name}: no face")
            continue
        pictures = pasted(engine, portrait, edits)
        save_image(sheet(pictures, side, (len(pictures) + 1) // 2), out / f"{path.stem}.jpg")
        shown[path.name] = [fitted(picture, SMALL) for picture in pictures]
        engine.forget(portrait)
    if not shown:
        return
    rows = [np.stack(row) for row in shown.values()]
    given = [take.reference.picture for request in edits.values() for take in request.takes]
    if given:
        blank = np.full((SMALL, SMALL, 3), 255, np.uint8)
        rows.insert(0, np.stack([blank, *(fitted(picture, SMALL) for picture in given)]))
    save_image(grid(rows), out / "sheet.jpg")
    words = {"rows": list(shown), "columns": ["photo", *edits]}
    write_whole(out / "sheet.json", (json.dumps(words, indent=2) + "\n").encode())


def main(argv: list[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        prog="python -m training.judging.pasted_sheets", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True, help="folder of portraits")
    parser.add_argument("--sliders", default=SLIDERS)
    parser.add_argument("--value", type=float, default=2.0)
    parser.add_argument("--take", help="what is taken, in place of sliders, with commas between")
    parser.add_argument("--references", default="1,2,3,4,5,6", help="faces of the gallery to take it from")
    parser.add_argument("--seconds", type=float, default=12.0, help="of opening, each")
    parser.add_argument("--opened", type=Path, help="codes that training.judging.opened found")
    parser.add_argument("--faces", type=int, default=12, help="evenly spread over the folder")
    parser.add_argument("--side", type=int, default=1200, help="of a photo in its sheet at most")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    photos = photos_in(args.photos).photos
    chosen = [photos[i] for i in spread(len(photos), args.faces)]
    engine = Engine.load(args.bundle, args.device)
    opened = opener(engine, args.seconds, args.opened)
    edits = slid(args.sliders.split(","), args.value)
    if args.take:
        edits = taken(engine, args.take.split(","), [int(number) for number in args.references.split(",")])
    draw(engine, chosen, edits, opened, args.side, args.out)


if __name__ == "__main__":
    main()
