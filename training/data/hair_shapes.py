"""Where a face's hair lies and how it falls: more than a length, for what brings hair to another face.

    python -m training.data.hair_shapes --faces gen --parser parser.safetensors --out shapes

`--faces` is a folder of `training.data.sampled`; `--out` gets NNN.npy, (N, SHAPE) float32, for each shard.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch

from training.data.label import Parsed
from training.data.mask_measures import HAIR
from training.data.sampled import read_part, shard_files

# The outline: so many squares on a side, each with the share of it that is hair.
SQUARES = 16
TEXTURES = ("roughness", "strands", "upright")
SHAPE = SQUARES**2 + len(TEXTURES)
# Hair enough to say how it falls, as a share of the picture.
LEAST = 0.01


def hair_shape(picture: np.ndarray, hair: np.ndarray) -> np.ndarray:
    """(SHAPE,) float32: the outline, row by row, then `textures`.

    picture: HWC uint8 RGB; hair: (H, W) in [0, 1], how likely each pixel is hair.
    """
    outline = cv2.resize(hair.astype(np.float32), (SQUARES, SQUARES), interpolation=cv2.INTER_AREA)
    return np.concatenate([outline.ravel(), textures(picture, hair)]).astype(np.float32)


def textures(picture: np.ndarray, hair: np.ndarray) -> np.ndarray:
    """(3,): TEXTURES of the hair, NaN where there is too little of it.

    roughness: log of the mean step of lightness between neighbours; strands, in [0, 1]: how much its steps
    agree on a direction within a few pixels (the structure tensor's coherence), less in curls; upright, in
    [-1, 1]: 1 where all strands hang straight down, -1 where they lie across.
    """
    inside = hair > 0.8
    if inside.mean() < LEAST:
        return np.full(len(TEXTURES), np.nan)
    light = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[..., 0]
    dx, dy = cv2.Sobel(light, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(light, cv2.CV_32F, 0, 1) / 8
    xx, yy, xy = (cv2.GaussianBlur(product, (0, 0), 3.0)[inside] for product in (dx * dx, dy * dy, dx * dy))
    energy = xx + yy + 1e-6
    agreed = np.hypot(xx - yy, 2 * xy) / energy
    return np.array([np.log(energy).mean() / 2, agreed.mean(), ((xx - yy) / energy).mean()])


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.data.hair_shapes", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--faces", type=Path, required=True, help="shards of sampled faces")
    parser.add_argument("--parser", type=Path, required=True, help="what training.loops.parser wrote")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    parse = Parsed(args.parser)
    args.out.mkdir(parents=True, exist_ok=True)
    for shard in shard_files(args.faces):
        path = args.out / f"{shard.stem}.npy"
        if not path.exists():
            pictures = read_part(shard, "pictures")
            np.save(path, np.stack([hair_shape(picture, parse(picture)[HAIR]) for picture in pictures]))
            print(path, flush=True)


if __name__ == "__main__":
    main()
