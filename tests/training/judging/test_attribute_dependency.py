"""Mean attribute dependency against plain formulas on planted numbers."""

import numpy as np
import pytest

from training.judging.attribute_dependency import at_move, curve


def test_dependency_is_the_mean_absolute_change_of_the_others() -> None:
    random = np.random.default_rng(0)
    start, edited = random.normal(size=(3, 4)), random.normal(size=(2, 3, 4))
    sigma = np.array([1.0, 2.0, 0.5, 4.0])
    moves, dependencies = curve(start, edited, 1, sigma)
    for s in range(2):
        others = [abs(edited[s, n, i] - start[n, i]) / sigma[i] for n in range(3) for i in (0, 2, 3)]
        assert dependencies[s] == pytest.approx(sum(others) / 9)
        assert moves[s] == pytest.approx(sum((edited[s, n, 1] - start[n, 1]) / 2 for n in range(3)) / 3)


def test_dependency_is_read_off_between_strengths() -> None:
    moves, dependencies = np.array([0.5, 1.5, 1.2]), np.array([0.2, 0.6, 0.9])
    assert at_move(moves, dependencies, 1.0) == pytest.approx(0.4)
    assert at_move(moves, dependencies, 0.25) == pytest.approx(0.1)  # from (0, 0)
    assert at_move(moves, dependencies, 1.5) == pytest.approx(0.6)
    assert at_move(moves, dependencies, 1.6) is None
