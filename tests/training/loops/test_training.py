"""Pieces of the training code against plain formulas."""

import numpy as np
import pytest
import torch

from training.data.batches import MIRROR, Batches
from training.data.codes import fit_gaussian
from training.data.packs import Faces, split_of
from training.data.scores import landmark_scores, pixel_scores
from training.loops.classifier import balanced_accuracy, fit_linear


def face_points() -> np.ndarray:
    """68 points of a plausible frontal face in a 128 px crop, left and right mirror images."""
    random = np.random.default_rng(0)
    points = random.uniform(30, 98, (68, 2))
    points = (points + (points[MIRROR] * (-1, 1) + (127, 0))) / 2
    points[36:42] = (44, 52)
    points[42:48] = (83, 52)
    points[2], points[14], points[30] = (30, 72), (97, 72), (63.5, 74)
    points[48], points[54] = (49, 92), (78, 92)
    return points


def test_splits_are_stable_and_in_proportion() -> None:
    splits = [split_of(f"{i}_0_0.jpg") for i in range(20000)]
    assert abs(splits.count("test") / 20000 - 0.02) < 0.004
    assert abs(splits.count("validation") / 20000 - 0.02) < 0.004
    assert split_of("100_0_0_20170112213500903.jpg.chip.jpg") == "train"


def test_mirror_is_an_involution_that_swaps_sides() -> None:
    assert np.array_equal(MIRROR[MIRROR], np.arange(68))
    assert [MIRROR[i] for i in (36, 48, 30)] == [45, 54, 30]


def test_gaussian_of_codes_has_their_mean_and_covariance() -> None:
    torch.manual_seed(0)
    codes = torch.randn(500, 2, 3) @ torch.randn(3, 3) + torch.randn(2, 3)
    mean, basis = fit_gaussian(codes, 6)
    torch.testing.assert_close(mean, codes.mean(0))
    torch.testing.assert_close(basis.T @ basis, torch.cov(codes.flatten(1).T), rtol=1e-3, atol=1e-3)


def test_linear_direction_finds_the_coordinate_that_decides() -> None:
    torch.manual_seed(0)
    codes = torch.randn(4000, 2, 3)
    wanted = (codes[:, 1, 2:] > 0).float()
    direction = fit_linear(codes, wanted)[0].flatten()
    assert direction.argmax() == 5
    assert direction[5] / direction.norm() > 0.99


def test_balanced_accuracy_is_not_fooled_by_a_majority() -> None:
    wanted = torch.cat([torch.ones(90, 1), torch.zeros(10, 1)])
    assert balanced_accuracy(torch.ones(100, 1), wanted).item() == 0.5


def test_smile_and_open_mouth_raise_their_scores() -> None:
    points = face_points()
    points[60:68] = points[48:56]
    points[51], points[57] = (63.5, 88), (63.5, 98)
    points[61:64], points[65:68] = (63.5, 92), (63.5, 93)
    neutral = landmark_scores(points)
    wide = points.copy()
    wide[48], wide[54] = (44, 89), (83, 89)
    assert landmark_scores(wide)["smile"] > neutral["smile"] + 0.1
    gaping = points.copy()
    gaping[65:68] += (0, 8)
    assert landmark_scores(gaping)["mouth_open"] > neutral["mouth_open"] + 0.1
    turned = points.copy()
    turned[30] += (8, 0)
    assert landmark_scores(turned)["yaw"] > neutral["yaw"]


def test_hair_darkness_is_the_darkest_fifth_above_the_brows() -> None:
    points = face_points()
    points[17:27] = (64, 40)
    face = np.full((128, 128, 3), 204, np.uint8)
    face[40:] = 0  # what lies below the brows does not count
    bald = pixel_scores(face, points)["hair_darkness"]
    face[:10] = 51  # of the 33 rows above, more than a fifth
    haired = pixel_scores(face, points)["hair_darkness"]
    assert (bald, haired) == (pytest.approx(0.2), pytest.approx(0.8))


def test_too_few_faces_for_a_batch_are_refused() -> None:
    faces = Faces(("a",), np.zeros((1, 128, 128, 3), np.uint8), face_points()[None], np.zeros((1, 0)), ())
    with pytest.raises(ValueError, match="batch of 2 is more than the 1 faces"):
        next(iter(Batches(faces, 2, torch.device("cpu"), 0)))
