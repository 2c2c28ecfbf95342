"""Evaluation of reference editing: its measures by hand, and the whole of it on a tiny model."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from safetensors.torch import save_file

from core.faces.judge import MobileFaceNet
from training.judging import faces as evaluate_faces
from training.judging import references as evaluate_references
from training.judging.judge import Judge
from training.judging.references import CHANGED, diversity, random_pairs, report, towards


def test_nobody_is_paired_with_themselves() -> None:
    pairs = random_pairs(5, 200, 0)
    assert pairs.shape == (200, 2)
    assert (pairs[:, 0] != pairs[:, 1]).all()
    assert set(pairs.ravel().tolist()) == set(range(5))
    assert (pairs == random_pairs(5, 200, 0)).all()


def test_only_pairs_that_differ_say_which_way_is_right() -> None:
    before = np.array([0.0, 0.0, 2.0, 1.0])
    wanted = np.array([2.0, -1.0, 0.0, 1.4])  # the last is too near to say anything
    after = np.array([1.0, 0.5, 1.5, 9.0])
    found = towards(before, after, wanted)
    assert (found["pairs"], found["left_out"]) == (3, 1)
    assert found["share"] == pytest.approx(2 / 3)
    assert found["move"] == pytest.approx((1 - 0.5 + 0.5) / 3)
    assert found["reach"] == pytest.approx(found["move"] / ((2 + 1 + 2) / 3))


def test_diversity_looks_at_the_edited_region_alone() -> None:
    source = np.zeros((1, 4, 4, 3), np.uint8)
    edits = np.zeros((1, 3, 4, 4, 3), np.uint8)
    edits[0, :, 1, 1] = np.array([20, 30, 60])[:, None]
    edits[0, 0, 3, 3] = CHANGED  # too little to be an edit
    assert diversity(source, edits) == pytest.approx((10 + 40 + 30) / 3)
    assert diversity(source, np.zeros_like(edits)) == 0


def test_the_whole_evaluation_of_a_tiny_model(
    data: Path,
    judge: Judge,
    taking_bundle_dir: Path,
    photo: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A random inverter gives all faces the same code but for a hundredth, and no pair would count.
    monkeypatch.setattr(evaluate_faces, "encode", lambda g, i, faces, d: g.sample(len(faces), 5.0, seed=1))
    judge.save(tmp_path / "judge.safetensors")
    save_file(MobileFaceNet().state_dict(), tmp_path / "identity.safetensors")
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    cv2.imwrite(str(photos / "a.png"), photo[..., ::-1])
    argv = ["--data", data, "--identity", tmp_path / "identity.safetensors", "--bundle", taking_bundle_dir]
    argv += ["--judge", tmp_path / "judge.safetensors", "--photos", photos, "--out", out, "--pairs", 12]
    evaluate_references.main([str(a) for a in (*argv, "--device", "cpu")])
    found = json.loads((out / "references.json").read_text())
    assert found["attributes"].keys() == {"smile", "young"}
    for row in found["attributes"].values():
        assert row["pairs"] + row["left_out"] == 12
        assert row["dependency"] > 0
        assert row["diversity"] > 0
        assert -1 <= row["identity_photo"] <= 1
    assert (out / "references.md").read_text() == report(found)
    # One photo, and above it the gallery's three faces.
    assert cv2.imread(str(out / "references-young.png")).shape == (2 * 32, 4 * 32, 3)
