"""Frechet distances, against the closed form where covariances commute."""

import numpy as np
import pytest

from training.judging.naturalness import components, distances, frechet


def test_of_gaussians_whose_axes_are_the_same() -> None:
    """Of independent axes: squared differences of means and of deviations, summed."""
    random = np.random.default_rng(0)
    axes, _ = np.linalg.qr(random.normal(size=(4, 4)))
    plain = np.linalg.qr(random.normal(size=(500, 5)) - 0.0)[0]
    centred = plain - plain.mean(0)
    white = centred @ np.linalg.inv(np.linalg.cholesky(np.cov(centred.T))).T  # covariance one, exactly
    first, second = np.array([1.0, 2.0, 0.5, 0.0]), np.array([3.0, 2.0, 0.1, 1.0])
    shift = np.array([0.3, -1.0, 0.0, 2.0])
    a = white[:, :4] * first @ axes.T
    b = (white[:, :4] * second + shift) @ axes.T
    wanted = np.square(shift).sum() + np.square(first - second).sum()
    assert frechet(a, b) == pytest.approx(wanted, rel=1e-6)
    # One deviation is zero, and roots are taken: no more digits than half of a double's are left.
    assert frechet(a, a) == pytest.approx(0, abs=1e-7)


def test_components_are_the_ones_of_most_variance() -> None:
    random = np.random.default_rng(1)
    real = random.normal(size=(400, 3)) * (5.0, 0.1, 1.0) + 7
    found = components(real, 2)(real)
    assert found.shape == (400, 2)
    assert abs(np.corrcoef(found[:, 0], real[:, 0])[0, 1]) > 0.99
    assert abs(np.corrcoef(found[:, 1], real[:, 2])[0, 1]) > 0.99


def test_what_is_like_the_real_ones_is_nearer_than_what_is_not() -> None:
    random = np.random.default_rng(2)
    real = random.normal(size=(600, 6))
    sets = {"like": random.normal(size=(90, 6)), "unlike": random.normal(size=(120, 6)) + 1.0}
    found = distances(real, sets)
    assert set(found) == {"like", "unlike", "real"}
    assert found["unlike"] > 5 * found["like"]
    assert found["like"] == pytest.approx(found["real"], abs=0.5)
