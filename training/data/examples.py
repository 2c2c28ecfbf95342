"""Synthetic example photos for the app's first page, sampled from a bundle's generator.

python -m training.data.examples --bundle BUNDLE --contact sheet.jpg    # to choose from
python -m training.data.examples --bundle BUNDLE --seeds 192 32 76 60 193 10 --out assets/examples
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from core.engine import Engine
from core.images import encode_jpeg, save_image
from training.judging.sheets import grid

# Of each file; six of them travel with the repository.
LARGEST_BYTES = 150_000
QUALITIES = range(92, 60, -4)
CONTACTS, ROW, THUMBNAIL = 48, 8, (256, 256)


def jpeg(picture: np.ndarray) -> bytes:
    """(H, W, 3) uint8 as the best JPEG of at most LARGEST_BYTES, or else the smallest."""
    for quality in QUALITIES:
        content = encode_jpeg(picture, quality)
        if len(content) <= LARGEST_BYTES:
            break
    return content


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.data.examples", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--psi", type=float, default=0.8)
    parser.add_argument("--seeds", type=int, nargs="+", help="one example each")
    parser.add_argument("--out", type=Path, help="folder for the examples")
    parser.add_argument("--contact", type=Path, help=f"write a sheet of seeds 0 to {CONTACTS - 1} instead")
    args = parser.parse_args(argv)
    if not args.contact and not (args.seeds and args.out):
        parser.error("give --seeds and --out, or --contact")
    engine = Engine.load(args.bundle, "cpu")
    if args.contact:
        faces = [engine.samples(1, seed, args.psi)[0] for seed in range(CONTACTS)]
        small = [cv2.resize(face, THUMBNAIL, interpolation=cv2.INTER_AREA) for face in faces]
        rows = [np.stack(small[i : i + ROW]) for i in range(0, CONTACTS, ROW)]
        save_image(grid(rows), args.contact)
        return
    args.out.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(args.seeds, start=1):
        face = engine.samples(1, seed, args.psi)[0]
        if not engine.find_faces(face):
            raise SystemExit(f"No face is found in the example of seed {seed}; choose another.")
        (args.out / f"face{number}.jpg").write_bytes(jpeg(face))


if __name__ == "__main__":
    main()
