"""Does a slider do what it says, and does the person stay: judged in the edited pictures."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch

from core.faces.judge import landmarks_anew
from training.judging.faces import Opened
from training.judging.judge import Judge, judge_pictures

# What geometry tells better than any network; all other attributes are the judge network's.
BY_LANDMARKS = ("smile", "mouth_open", "eyes_open", "brow_raise", "yaw", "pitch", "face_width")
# Turned heads have their points elsewhere than the photo.
TURNING = ("yaw", "pitch")
VALUE = 2.0

Figures = dict[str, float | str]


def landmark_columns(
    pictures: np.ndarray, originals: np.ndarray, names: Iterable[str]
) -> dict[str, np.ndarray]:
    """(N,) scores by the landmarks of these pictures.

    pictures: (N, R, R, 3) uint8; originals: (N, 68, 2), landmarks of the unedited photo in the same pixels.
    Landmarks are found anew in the bounding box of the originals, so that a picture and its edit differ in
    what they show, not in where a detector looked.
    """
    from core.faces.alignment import find_landmarks
    from training.data.scores import landmark_scores

    rows = []
    for picture, points in zip(pictures, originals, strict=True):
        (left, top), (right, bottom) = np.rint(points.min(0)), np.rint(points.max(0))
        box = (int(left), int(top), int(right), int(bottom))
        rows.append(landmark_scores(find_landmarks(picture, box)))
    return {name: np.array([row[name] for row in rows]) for name in names}


def points_after(slider: str, pictures: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """(N, 68, 2), where identity is judged in edits: the photos' landmarks, or of turned heads their own.

    pictures: (N, R, R, 3) uint8, moved by this slider; landmarks: (N, 68, 2), the photos', in their pixels.
    """
    if slider not in TURNING:
        return landmarks
    return np.stack([landmarks_anew(*pair) for pair in zip(pictures, landmarks, strict=True)])


class Judges:
    """Landmarks for geometry, the network for the rest; both in deviations between real people."""

    def __init__(self, judge: Judge, deviations: Mapping[str, float], device: torch.device) -> None:
        """deviations: of every attribute's judge, see `real_deviations`."""
        self.judge, self.deviations, self.device = judge, deviations, device

    def __call__(self, pictures: np.ndarray, opened: Opened, names: Iterable[str]) -> dict[str, np.ndarray]:
        """(N,) for each name. pictures: (N, R, R, 3) uint8, each face of `opened` in some edit."""
        names = tuple(names)
        by_landmarks = [name for name in names if name in BY_LANDMARKS]
        columns = landmark_columns(pictures, opened.landmarks, by_landmarks) if by_landmarks else {}
        if len(by_landmarks) < len(names):
            found = judge_pictures(self.judge, pictures, self.device)
            for name in names:
                if name not in BY_LANDMARKS:
                    columns[name] = found[:, self.judge.attributes.index(name)]
        return {name: columns[name] / self.deviations[name] for name in names}


def real_deviations(data: Path, judge: Judge, real: np.ndarray, device: torch.device) -> dict[str, float]:
    """How much each attribute varies between people, in its judge's units.

    By landmarks: the deviation of the score in the training split (the table in `data`). By the network:
    the deviation of its output over `real`, (N, S, S, 3) uint8.
    """
    found = judge_pictures(judge, real, device).std(0)
    deviations = {name: float(d) for name, d in zip(judge.attributes, found, strict=True)}
    with open(data / "faces.csv", newline="") as table:
        rows = [row for row in csv.DictReader(table) if row["split"] == "train"]
    scores = {name: float(np.std([float(row[name]) for row in rows])) for name in BY_LANDMARKS}
    return {**deviations, **scores}


def slider_figures(before: np.ndarray, up: np.ndarray, down: np.ndarray) -> Figures:
    """Shares and mean moves of one slider. All arguments (N,), its judge on inversion and both edits.

    A share counts faces whose judge moves strictly the right way; a move is positive where it is right.
    """
    up_share, down_share = float((up > before).mean()), float((down < before).mean())
    up_move, down_move = float((up - before).mean()), float((before - down).mean())
    return {
        "share": (up_share + down_share) / 2,
        "share_up": up_share,
        "share_down": down_share,
        "move": (up_move + down_move) / 2,
        "move_up": up_move,
        "move_down": down_move,
    }
