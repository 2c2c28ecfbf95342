"""What dlib's 68 points and the colours between them say of an edit: judges that no label was made with.

Lengths are in units of the distance between the outer corners of the eyes; colours are CIELAB's (L* 0 to
100), those of the whole picture YCrCb's (0 to 255).
"""

import cv2
import numpy as np

EYES = (range(36, 42), range(42, 48))
POINT_MEASURES = (
    "smile",
    "mouth_open",
    "mouth_corners",
    "eyes_open",
    "wink",
    "brows",
    "brow_gap",
    "brow_tilt",
    "lips",
    "nose_width",
    "nose_length",
    "philtrum",
    "chin",
    "face_width",
    "jaw",
    "cheekbones",
    "eye_size",
    "eye_distance",
)
COLOUR_MEASURES = (
    "skin_brightness",
    "blush",
    "side_light",
    "hair_brightness",
    "lip_red",
    "iris",
    "eye_shadow",
    "gaze",
    "gaze_up",
    "exposure",
    "contrast",
    "warmth",
    "saturation",
)


def point_measures(points: np.ndarray) -> dict[str, float]:
    """The numbers of `POINT_MEASURES`. points: (68, 2), iBUG order, x right and y down.

    smile: the mouth's width; mouth_corners: how high above the lips' middle; wink: how much further the
    person's right eye is open; brow_gap: between their inner ends; brow_tilt: how high those are above the
    outer ends; jaw: its width; cheekbones: the face's width there over the jaw's.
    """
    eyes = _length(points, 36, 45)
    across = (points[45] - points[36]) / eyes
    up = np.array([across[1], -across[0]])
    lids = [
        (_length(points, a + 1, a + 5) + _length(points, a + 2, a + 4)) / 2 / _length(points, a, a + 3)
        for a in (36, 42)
    ]

    def rise(high: list[int], low: list[int]) -> float:
        return float((points[high].mean(0) - points[low].mean(0)) @ up) / eyes

    nose, jaw = _length(points, 27, 33), _length(points, 4, 12)
    return {
        "smile": _length(points, 48, 54) / eyes,
        "mouth_open": _length(points, 62, 66) / eyes,
        "mouth_corners": rise([48, 54], [51, 57]),
        "eyes_open": float(np.mean(lids)),
        "wink": lids[0] - lids[1],
        "brows": rise([*range(17, 27)], [*range(36, 48)]),
        "brow_gap": _length(points, 21, 22) / eyes,
        "brow_tilt": rise([21, 22], [17, 26]),
        "lips": (_length(points, 51, 62) + _length(points, 66, 57)) / eyes,
        "nose_width": _length(points, 31, 35) / eyes,
        "nose_length": nose / eyes,
        "philtrum": _length(points, 33, 51) / eyes,
        "chin": _length(points, 57, 8) / eyes,
        "face_width": (_length(points, 1, 15) + _length(points, 3, 13)) / 2 / float(np.sqrt(eyes * nose)),
        "jaw": jaw / eyes,
        "cheekbones": _length(points, 2, 14) / jaw,
        "eye_size": (_length(points, 36, 39) + _length(points, 42, 45)) / 2 / float(np.sqrt(eyes * nose)),
        "eye_distance": _length(points, 39, 42) / eyes,
    }


def colour_measures(picture: np.ndarray, points: np.ndarray, hair_at: np.ndarray) -> dict[str, float]:
    """The numbers of `COLOUR_MEASURES`.

    picture: HWC uint8 RGB; points: (68, 2) in its pixels; hair_at: (H, W) bool, where the unedited face has
    hair, so that a picture and its edit are looked at in the same place (`hair_place`).
    """
    lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    # Between the eye's outer corner, the nose's wing and the mouth's corner: the cheek.
    right, left = (_patch(lab, points[list(corners)].mean(0)) for corners in ((36, 31, 48), (45, 35, 54)))
    cheeks = (right + left) / 2
    lips = (_patch(lab, (points[51] + points[62]) / 2, 1) + _patch(lab, (points[57] + points[66]) / 2, 1)) / 2
    lids = [_inside_of(lab, points[list(eye)]) for eye in EYES]
    looks = np.mean([_gaze(lab[..., 0], points[list(eye)]) for eye in EYES], 0)
    luma, red, blue = (
        cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb)[..., i].astype(np.float32) for i in range(3)
    )
    return {
        "skin_brightness": float(cheeks[0]),
        "blush": float(cheeks[1]),
        "side_light": float(left[0] - right[0]),
        "hair_brightness": float(lab[hair_at][:, 0].mean()) if hair_at.any() else float("nan"),
        "lip_red": float(lips[1] - cheeks[1]),
        # The lower third of an eye's lightness is the iris' and the pupil's.
        "iris": float(np.mean([np.quantile(eye[:, 0], 0.3) for eye in lids])),
        "eye_shadow": float(cheeks[0] - np.mean([eye[:, 0].mean() for eye in lids])),
        "gaze": float(looks[0]),
        "gaze_up": float(looks[1]),
        "exposure": float(luma.mean()),
        "contrast": float(luma.std()),
        "warmth": float((red - blue).mean()),
        "saturation": float(np.hypot(red - 128, blue - 128).mean()),
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


def _patch(lab: np.ndarray, at: np.ndarray, radius: int = 5) -> np.ndarray:
    """(3,) median colour of the square around a point (x, y)."""
    row, column = _inside(at, lab.shape)
    rows, columns = (slice(max(i - radius, 0), i + radius + 1) for i in (row, column))
    return np.median(lab[rows, columns].reshape(-1, 3), 0)


def _area(shape: tuple[int, ...], outline: np.ndarray) -> np.ndarray:
    """(H, W) bool: within the outline (N, 2)."""
    area = np.zeros(shape[:2], np.uint8)
    cv2.fillConvexPoly(area, np.rint(outline * 16).astype(np.int32), 1, shift=4)
    return area > 0


def _inside_of(lab: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """(N, 3) colours within the outline, or the one at its middle."""
    found = lab[_area(lab.shape, outline)]
    return found if len(found) else lab[tuple(_inside(outline.mean(0), lab.shape))][None]


def _gaze(lightness: np.ndarray, eye: np.ndarray) -> tuple[float, float]:
    """Where the dark of an eye (6, 2) lies along it, -.5 at the picture's left corner and .5 at the right.

    And how high above the line of its corners, in the same unit.
    """
    rows, columns = np.nonzero(_area(lightness.shape, eye))
    if len(rows) < 4:
        return 0.0, 0.0
    values = lightness[rows, columns]
    dark = np.clip(np.median(values) - values, 0, None) + 1e-3
    centre = np.array([(columns * dark).sum(), (rows * dark).sum()]) / dark.sum()
    along = eye[3] - eye[0]
    up = np.array([along[1], -along[0]])
    reach = centre - eye[0]
    return float(reach @ along / (along @ along) - 0.5), float(reach @ up / (along @ along))
