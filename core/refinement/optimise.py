"""Fit a generator's kernels to one portrait: the objective and the loop of GANI and plain tuning."""

import contextlib
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from core.errors import Cancelled, RefinementFailed
from core.generators.family import GeneratorFamily
from core.generators.residual import WeightShift
from core.precision import gradient_dtype
from core.refinement.losses import LossWeights
from core.rendering.device_thread import Runs, at_once

# The rate grows over the first steps, and falls to zero over the last share of them.
WARM_UP_STEPS = 5
FALLING_SHARE = 0.5
# The gradient's noise is that of the sampled codes alone, so a short memory of its square is enough.
BETAS = (0.9, 0.99)


@dataclass(frozen=True)
class TuningSettings:
    """How long and how hard to fit.

    rate: Adam's step in units of a kernel's root mean square. locality_every: steps from one sampled code
    to the next. preview_every: steps from one preview to the next. seed: of everything drawn by chance.
    """

    iterations: int = 300
    rate: float = 6e-3
    weights: LossWeights = field(default_factory=LossWeights)
    locality_every: int = 2
    preview_every: int = 20
    seed: int = 0


# A picture (1, 3, R, R) float32 -> weighted terms, scalars, of how far it is from the photo.
Likeness = Callable[[Tensor], dict[str, Tensor]]


class Correction(Protocol):
    """What turns gradients into a correction of the kernels, one (O, I, k, k) for each."""

    def shifts(self) -> list[Tensor]:
        """The correction reached so far, float32, without gradient."""

    def learn(self, gradients: Sequence[Tensor], pace: float) -> None:
        """One step. gradients: of the loss with respect to `shifts()`; pace: in [0, 1], times the rate."""


class Objective:
    """The loss of a correction (GANI, Equation 5): likeness of the portrait, and locality.

    In half precision where the hardware multiplies in it. The generator is left as it is, and other threads
    may go on using it meanwhile.
    """

    def __init__(
        self, generator: GeneratorFamily, likeness: Likeness, w_plus: Tensor, settings: TuningSettings
    ) -> None:
        """likeness: of pictures to the photo; w_plus: (L, D)."""
        self._generator, self._likeness, self._settings = generator, likeness, settings
        self._code = w_plus.detach().clone()[None]  # (1, L, D)
        self._random = torch.Generator().manual_seed(settings.seed)
        dtype = gradient_dtype(self._code.device)
        self._picture = generator.tuned(generator.resolution, dtype)
        self._all = [kernel.detach() for kernel in generator.kernels().values()]
        # What happens to other faces shows in small pictures as well.
        self._small_side = generator.sizes[0]
        self._small = generator.tuned(self._small_side, dtype)

    @property
    def kernels(self) -> list[Tensor]:
        """What is corrected: weights with their gains, (O, I, k, k) each."""
        return [self._all[place] for place in self._generator.refined]

    def residual(self, shifts: Sequence[Tensor]) -> WeightShift:
        """Of all kernels; shifts: of `kernels`."""
        whole = [torch.zeros_like(kernel) for kernel in self._all]
        for place, shift in zip(self._generator.refined, shifts, strict=True):
            whole[place] = shift
        return WeightShift(tuple(whole))

    def terms(self, shifts: Sequence[Tensor], step: int) -> dict[str, Tensor]:
        """Weighted terms of the loss. shifts: of `kernels`; every few steps a code is sampled."""
        settings, residual = self._settings, self.residual(shifts)
        terms = self._likeness(self._picture(self._code, residual))
        if not settings.weights.locality or step % settings.locality_every:
            return terms
        other = self._sample(step)
        with torch.no_grad():
            wanted = self._small(other, self.residual([torch.zeros_like(shift) for shift in shifts]))
        # Times the steps that it stands for, so that the weight does not depend on how often it is asked.
        weight = settings.weights.locality * settings.locality_every
        return {**terms, "locality": weight * F.mse_loss(self._small(other, residual), wanted)}

    def _sample(self, step: int) -> Tensor:
        """(1, L, D): in turn a face like those of training, and one on the way there from the portrait."""
        settings = self._settings
        other = self._generator.sample(1, seed=settings.seed + step)
        if step // settings.locality_every % 2:
            way = torch.rand((), generator=self._random).item()
            other = self._code + way * (other - self._code)
        return other


def half_precision(device: torch.device) -> contextlib.AbstractContextManager[None]:
    """bfloat16 for convolutions and products where the hardware multiplies in it."""
    dtype = gradient_dtype(device)
    return contextlib.nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


class KernelAdam:
    """Adam (Kingma and Ba 2015) on tensors of kernels' shapes, its steps in units of the kernels' size."""

    def __init__(self, kernels: Sequence[Tensor], rate: float) -> None:
        """kernels: (O, I, k, k) each; rate: of a step, in units of a kernel's root mean square."""
        self.values = [torch.zeros_like(k, memory_format=torch.channels_last) for k in kernels]
        self._rates = [rate * float(kernel.square().mean().sqrt()) for kernel in kernels]
        groups = [{"params": [value]} for value in self.values]
        # Far below any gradient here: the default would slow down kernels with small ones.
        self._adam = torch.optim.Adam(groups, betas=BETAS, eps=1e-12, fused=True)

    def step(self, gradients: Sequence[Tensor], pace: float) -> None:
        for group, rate, value, gradient in zip(
            self._adam.param_groups, self._rates, self.values, gradients, strict=True
        ):
            group["lr"] = rate * pace
            # Fused Adam reads memory in order, whatever the strides: they have to be the value's own.
            value.grad = torch.empty_like(value).copy_(gradient)
        self._adam.step()


def tune(
    objective: Objective,
    correction: Correction,
    settings: TuningSettings,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    preview: Callable[[WeightShift], None] | None = None,
    run: Runs = at_once,
) -> WeightShift:
    """Run the loop; returns what was reached, float16.

    progress: is told how many steps of how many are done. cancelled: is asked twice in every step. preview:
    is given what was reached, now and then. run: where the steps run, each in two jobs, so that others' go in
    between; whom it tells is told in the caller's thread. A loss that is not finite ends the loop with the
    last correction whose loss was; the last step of all changes nothing, so that whatever is returned was
    judged.

    Raises: Cancelled; RefinementFailed if not even the first step was finite.
    """

    def check() -> None:
        if cancelled is not None and cancelled():
            raise Cancelled("The refinement was cancelled; the picture is as it was.")

    total, good = settings.iterations, None
    for step in range(total):
        check()
        shifts, loss = run(functools.partial(_judged, objective, correction, step))
        check()  # a step may take longer than whoever cancels wants to wait
        if not bool(loss.isfinite()):
            break
        good = shifts
        run(functools.partial(_learn, correction, loss, shifts, pace(step, total)))
        if progress is not None:
            progress(step + 1, total)
        if preview is not None and (step + 1) % settings.preview_every == 0:
            preview(_stored(objective.residual(good)))
    if good is None:
        raise RefinementFailed("The refinement found no way to improve this face; the picture is as it was.")
    return _stored(objective.residual(good))


def _judged(objective: Objective, correction: Correction, step: int) -> tuple[list[Tensor], Tensor]:
    """What the correction is, and its loss."""
    shifts = [shift.requires_grad_() for shift in correction.shifts()]
    return shifts, torch.stack(list(objective.terms(shifts, step).values())).sum()


def _learn(correction: Correction, loss: Tensor, shifts: Sequence[Tensor], pace: float) -> None:
    correction.learn(torch.autograd.grad(loss, shifts), pace)


def pace(step: int, total: int) -> float:
    """Share of the rate in this step: rises over the first steps, falls to zero over the last half."""
    return min(1.0, (step + 1) / WARM_UP_STEPS, (total - step - 1) / (FALLING_SHARE * total))


def _stored(residual: WeightShift) -> WeightShift:
    return WeightShift(tuple(shift.detach().half() for shift in residual.shifts))
