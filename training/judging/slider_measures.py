"""What dlib's 68 points and the colours between them say of an edit: judges that no label was made with.

Lengths are in units of the distance between the outer corners of the eyes; colours are CIELAB's L* (0 to
100).
"""

import cv2
import numpy as np

EYES = (range(36, 42), range(42, 48))
POINT_MEASURES = ("smile", "mouth_open", "eyes_open", "brows", "lips", "nose_width", "face_width")
COLOUR_MEASURES = ("skin_brightness", "side_light", "hair_brightness", "gaze")


def point_measures(points: np.ndarray) -> dict[str, float]:
    """The numbers of `POINT_MEASURES`. points: (68, 2), iBUG order, x right and y down."""
    eyes = _length(points, 36, 45)
    across = (points[45] - points[36]) / eyes
    up = np.array([across[1], -across[0]])
    lids = [
        (_length(points, a + 1, a + 5) + _length(points, a + 2, a + 4)) / 2 / _length(points, a, a + 3)
        for a in (36, 42)
    ]
    brows = (points[17:27].mean(0) - points[36:48].mean(0)) @ up
    return {
        "smile": _length(points, 48, 54) / eyes,
        "mouth_open": _length(points, 62, 66) / eyes,
        "eyes_open": float(np.mean(lids)),
        "brows": float(brows) / eyes,
        "lips": (_length(points, 51, 62) + _length(points, 66, 57)) / eyes,
        "nose_width": _length(points, 31, 35) / eyes,
        "face_width": (_length(points, 1, 15) + _length(points, 3, 13))
        / 2
        / np.sqrt(eyes * _length(points, 27, 33)),
    }


def colour_measures(picture: np.ndarray, points: np.ndarray, hair_at: np.ndarray) -> dict[str, float]:
    """The numbers of `COLOUR_MEASURES`.

    picture: HWC uint8 RGB; points: (68, 2) in its pixels; hair_at: (H, W) bool, where the unedited face has
    hair, so that a picture and its edit are looked at in the same place (`hair_place`).
    """
    lightness = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[..., 0]
    # Between the eye's outer corner, the nose's wing and the mouth's corner: the cheek.
    right, left = (
        _patch(lightness, points[list(corners)].mean(0)) for corners in ((36, 31, 48), (45, 35, 54))
    )
    return {
        "skin_brightness": (right + left) / 2,
        "side_light": left - right,
        "hair_brightness": float(lightness[hair_at].mean()) if hair_at.any() else float("nan"),
        "gaze": float(np.mean([_gaze(lightness, points[list(eye)]) for eye in EYES])),
    }


def hair_place(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(H, W) bool: where a face of these points (68, 2) has hair, found without a network.

    A ring above the forehead: between 1.05 and 1.35 face heights (brows to chin) up from the chin, as wide
    as the brows, and there the pixels that differ from the cheeks more than from each other's median.
    """
    lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    chin, brows = points[8], points[17:27].mean(0)
    up, half = brows - chin, (points[24] - points[19]) / 2
    low, high = chin + 1.42 * up, chin + 1.62 * up
    area = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillConvexPoly(
        area, np.rint(np.stack([low - half, low + half, high + half, high - half])).astype(np.int32), 1
    )
    skin = np.median([lab[tuple(_inside(points[i], lab.shape))] for i in (29, 30, 31, 35)], axis=0)
    place = area > 0
    if not place.any():
        return place
    hair = np.median(lab[place], 0)
    return place & (np.linalg.norm(lab - hair, axis=2) < np.linalg.norm(lab - skin, axis=2))


def _length(points: np.ndarray, a: int, b: int) -> float:
    return float(np.linalg.norm(points[a] - points[b]))


def _inside(point: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(row, column) of the pixel nearest to a point (x, y), within the picture."""
    return np.clip(np.rint(point[::-1]).astype(int), 0, np.array(shape[:2]) - 1)


def _patch(lightness: np.ndarray, at: np.ndarray, radius: int = 5) -> float:
    row, column = _inside(at, lightness.shape)
    return float(
        np.median(
            lightness[max(row - radius, 0) : row + radius + 1, max(column - radius, 0) : column + radius + 1]
        )
    )


def _gaze(lightness: np.ndarray, eye: np.ndarray) -> float:
    """Where the dark of an eye (6, 2) lies along it: -.5 at the picture's left corner, .5 at the right."""
    area = np.zeros(lightness.shape, np.uint8)
    cv2.fillConvexPoly(area, np.rint(eye * 16).astype(np.int32), 1, shift=4)
    rows, columns = np.nonzero(area)
    if len(rows) < 4:
        return 0.0
    values = lightness[rows, columns]
    dark = np.clip(np.median(values) - values, 0, None) + 1e-3
    centre = np.array([(columns * dark).sum(), (rows * dark).sum()]) / dark.sum()
    along = eye[3] - eye[0]
    return float((centre - eye[0]) @ along / (along @ along) - 0.5)
