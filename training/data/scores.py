"""Attribute scores measured from landmarks and pixels. Every score grows with its name."""

import numpy as np

# iBUG 68: jaw 0-16, brows 17-26, nose 27-35, eyes 36-47, lips 48-67.


def landmark_scores(points: np.ndarray) -> dict[str, float]:
    """Scores that need geometry alone.

    points: (68, 2) in the aligned crop (roll removed), any scale: all scores are ratios.
    """
    eyes = points[36:48].mean(0)
    left_eye, right_eye = points[36:42].mean(0), points[42:48].mean(0)
    between_eyes = float(np.hypot(*(right_eye - left_eye)))
    corners = (points[48] + points[54]) / 2
    eye_to_mouth = float(corners[1] - eyes[1]) or 1e-6
    lip_gap = (points[67] - points[61] + points[66] - points[62] + points[65] - points[63])[1] / 3
    lips_middle = (points[51, 1] + points[57, 1]) / 2
    left_jaw, right_jaw = points[2, 0], points[14, 0]
    nose = points[30]

    def eye_opening(eye: np.ndarray) -> float:
        width = float(np.hypot(*(eye[3] - eye[0]))) or 1e-6
        return float((eye[4:6, 1].sum() - eye[1:3, 1].sum()) / 2 / width)

    width = float(np.hypot(*(points[54] - points[48]))) / between_eyes
    lift = float(lips_middle - corners[1]) / eye_to_mouth
    return {
        "smile": width + 2.0 * lift,
        "mouth_open": float(-lip_gap if lip_gap < 0 else lip_gap) / eye_to_mouth,
        "eyes_open": (eye_opening(points[36:42]) + eye_opening(points[42:48])) / 2,
        "brow_raise": float(eyes[1] - points[17:27, 1].mean()) / eye_to_mouth,
        # Positive when the nose points to the picture's right.
        "yaw": float((nose[0] - left_jaw) - (right_jaw - nose[0])) / float(right_jaw - left_jaw),
        "pitch": float(nose[1] - eyes[1]) / eye_to_mouth,
        "face_width": float(right_jaw - left_jaw) / eye_to_mouth,
    }


def pixel_scores(face: np.ndarray, points: np.ndarray) -> dict[str, float]:
    """Scores that need colours.

    face: (S, S, 3) uint8 RGB aligned crop; points: (68, 2) in its pixels.
    """
    luma = face.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32) / 255
    size = len(face)

    def patch(x: float, y: float, radius: float) -> float:
        x0, x1 = (int(np.clip(v, 0, size - 1)) for v in (x - radius, x + radius))
        y0, y1 = (int(np.clip(v, 0, size - 1)) for v in (y - radius, y + radius))
        return float(luma[y0 : y1 + 1, x0 : x1 + 1].mean())

    radius = 0.05 * size
    cheeks = []
    for eye, mouth in ((points[36:42].mean(0), points[48]), (points[42:48].mean(0), points[54])):
        x, y = (eye + mouth) / 2
        cheeks.append(patch(x, y, radius))
    nose = points[27:31].mean(0)
    # Above the brows lie forehead and, where the crop shows any, hair: its darkest fifth is the hair.
    above = luma[: max(1, int(np.clip(points[17:27, 1].min() - radius, 1, size)))]
    return {
        "brightness": (sum(cheeks) + patch(nose[0], nose[1], radius)) / 3,
        "light_right": cheeks[1] - cheeks[0],
        "hair_darkness": 1 - float(np.quantile(above, 0.2)),
    }
