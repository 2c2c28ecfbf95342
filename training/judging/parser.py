"""How well the face parser parses: intersection over union of the test split's masks, pooled per class.

    python -m training.judging.parser --faces FACES --weights parser.safetensors

FACES: the unpacked folder of aligned faces with masks/. Left and right count as one class, lips as mouth;
"mean" is over skin, hair, mouth, brows, eyes, nose and neck. A class that is nowhere has no figure (nan).
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from core.images import to_tensor
from core.models.face_parser import CLASSES, FaceParser
from training.data.aligned import AlignedFaces
from training.data.masks import mask_names, read_mask

POOLED = {
    "skin": ("skin",),
    "hair": ("hair",),
    "mouth": ("mouth", "upper lip", "lower lip"),
    "brows": ("left brow", "right brow"),
    "eyes": ("left eye", "right eye"),
    "nose": ("nose",),
    "neck": ("neck",),
    "glasses": ("glasses",),
    "ears": ("left ear", "right ear"),
    "hat": ("hat",),
    "earring": ("earring",),
    "cloth": ("cloth",),
    "background": ("background",),
}
MEAN_OF = ("skin", "hair", "mouth", "brows", "eyes", "nose", "neck")


def intersections(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(2, len(POOLED)): pixels of each pooled class in both of (S, S) and (S, S), and in either."""
    counts = []
    for names in POOLED.values():
        numbers = [CLASSES.index(name) for name in names]
        a, b = np.isin(found, numbers), np.isin(wanted, numbers)
        counts.append(((a & b).sum(), (a | b).sum()))
    return np.array(counts, np.float64).T


def ious(sums: np.ndarray) -> dict[str, float]:
    """What `intersections` gave, added up: each class's IoU, and the mean; NaN of a class that is nowhere."""
    found = {name: float(a / b) if b else float("nan") for name, a, b in zip(POOLED, *sums, strict=True)}
    return {"mean": float(np.nanmean([found[name] for name in MEAN_OF])), **found}


def main(argv: Sequence[str] | None = None) -> None:
    arguments = argparse.ArgumentParser(
        prog="python -m training.judging.parser", description=__doc__.splitlines()[0]
    )
    arguments.add_argument("--faces", type=Path, required=True)
    arguments.add_argument("--weights", type=Path, required=True)
    arguments.add_argument("--split", choices=("test", "val"), default="test")
    args = arguments.parse_args(argv)
    parser = FaceParser().eval()
    parser.load_state_dict({name: tensor.float() for name, tensor in load_file(args.weights).items()})
    faces = AlignedFaces.open(args.faces)
    names = mask_names(args.faces, faces.rows, args.split)
    sums, seconds = np.zeros((2, len(POOLED))), []
    for name in names:
        picture = to_tensor(faces[name].crop)
        began = time.monotonic()
        with torch.inference_mode():
            found = parser.classes(picture)[0].numpy()
        seconds.append(time.monotonic() - began)
        sums += intersections(found, read_mask(args.faces, name))
    print(f"{len(names)} masks, {1000 * float(np.median(seconds)):.0f} ms a face")
    for name, iou in ious(sums).items():
        print(f"{name:10} {iou:.3f}")


if __name__ == "__main__":
    main()
