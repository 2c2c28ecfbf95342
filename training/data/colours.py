"""Labels made of colours and of where the hair lies: skin, hair, light, background. Numpy and OpenCV
alone."""

import cv2
import numpy as np

# Points of FaceLandmarker's mesh on bare skin: both cheeks and the forehead's middle.
CHEEKS = {"right": (50, 205), "left": (280, 425)}
FOREHEAD_SKIN = (9, 151)
CHIN, LIP, TEMPLES = (199, 200, 175), (164, 167, 393), (127, 356)
EYES = (159, 145, 386, 374)  # lids, where dark glasses would lie
BROW_LINE, HAIRLINE = (105, 334), 10
LIPS, IRISES = (0, 37, 267, 17, 84, 314), (468, 473)
SURROUND = 16  # px of the small picture whose rim stands for hair, background and clothes
COLOUR_LABELS = (
    "skin_brightness",
    "skin_red",
    "skin_yellow",
    "side_light",
    "chin_shadow",
    "eye_shadow",
    "hair_brightness",
    "hair_red",
    "hair_yellow",
    "hair_area",
    "hair_length",
    "bangs",
    "lip_red",
    "iris_brightness",
    "iris_yellow",
    "hair_chroma",
    "exposure",
    "contrast",
    "warmth",
    "saturation",
)


def colour_labels(picture: np.ndarray, points: np.ndarray, hair: np.ndarray) -> dict[str, float]:
    """The numbers of `COLOUR_LABELS`: CIELAB units (L* 0 to 100) and shares of an area.

    picture: HWC uint8 RGB; points: (478, 2 or more), FaceLandmarker's x and y in its pixels; hair: (H, W) in
    [0, 1]. The hair's colour is NaN where there is too little of it (under 1 % of the picture).
    """
    lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    cheeks = {side: _patch(lab, points[list(at), :2]) for side, at in CHEEKS.items()}
    skin = (cheeks["right"] + cheeks["left"] + _patch(lab, points[list(FOREHEAD_SKIN), :2])) / 3
    chin = (_patch(lab, points[list(CHIN), :2]) + _patch(lab, points[list(LIP), :2])) / 2
    cheek = (cheeks["left"][0] + cheeks["right"][0]) / 2
    iris = _patch(lab, points[list(IRISES), :2], 2)
    is_hair = hair > 0.8
    colour = np.median(lab[is_hair], 0) if is_hair.mean() > 0.01 else np.full(3, np.nan)
    return {
        "skin_brightness": float(skin[0]),
        "skin_red": float(skin[1]),
        "skin_yellow": float(skin[2]),
        "side_light": float(cheeks["left"][0] - cheeks["right"][0]),
        "chin_shadow": float(cheek - chin[0]),
        "eye_shadow": float(cheek - _patch(lab, points[list(EYES), :2], 7)[0]),
        "hair_brightness": float(colour[0]),
        "hair_red": float(colour[1]),
        "hair_yellow": float(colour[2]),
        "hair_area": float(hair.mean()),
        "hair_length": float(hair[int(points[LIP[0], 1].clip(0, len(hair) - 1)) :].mean()),
        "bangs": _bangs(points, hair),
        "lip_red": float(_patch(lab, points[list(LIPS), :2], 1)[1] - skin[1]),
        "iris_brightness": float(iris[0]),
        "iris_yellow": float(iris[2]),
        "hair_chroma": float(np.hypot(colour[1], colour[2])),
        "exposure": float(lab[..., 0].mean()),
        "contrast": float(lab[..., 0].std()),
        "warmth": float(lab[..., 2].mean()),
        "saturation": float(np.hypot(lab[..., 1], lab[..., 2]).mean()),
    }


def surround(picture: np.ndarray) -> np.ndarray:
    """The rim of the picture made 16 px by area, in [0, 1]: a vector of what is not the face.

    Columns 0 to 2 and 13 to 15 whole, and the top two rows between them.
    """
    small = cv2.resize(picture, (SURROUND, SURROUND), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    rim = np.zeros((SURROUND, SURROUND), bool)
    rim[:, :3] = rim[:, -3:] = rim[:2] = True
    return small[rim].ravel()


def _patch(lab: np.ndarray, points: np.ndarray, radius: int = 4) -> np.ndarray:
    """(3,) median colour of the squares around `points` (N, 2), where they lie in the picture."""
    height, width = lab.shape[:2]
    found = []
    for x, y in np.rint(points).astype(int):
        x, y = min(max(x, radius), width - 1 - radius), min(max(y, radius), height - 1 - radius)
        found.append(lab[y - radius : y + radius + 1, x - radius : x + radius + 1].reshape(-1, 3))
    return np.median(np.concatenate(found), 0)


def _bangs(points: np.ndarray, hair: np.ndarray) -> float:
    """The share of the forehead, from the brows half the way up to the hairline, that hair covers."""
    right, left = points[list(BROW_LINE), :2]
    up = (points[HAIRLINE, :2] - (right + left) / 2) * 0.55
    area = np.zeros(hair.shape, np.uint8)
    cv2.fillConvexPoly(area, np.rint(np.stack([right, left, left + up, right + up])).astype(np.int32), 1)
    return float(hair[area > 0].mean()) if area.any() else 0.0
