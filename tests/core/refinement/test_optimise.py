"""The objective against a generator whose weights really were changed, and the loop's manners."""

import copy
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from core.checkpoints import Bundle
from core.errors import Cancelled, RefinementFailed
from core.generators.mobile.config import MobileConfig
from core.generators.mobile.network import MobileGenerator
from core.generators.residual import WeightShift
from core.generators.stylegan2.network import Generator
from core.refinement import optimise
from core.refinement.losses import LossWeights, PictureLoss
from core.refinement.optimise import KernelAdam, Objective, TuningSettings, pace, tune

PIXEL = TuningSettings(weights=LossWeights(pixel=2.0, perceptual=0, identity=0, locality=3.0), seed=7)


@pytest.fixture
def plain_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """float32 throughout, so that formulas can be compared exactly."""
    monkeypatch.setattr(optimise, "gradient_dtype", lambda device: torch.float32)


@pytest.fixture
def photo() -> Tensor:
    return torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture
def objective(tiny_bundle: Bundle, photo: Tensor) -> Objective:
    generator = tiny_bundle.generator
    likeness = PictureLoss(tiny_bundle.inverter, photo, PIXEL.weights)
    return Objective(generator, likeness, generator.sample(1, seed=1)[0], PIXEL)


def random_shifts(generator: Generator, size: float = 0.1) -> list[Tensor]:
    random = torch.Generator().manual_seed(2)
    return [
        size * conv.gain * torch.randn(conv.weight.shape, generator=random)
        for conv in generator.convolutions()
    ]


def corrected(generator: Generator, shifts: Sequence[Tensor]) -> Generator:
    """A copy whose weights were changed by hand."""
    changed = copy.deepcopy(generator)
    for conv, shift in zip(changed.convolutions(), shifts, strict=True):
        conv.weight.data += shift / conv.gain
    return changed


def mse(a: Tensor, b: Tensor) -> float:
    return float((a - b).double().square().mean())


def test_the_pixel_term_is_that_of_the_changed_generator(
    plain_precision: None, tiny_bundle: Bundle, objective: Objective, photo: Tensor
) -> None:
    generator = tiny_bundle.generator
    shifts = random_shifts(generator)
    picture = corrected(generator, shifts).synthesis(generator.sample(1, seed=1))
    for step in (0, 1):  # with a sampled code beside it, and without
        terms = objective.terms(shifts, step)
        assert float(terms["pixel"]) == pytest.approx(2 * mse(picture, photo), rel=1e-4)
    assert mse(picture, generator.synthesis(generator.sample(1, seed=1))) > 1e-3


def test_locality_compares_both_generators_at_a_sampled_code_every_other_step(
    plain_precision: None, tiny_bundle: Bundle, objective: Objective
) -> None:
    generator = tiny_bundle.generator
    shifts = random_shifts(generator)
    changed = corrected(generator, shifts)
    other = generator.sample(1, seed=7 + 0)
    drift = mse(changed.synthesis(other), generator.synthesis(other))
    found = objective.terms(shifts, 0)["locality"]
    assert float(found) == pytest.approx(2 * 3 * drift, rel=1e-4)  # every other step, so twice the weight
    assert "locality" not in objective.terms(shifts, 1)
    # The next one lies on the way from the portrait's code to another sample.
    code, end = generator.sample(1, seed=1), generator.sample(1, seed=7 + 2)
    way = torch.rand((), generator=torch.Generator().manual_seed(7)).item()
    other = code + way * (end - code)
    drift = mse(changed.synthesis(other), generator.synthesis(other))
    assert float(objective.terms(shifts, 2)["locality"]) == pytest.approx(6 * drift, rel=1e-4)


def test_without_correction_there_is_no_drift(
    plain_precision: None, tiny_bundle: Bundle, objective: Objective
) -> None:
    none = [torch.zeros_like(conv.weight) for conv in tiny_bundle.generator.convolutions()]
    assert float(objective.terms(none, 0)["locality"]) < 1e-8


def test_what_is_not_worth_correcting_stays() -> None:
    generator = MobileGenerator(MobileConfig(32, (8, 8, 4), w_dim=6, z_dim=6, mapping_layers=1))
    objective = Objective(generator.requires_grad_(False), lambda picture: {}, generator.w_mean, PIXEL)
    every = list(generator.kernels().values())

    assert [kernel.shape for kernel in objective.kernels] == [kernel.shape for kernel in every[1:]]
    dense, *others = objective.residual([kernel + 1 for kernel in objective.kernels]).shifts
    assert not dense.any()
    assert all(torch.equal(a, b + 1) for a, b in zip(others, every[1:], strict=True))


class Stub:
    """A loss of sum |shift - 1|^2, and a correction that walks towards 1 by tenths; `bad` steps give NaN."""

    def __init__(self, bad: Sequence[int] = (), error: Exception | None = None) -> None:
        self.value, self.bad, self.error = torch.zeros(2, 2, 3, 3), bad, error
        self.paces: list[float] = []

    def terms(self, shifts: Sequence[Tensor], step: int) -> dict[str, Tensor]:
        if step == 3 and self.error is not None:
            raise self.error
        factor = float("nan") if step in self.bad else 1.0
        return {"pixel": factor * (shifts[0] - 1).square().sum()}

    def shifts(self) -> list[Tensor]:
        return [self.value.clone()]

    def residual(self, shifts: Sequence[Tensor]) -> WeightShift:
        return WeightShift(tuple(shifts))

    def learn(self, gradients: Sequence[Tensor], pace: float) -> None:
        assert torch.allclose(gradients[0], 2 * (self.value - 1))
        self.value += 0.1
        self.paces.append(pace)


def run(stub: Stub, steps: int = 6, **kwargs) -> Tensor:
    settings = TuningSettings(iterations=steps, preview_every=2)
    (shift,) = tune(stub, stub, settings, **kwargs).shifts  # type: ignore[arg-type]
    assert shift.dtype == torch.float16
    return shift


def test_the_result_is_the_last_correction_that_was_judged() -> None:
    told, shown = [], []
    stub = Stub()
    shift = run(
        stub,
        progress=lambda done, total: told.append((done, total)),
        preview=lambda found: shown.append(float(found.shifts[0].mean())),
    )
    assert float(shift.mean()) == pytest.approx(0.5, abs=1e-3)
    assert told == [(i, 6) for i in range(1, 7)]
    assert shown == pytest.approx([0.1, 0.3, 0.5], abs=1e-3)
    assert stub.paces[-1] == 0  # so that nothing unjudged comes after


@pytest.mark.parametrize("bad", [3, 5])
def test_after_nan_the_last_good_correction_is_returned(bad: int) -> None:
    stub = Stub(bad=[bad])
    assert float(run(stub).mean()) == pytest.approx(0.1 * (bad - 1), abs=1e-3)
    assert len(stub.paces) == bad


def test_nan_from_the_first_step_on_is_an_error_of_one_sentence() -> None:
    with pytest.raises(RefinementFailed, match=r"^[A-Z][^.]*as it was\.$"):
        run(Stub(bad=range(6)))


def test_cancelling_ends_the_loop_before_the_next_step() -> None:
    stub = Stub()
    with pytest.raises(Cancelled):
        run(stub, cancelled=lambda: len(stub.paces) == 2)
    assert len(stub.paces) == 2


def test_cancelling_does_not_wait_for_the_gradient() -> None:
    asked = []

    def cancelled() -> bool:
        asked.append(True)
        return len(asked) == 4  # in the midst of the second step

    stub = Stub()
    with pytest.raises(Cancelled):
        run(stub, cancelled=cancelled)
    assert len(stub.paces) == 1


def test_a_step_runs_in_two_jobs_and_whoever_is_told_is_told_outside_of_them() -> None:
    jobs, inside, told = [], [], []

    def one(job):
        jobs.append(job)
        inside.append(True)
        found = job()
        inside.pop()
        return found

    stub = Stub()
    shift = run(
        stub,
        progress=lambda done, total: told.append((len(jobs), len(inside))),
        preview=lambda found: told.append((len(jobs), len(inside))),
        cancelled=lambda: bool(inside),
        run=one,
    )
    assert told == [(2, 0), (4, 0), (4, 0), (6, 0), (8, 0), (8, 0), (10, 0), (12, 0), (12, 0)]
    assert torch.equal(shift, run(Stub()))


def test_a_lack_of_memory_is_the_callers_to_tell() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        run(Stub(error=torch.OutOfMemoryError("CUDA out of memory")))


def test_the_pace_rises_stays_and_falls_to_zero() -> None:
    steps = [pace(step, 100) for step in range(100)]
    assert steps[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert steps[5:49] == [1.0] * 44
    assert steps[50:] == pytest.approx([(99 - step) / 50 for step in range(50, 100)])
    assert pace(0, 1) == 0


def test_adams_steps_are_in_units_of_the_kernel() -> None:
    random = torch.Generator().manual_seed(0)
    kernels = [s * torch.randn(4, 3, 3, 3, generator=random) for s in (0.01, 1.0)]
    adam = KernelAdam(kernels, rate=0.1)
    # The first step of Adam is the rate times the sign, whatever the gradient's size.
    gradients = [1e-4 * torch.randn(4, 3, 3, 3, generator=random) for _ in kernels]
    adam.step(gradients, pace=0.5)
    for value, kernel, gradient in zip(adam.values, kernels, gradients, strict=True):
        size = float(kernel.square().mean().sqrt())
        torch.testing.assert_close(value, -0.05 * size * gradient.sign(), rtol=1e-3, atol=0)
