"""Synthetic example photos for the app's first page, sampled from a bundle's generator.

python -m training.data.examples --bundle checkpoints/portrait128 --seeds 1,2,3 --out assets/examples
python -m training.data.examples --bundle checkpoints/portrait128 --contact sheet.jpg    # to choose from
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from core.engine import Engine
from core.images import save_image

SIDE = 384


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.data.examples", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--psi", type=float, default=0.8)
    parser.add_argument("--seeds", default="", help="comma-separated; one example each")
    parser.add_argument("--out", type=Path, help="folder for the examples")
    parser.add_argument("--contact", type=Path, help="write a sheet of seeds 0 to 47 instead")
    args = parser.parse_args(argv)
    engine = Engine.load(args.bundle, "cpu")
    if args.contact:
        faces = [engine.samples(1, seed, args.psi)[0] for seed in range(48)]
        save_image(np.vstack([np.hstack(faces[i : i + 12]) for i in range(0, 48, 12)]), args.contact)
        return
    if not (args.seeds and args.out):
        parser.error("give --seeds and --out, or --contact")
    args.out.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(args.seeds.split(","), start=1):
        face = engine.samples(1, int(seed), args.psi)[0]
        example = cv2.resize(face, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        if not engine.find_faces(example):
            raise SystemExit(f"No face is found in the example of seed {seed}; choose another.")
        save_image(example, args.out / f"face{number}.jpg")


if __name__ == "__main__":
    main()
