"""core.inversion.pursuit: the best code is kept, and a descent that gains nothing has arrived."""

import math

import pytest
import torch

from core.inversion.pursuit import LEAST_GAIN, WINDOW, Pursuit


class Told:
    """A descent of these losses; its code before step i is full of i."""

    def __init__(self, losses: list[float]) -> None:
        self._losses, self._step = losses, 0

    @property
    def codes(self) -> torch.Tensor:
        return torch.full((2, 3), float(self._step))

    def step(self) -> float:
        self._step += 1
        return self._losses[self._step - 1]


def run(losses: list[float]) -> Pursuit:
    pursuit = Pursuit(Told(losses))
    for _ in losses:
        assert not pursuit.arrived
        pursuit.step()
    return pursuit


def test_before_the_first_step_it_stands_at_the_start() -> None:
    pursuit = Pursuit(Told([]))
    assert torch.equal(pursuit.codes, torch.zeros(2, 3))
    assert pursuit.loss == math.inf
    assert not pursuit.arrived


@pytest.mark.parametrize(
    ("losses", "best"),
    [([3, 2, 1], 2), ([3, 1, 2], 1), ([1, 1, 1], 0), ([2, math.nan], 0)],
)
def test_the_code_of_the_least_loss_is_kept(losses: list[float], best: int) -> None:
    pursuit = run(losses)
    assert torch.equal(pursuit.codes, torch.full((2, 3), float(best)))
    assert pursuit.loss == losses[best]


@pytest.mark.parametrize(
    ("losses", "stands"), [([], 0), ([3], 1), ([3, 2, 1], 3), ([3, 1, 2], 1), ([1, 1], 0), ([2, math.nan], 0)]
)
def test_the_move_after_the_best_is_promising_until_it_is_judged(losses: list[float], stands: int) -> None:
    assert torch.equal(run(losses).promising, torch.full((2, 3), float(stands)))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_it(bad: float) -> None:
    assert run([1, bad]).arrived


def test_it_has_arrived_when_a_window_gains_no_more_on_the_one_before() -> None:
    flat = [1.0] * (2 * WINDOW)
    assert run(flat).arrived
    assert run([0.0] * (2 * WINDOW)).arrived
    # As many steps that still gain a little more than the least; noise from step to step does not matter.
    gaining = [(1 - 2 * LEAST_GAIN * (i // WINDOW)) * (1 + 0.1 * (-1) ** i) for i in range(6 * WINDOW)]
    assert not run(gaining[: 2 * WINDOW]).arrived
    assert not run(gaining).arrived
    assert run(gaining[: 2 * WINDOW - 1] + [2.0]).arrived


def test_what_it_keeps_belongs_to_nobody_else() -> None:
    class Reused(Told):
        held = torch.zeros(2, 3)

        @property
        def codes(self) -> torch.Tensor:
            return self.held.fill_(self._step)

    pursuit = Pursuit(Reused([2.0, 1.0, 3.0]))
    for _ in range(3):
        pursuit.step()
    assert torch.equal(pursuit.codes, torch.ones(2, 3))
