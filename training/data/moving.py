"""Strips of pictures for the app's first page: examples from the photo itself to an edit, step by step.

python -m training.data.moving --bundle BUNDLE --examples assets/examples --out assets/examples/moving \
    face2:age=-1.8 face3:smile=1.8 face4:glasses=2
"""

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image

from core.engine import Engine
from core.images import open_image
from core.placing import reduced
from core.session import EditRequest, View

# Pictures in a strip, the first of them the photo; enough that the eye sees one movement.
PICTURES = 17
SIDE, QUALITY = 224, 74
STEPS = 56


def strip(engine: Engine, photo: np.ndarray, slider: str, value: float, steps: int = STEPS) -> np.ndarray:
    """(SIDE, PICTURES * SIDE, 3) uint8: a square photo with its slider at zero, and on to `value` evenly."""
    portrait = reduced(engine.open_portrait(photo, steps=steps), SIDE)
    shares = np.linspace(0, 1, PICTURES)
    view = View("photo", "photo")
    return np.hstack(
        [engine.edit(portrait, EditRequest({slider: value * share}, view=view)) for share in shares]
    )


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.data.moving", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--examples", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("strips", nargs="+", metavar="NAME:SLIDER=VALUE")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    engine = Engine.load(args.bundle, "cpu")
    for word in args.strips:
        name, _, edit = word.partition(":")
        slider, _, value = edit.partition("=")
        pictures = strip(engine, open_image(args.examples / f"{name}.jpg"), slider, float(value))
        file = io.BytesIO()
        Image.fromarray(pictures).save(file, "WEBP", quality=QUALITY, method=6)
        end = "high" if float(value) > 0 else "low"
        (args.out / f"{name}-{slider}-{end}.webp").write_bytes(file.getvalue())


if __name__ == "__main__":
    main()
