"""The judge learns a planted rule; what it is asked for is right in a mirror."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from training.data.packs import Faces
from training.judging.judge import Judge, fit, judge_loss, judge_pictures, quality, wanted_values

ATTRIBUTES = ("brightness", "light_right", "gender")


def planted(count: int, seed: int) -> Faces:
    """Crops of 16 px whose left and right half have a grey each: their mean, difference, and a dark or light
    bottom row are the attributes."""
    random = np.random.default_rng(seed)
    halves = random.uniform(60, 200, (count, 2))
    low = random.integers(0, 2, count)
    images = np.repeat(halves, 8, axis=1)[:, None, :, None] + random.normal(0, 4, (count, 16, 16, 3))
    images[:, 12:] = low[:, None, None, None] * 255
    scores = np.stack([halves.mean(1) / 255, (halves[:, 1] - halves[:, 0]) / 255, low], 1)
    return Faces(
        files=tuple(f"{i}.jpg" for i in range(count)),
        images=images.clip(0, 255).astype(np.uint8),
        landmarks=random.uniform(0, 16, (count, 68, 2)).astype(np.float32),
        scores=scores.astype(np.float32),
        attributes=ATTRIBUTES,
    )


@pytest.fixture(scope="module")
def judge() -> Judge:
    return fit(planted(64, 0), batch=16, minutes=0, steps=40, device=torch.device("cpu"))


def test_the_judge_learns_a_planted_rule(judge: Judge) -> None:
    others = planted(32, 1)
    found = judge_pictures(judge, others.images, torch.device("cpu"))
    figures = quality(judge, others, found)
    assert set(figures) == set(ATTRIBUTES)
    assert min(figures.values()) > 0.9
    # Scores come out in deviations of the training split.
    z = (others.score("brightness") - planted(64, 0).score("brightness").mean()) / judge.deviation[0].item()
    assert np.abs(found[:, 0] - z).mean() < 0.5


def test_a_mirrored_face_is_lit_from_the_other_side(judge: Judge) -> None:
    faces = planted(8, 2)
    there = judge_pictures(judge, faces.images, torch.device("cpu"))
    mirrored = judge_pictures(judge, faces.images[:, :, ::-1].copy(), torch.device("cpu"))
    assert np.corrcoef(there[:, 1], mirrored[:, 1])[0, 1] < -0.9
    assert np.corrcoef(there[:, 0], mirrored[:, 0])[0, 1] > 0.8


def test_wanted_values_of_mirrored_faces_are_negated_where_signed() -> None:
    faces = planted(6, 3)
    index, mirror = np.array([4, 1]), np.array([True, False])
    brightness, light, gender = faces.scores[index].T
    found = wanted_values(faces, ("gender", "light_right", "brightness"), index, mirror)
    np.testing.assert_array_equal(found.numpy(), np.stack([gender, light * (-1, 1), brightness], 1))


def test_loss_is_squared_error_of_z_scores_and_cross_entropy_of_soft_labels() -> None:
    judge = Judge(ATTRIBUTES)
    judge.measure(planted(20, 4))
    assert judge.mean[2] == 0
    assert judge.deviation[2] == 1
    values, found = torch.tensor([[0.5, 0.1, 0.3], [0.2, -0.2, 1.0]]), torch.randn(2, 3)
    z = (values[:, :2] - judge.mean[:2]) / judge.deviation[:2]
    p = found[:, 2].sigmoid()
    entropy = -(values[:, 2] * p.log() + (1 - values[:, 2]) * (1 - p).log())
    wanted = ((found[:, :2] - z).square().sum() + entropy.sum()) / 6
    torch.testing.assert_close(judge_loss(judge, found, values), wanted)


def test_a_saved_judge_judges_the_same(judge: Judge, tmp_path: Path) -> None:
    judge.save(tmp_path / "judge.safetensors")
    again = Judge.load(tmp_path / "judge.safetensors")
    assert (again.attributes, again.binary) == (ATTRIBUTES, ("gender",))
    pictures = planted(3, 5).images
    device = torch.device("cpu")
    found, wanted = judge_pictures(again, pictures, device), judge_pictures(judge, pictures, device)
    np.testing.assert_allclose(found, wanted, atol=1e-4)  # another memory layout sums in another order


def test_pictures_are_averaged_down() -> None:
    judge = Judge(("age",)).eval()
    large = torch.rand(1, 3, 128, 128) * 2 - 1
    torch.testing.assert_close(judge(large), judge(F.avg_pool2d(large, 2)))


def test_quality_is_not_fooled_by_a_majority() -> None:
    faces = planted(10, 6)
    scores = faces.scores.copy()
    scores[:, 2] = [1] * 9 + [0]
    faces = dataclasses.replace(faces, scores=scores)
    found = np.stack([-faces.score("brightness"), faces.score("light_right"), np.ones(10)], 1)
    figures = quality(Judge(ATTRIBUTES), faces, found.astype(np.float32))
    assert figures == pytest.approx({"brightness": -1, "light_right": 1, "gender": 0.5}, abs=1e-5)
