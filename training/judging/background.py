"""How much an edit of the face changes behind the person, where nothing should.

    python -m training.judging.background --bundle checkpoints/portrait1024 --photos FOLDER --opened DIR \\
        --sliders smile,age,eyes_open,hair_brightness

Photos as `training.judging.pasted_sheets` opens them; each slider at --value, laid on the photo, within the
face's crop. Background is what the bundle's parser says is nobody, a few pixels away from anybody: in the
photo and in the edit, for hair may grow. Prints the mean change there in grey levels, by slider.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from cli.photos import photos_in
from core.checkpoints import load_bundle
from core.engine import Engine
from core.faces.parsing import Parsing
from core.images import to_tensor
from core.models.face_parser import CLASSES
from core.session import EditRequest, View
from training.judging.opened import PORTRAITS, file_name
from training.judging.pasted_sheets import opener

SLIDERS = "smile,age,eyes_open,hair_brightness"
LAID = View(start="photo", output="face")
AWAY = 4  # px of the parser's picture


def background(classes: np.ndarray, size: int) -> np.ndarray:
    """(SIDE, SIDE) numbers of CLASSES -> (size, size) bool: nobody, and AWAY from anybody."""
    nobody = (classes == CLASSES.index("background")).astype(np.uint8)
    kernel = np.ones((2 * AWAY + 1, 2 * AWAY + 1), np.uint8)
    # Beyond the picture is no person.
    eroded = cv2.erode(nobody, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    return cv2.resize(eroded, (size, size), interpolation=cv2.INTER_NEAREST) > 0


def change(before: np.ndarray, after: np.ndarray, where: np.ndarray) -> float | None:
    """Mean absolute difference of two pictures (S, S, 3) uint8, in grey levels; None where it is nowhere."""
    if not where.any():
        return None
    return float(np.abs(before[where].astype(np.int16) - after[where]).mean())


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.judging.background", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--opened", type=Path, help="what training.judging.opened wrote of them")
    parser.add_argument("--seconds", type=float, default=6.0, help="for each photo, without --opened")
    parser.add_argument("--sliders", type=lambda text: text.split(","), default=SLIDERS)
    parser.add_argument("--value", type=float, default=2.0)
    args = parser.parse_args(argv)
    bundle = load_bundle(args.bundle)
    if bundle.parser is None:
        parser.error("that bundle has no face parser")
    parsing = Parsing(bundle.parser, torch.device("cpu"), torch.float32)
    engine = Engine(bundle)
    opened = opener(engine, args.seconds, args.opened)
    found: dict[str, list[float]] = {name: [] for name in args.sliders}
    photos = photos_in(args.photos).photos
    if args.opened:
        known = {path.stem for path in (args.opened / "codes").glob("*.npy")}
        photos = tuple(p for p in photos if file_name({"source": PORTRAITS, "name": p.stem}) in known)
    for path in photos:
        portrait = opened(path)
        before = engine.edit(portrait, EditRequest(view=LAID))
        size = len(before)
        for name in args.sliders:
            after = engine.edit(portrait, EditRequest({name: args.value}, view=LAID))
            behind = [background(parsing.classes(to_tensor(x)), size) for x in (before, after)]
            changed = change(before, after, behind[0] & behind[1])
            if changed is not None:
                found[name].append(changed)
    for name, changes in found.items():
        print(
            f"{name:16} {len(changes)} photos: mean {np.mean(changes):.3f}, worst {max(changes):.3f} levels"
        )


if __name__ == "__main__":
    main()
