"""Directions from labelled samples: the mathematics on worlds whose truth is known."""

import numpy as np
import pytest

from training.loops.direction_fit import (
    LinearLabels,
    Whitening,
    fit_labels,
    holding_step,
    principal,
    ridge,
)

CODES, WIDTH = 4, 6


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(3)


def test_whitened_samples_have_unit_covariance_and_a_step_is_undone(random: np.random.Generator) -> None:
    mixing = random.normal(size=(WIDTH, WIDTH))
    w = random.normal(size=(500, WIDTH)) @ mixing + 5
    whitening = Whitening.fit(w, WIDTH)
    np.testing.assert_allclose(np.cov(whitening(w).T), np.eye(WIDTH), atol=1e-9)
    d = random.normal(size=(2, WIDTH))
    np.testing.assert_allclose(whitening(w[0] + whitening.step(d)) - whitening(w[0]), d, atol=1e-9)


def test_whitening_keeps_the_directions_that_vary_most(random: np.random.Generator) -> None:
    w = random.normal(size=(400, WIDTH)) * (9, 1, 1, 1, 5, 1)
    whitening = Whitening.fit(w, 2)
    assert set(np.abs(whitening.basis).argmax(0)) == {0, 4}
    assert whitening.deviation[0] > whitening.deviation[1] > 4


def test_ridge_minimises_the_penalised_squares(random: np.random.Generator) -> None:
    x, y = random.normal(size=(50, 3)) + 2, random.normal(size=50) + 7
    found = ridge(x, y, 0.3)
    centred, target = x - x.mean(0), y - y.mean()
    gradient = 2 * centred.T @ (centred @ found - target) + 2 * 0.3 * 50 * found
    np.testing.assert_allclose(gradient, 0, atol=1e-9)


def test_gradients_and_profiles_are_found_again(random: np.random.Generator) -> None:
    gradients = random.normal(size=(2, WIDTH))
    profiles = np.array([[0.7, 0.3, 0, 0], [0, 0, 0.5, 0.5]])
    v = random.normal(size=(4000, CODES, WIDTH))
    v[:2000] = v[:2000, :1]  # half of the faces have one w
    values = np.einsum("nlk,al,ak->na", v, profiles, gradients) * (3, 100) + (1, -5)
    values += random.normal(size=values.shape) * (0.3, 10)
    values[::7, 1] = np.nan
    labels = fit_labels(v, values, ("a", "b"), strength=1e-3, smoothness=1e-3)
    np.testing.assert_allclose(labels.profiles, profiles, atol=0.05)
    np.testing.assert_allclose(labels.profiles.sum(1), 1)
    told = labels.predict(v) * labels.deviation + labels.mean
    known = ~np.isnan(values[:, 1])
    assert np.corrcoef(told[:, 0], values[:, 0])[0, 1] > 0.98
    assert np.corrcoef(told[known, 1], values[known, 1])[0, 1] > 0.98


def test_faces_of_one_w_alone_give_even_profiles(random: np.random.Generator) -> None:
    v = np.repeat(random.normal(size=(300, 1, WIDTH)), CODES, axis=1)
    labels = fit_labels(v, v[:, 0, :1] * 2, ("a",), strength=1e-3)
    np.testing.assert_allclose(labels.profiles, 1 / CODES)
    np.testing.assert_allclose(labels.gradients[0], np.eye(WIDTH)[0] / v[:, 0, 0].std(), atol=2e-3)


def test_effects_count_the_moved_codes_alone() -> None:
    labels = LinearLabels(
        ("a",), np.array([[2.0, 0.0]]), np.array([[0.1, 0.2, 0.3, 0.4]]), np.zeros(1), np.ones(1)
    )
    np.testing.assert_allclose(labels.effects(slice(1, 3)), [[1.0, 0.0]])


def test_a_step_moves_its_label_by_one_and_is_the_cheapest(random: np.random.Generator) -> None:
    target, held, weights = (
        random.normal(size=WIDTH),
        random.normal(size=(3, WIDTH)),
        np.array([1.0, 5.0, 0.0]),
    )
    d = holding_step(target, held, weights)
    assert target @ d == pytest.approx(1)

    def cost(step: np.ndarray) -> float:
        return float(step @ step + weights @ np.square(held @ step))

    for _ in range(20):
        other = random.normal(size=WIDTH)
        other -= target * (target @ other) / (target @ target)  # moves the label no further
        assert cost(d + 0.01 * other) > cost(d)


def test_what_is_held_firmly_stays_and_what_is_free_goes_along() -> None:
    target = np.array([1.0, 1.0, 0.0])
    held = np.array([[0.0, 1.0, 0.0]])
    free, firm = holding_step(target, held, np.zeros(1)), holding_step(target, held, np.full(1, 1e6))
    assert held[0] @ free == pytest.approx(0.5)
    assert abs(held[0] @ firm) < 1e-5
    np.testing.assert_allclose(firm, [1, 0, 0], atol=1e-5)


def test_principal_components_keep_their_proportions_and_pass_gaps_on(random: np.random.Generator) -> None:
    values = random.normal(size=(500, 5)) * (6, 3, 1, 1, 1)
    values[3, 2] = np.nan
    scores = principal(values, 2)
    assert np.isnan(scores[3]).all()
    rest = np.delete(scores, 3, 0)
    assert np.square(rest).sum(1).mean() == pytest.approx(2, rel=1e-6)
    assert rest[:, 0].std() / rest[:, 1].std() == pytest.approx(2, rel=0.1)
