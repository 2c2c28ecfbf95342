"""Plain pivotal tuning (PTI, Roich et al. 2021), the baseline: Adam on the weights themselves.

Of the generator's weights its `kernels` are tuned, which are nearly all, and what a WeightShift can hold; the
code stays where it is, as in PTI. Losses and locality are the same as GANI's.
"""

from collections.abc import Callable, Sequence

from torch import Tensor

from core.generators.family import GeneratorFamily
from core.generators.residual import WeightShift
from core.refinement.optimise import KernelAdam, Likeness, Objective, TuningSettings, tune
from core.rendering.device_thread import Runs, at_once


class PivotalTuning:
    """The `Correction` that Adam makes of the gradients."""

    def __init__(self, kernels: Sequence[Tensor], rate: float) -> None:
        """kernels: (O, I, k, k) each, what is to be corrected; rate: as in `KernelAdam`."""
        self._adam = KernelAdam(kernels, rate)

    def shifts(self) -> list[Tensor]:
        return [value.clone() for value in self._adam.values]

    def learn(self, gradients: Sequence[Tensor], pace: float) -> None:
        self._adam.step(gradients, pace)


def tune_weights(
    generator: GeneratorFamily,
    likeness: Likeness,
    w_plus: Tensor,
    settings: TuningSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    preview: Callable[[WeightShift], None] | None = None,
    run: Runs = at_once,
) -> WeightShift:
    """Plain tuning, with the arguments and errors of `gradient_modules.refine_weights`."""
    settings = settings or TuningSettings()
    objective = run(lambda: Objective(generator, likeness, w_plus, settings))
    correction = run(lambda: PivotalTuning(objective.kernels, settings.rate))
    return tune(objective, correction, settings, progress, cancelled, preview, run)
