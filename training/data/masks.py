"""CelebAMask-HQ's masks beside aligned faces (`training.data.aligned`): masks/NAME.png, CLASSES by number."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from core.models.face_parser import CLASSES

FOLDER = "masks"
# What changes sides when a face is mirrored.
PAIRS = tuple(
    (CLASSES.index(f"left {part}"), CLASSES.index(f"right {part}")) for part in ("eye", "brow", "ear")
)
# Of the random crops: the largest turn in degrees, share of the side that they move, and of their size.
TURN, MOVE, SIZE = 12.0, 0.06, 0.15


def mask_names(folder: Path, rows: list[dict[str, str]], split: str) -> list[str]:
    """Names of this split's faces that have a mask in the folder, in the table's order."""
    there = {path.stem for path in (folder / FOLDER).glob("*.png")}
    return [row["name"] for row in rows if row["split"] == split and row["name"] in there]


def read_mask(folder: Path, name: str) -> np.ndarray:
    """(S, S) uint8. Raises: ValueError where a number is no class's."""
    with Image.open(folder / FOLDER / f"{name}.png") as image:
        mask = np.asarray(image)
    if mask.ndim != 2 or mask.max() >= len(CLASSES):
        raise ValueError(f"The mask of {name} holds other numbers than those of {len(CLASSES)} classes")
    return mask.astype(np.uint8)


def mirrored(crop: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(S, S, 3), (S, S): left for right, in the classes too."""
    swap = np.arange(len(CLASSES), dtype=np.uint8)
    for left, right in PAIRS:
        swap[left], swap[right] = right, left
    return np.ascontiguousarray(crop[:, ::-1]), np.ascontiguousarray(swap[mask[:, ::-1]])


def moved(crop: np.ndarray, mask: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A bit turned, moved and scaled about its middle, both alike; beyond the crop its edge goes on."""
    side = crop.shape[0]
    turn, scale = random.uniform(-TURN, TURN), 1 + random.uniform(-SIZE, SIZE)
    matrix = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), turn, scale)
    matrix[:, 2] += random.uniform(-MOVE, MOVE, 2) * side
    size = side, side
    border = cv2.BORDER_REPLICATE
    return (
        cv2.warpAffine(crop, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border),
        cv2.warpAffine(mask, matrix, size, flags=cv2.INTER_NEAREST, borderMode=border),
    )
