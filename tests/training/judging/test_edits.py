"""How edits are judged, against plain formulas on planted numbers."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from core.checkpoints import Bundle
from core.engine import Engine
from core.faces.alignment import find_faces
from core.images import to_array
from training.judging.edits import Judges, landmark_columns, points_after, real_deviations, slider_figures
from training.judging.faces import open_photos
from training.judging.judge import Judge, judge_pictures

CPU = torch.device("cpu")


def test_shares_count_faces_that_move_the_right_way() -> None:
    before = np.array([0.0, 1.0, 2.0, 3.0])
    figures = slider_figures(before, before + (1, 1, 0, -1), before - (2, 1, 1, 0))
    assert (figures["share_up"], figures["share_down"], figures["share"]) == (0.5, 0.75, 0.625)
    assert (figures["move_up"], figures["move_down"], figures["move"]) == (0.25, 1.0, 0.625)


def test_landmarks_are_found_anew_in_the_originals_box(tiny_engine: Engine, photo: np.ndarray) -> None:
    face = tiny_engine.find_faces(photo)[0]
    there = landmark_columns(photo[None], face.landmarks[None], ("smile", "yaw"))
    mirrored = face.landmarks * (-1, 1) + (photo.shape[1] - 1, 0)
    turned = landmark_columns(photo[None, :, ::-1].copy(), mirrored[None], ("smile", "yaw"))
    # dlib is not quite symmetric; the nose must point to the other side all the same.
    assert turned["yaw"][0] == pytest.approx(-there["yaw"][0], abs=0.1)
    assert turned["smile"][0] == pytest.approx(there["smile"][0], abs=0.1)


def test_identity_is_judged_at_the_photos_points_unless_the_slider_turns_the_head(photo: np.ndarray) -> None:
    face = find_faces(photo)[0]
    pictures = np.stack([photo, np.roll(photo, 10, axis=1)])
    landmarks = np.stack([face.landmarks, face.landmarks])
    assert points_after("smile", pictures, landmarks) is landmarks
    for slider in ("yaw", "pitch"):
        moved = points_after(slider, pictures, landmarks)[1] - landmarks[1]
        assert np.abs(moved.mean(0) - (10, 0)).max() < 3


def test_deviations_are_the_tables_or_the_judges(data: Path, judge: Judge) -> None:
    real = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    found = real_deviations(data, judge, real, CPU)
    assert found["smile"] == pytest.approx(np.std([0, 0.5, 1, 1.5]))
    assert found["young"] == pytest.approx(judge_pictures(judge, real, CPU)[:, 1].std())


def test_the_judges_share_the_work(
    tiny_bundle: Bundle, judge: Judge, photo: np.ndarray, tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), photo[..., ::-1])
    cv2.imwrite(str(tmp_path / "b.png"), np.zeros((64, 64, 3), np.uint8))
    warnings: list[str] = []
    files = [tmp_path / "a.png", tmp_path / "b.png"]
    opened, lost = open_photos(tiny_bundle, files, CPU, warnings.append)
    assert (opened.names, lost, warnings) == (("a.png",), 1, [])
    judges = Judges(judge, {"smile": 0.5, "young": 4.0}, CPU)
    found = judges(opened.crops, opened, ("young", "smile"))
    assert found["young"] == pytest.approx(judge_pictures(judge, opened.crops, CPU)[:, 1] / 4, rel=1e-5)
    by_hand = landmark_columns(opened.crops, opened.landmarks, ("smile",))["smile"]
    assert found["smile"] == pytest.approx(by_hand * 2)
    wanted = to_array(tiny_bundle.generator.synthesis(opened.codes))
    assert np.abs(opened.inversions.astype(int) - wanted).mean() < 2
