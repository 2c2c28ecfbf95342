"""What a map of CelebAMask-HQ's classes says of a face: hair, brows, and what is worn."""

import cv2
import numpy as np

from core.models.face_parser import CLASSES

HAIR, SKIN, HAT = (CLASSES.index(name) for name in ("hair", "skin", "hat"))
BROWS = tuple(CLASSES.index(f"{side} brow") for side in ("left", "right"))
LIPS = tuple(CLASSES.index(f"{side} lip") for side in ("upper", "lower"))
WORN = {"glasses": CLASSES.index("glasses"), "hat": HAT, "earrings": CLASSES.index("earring")}
MASK_MEASURES = ("bangs", "hair_length", "bald", "brow_thickness", *WORN)
# What is worn is worn if it covers so much of the square of the eyes' distance; full at so many times that.
LEAST, FULL = 0.01, 8.0


def mask_measures(mask: np.ndarray, landmarks: np.ndarray) -> dict[str, float]:
    """The numbers of `MASK_MEASURES`, in [0, 1] but the brows' thickness.

    mask: (H, W) classes; landmarks: (68, 2), iBUG's, in its pixels. bangs: the share of the forehead that
    hair covers; hair_length: of the picture below the mouth; bald: how much of what is above the brows and
    head is no hair (NaN under a hat); brow_thickness: brows' area over their length squared; what is worn:
    how much of it there is, 1 for plenty.
    """
    eyes = float(np.linalg.norm(landmarks[36:42].mean(0) - landmarks[42:48].mean(0)))
    brow, mouth = (round(float(landmarks[part, 1].mean())) for part in (slice(17, 27), slice(48, 68)))
    above, below = mask[: max(brow, 0)], mask[min(max(mouth, 0), len(mask) - 1) :]
    hair, skin = int((above == HAIR).sum()), int((above == SKIN).sum())
    length = np.linalg.norm(landmarks[17] - landmarks[21]) + np.linalg.norm(landmarks[22] - landmarks[26])
    worn = {name: float((mask == number).sum()) / eyes**2 / LEAST for name, number in WORN.items()}
    bare = skin / (hair + skin) if hair + skin else np.nan
    return {
        "bangs": fringe(mask, landmarks),
        "hair_length": float((below == HAIR).mean()),
        "bald": np.nan if worn["hat"] >= 1 else bare,
        "brow_thickness": float(np.isin(mask, BROWS).sum() / (length / 2) ** 2),
        **{name: min(1.0, np.log1p(amount) / np.log1p(FULL)) for name, amount in worn.items()},
    }


def fringe(mask: np.ndarray, landmarks: np.ndarray) -> float:
    """The share of the forehead that hair covers: of the square on the brows, as high as the nose is long."""
    right, left = landmarks[17:22].mean(0), landmarks[22:27].mean(0)
    up = landmarks[27] - landmarks[33]
    area = np.zeros(mask.shape, np.uint8)
    cv2.fillConvexPoly(area, np.rint(np.stack([right, left, left + up, right + up])).astype(np.int32), 1)
    return float((mask[area > 0] == HAIR).mean()) if area.any() else 0.0
