"""Both refinements of a model that opens photos by descent: nothing of them was trained."""

from collections.abc import Callable

import numpy as np
from torch import Tensor

from core.generators.family import GeneratorFamily
from core.generators.residual import LowRank, WeightShift
from core.images import to_tensor
from core.inversion.descents import Descents
from core.refinement.gradient_modules import GradientSettings, refine_weights
from core.refinement.likeness import SMALL_WEIGHTS, FullLikeness
from core.refinement.losses import LossWeights
from core.refinement.running import Watcher
from core.refinement.tokens import TokenSettings, find_tokens
from core.rendering.device_thread import Runs, at_once

# A minute of two cores at 1024 px. Of the weights, locality: likeness has its own.
SETTINGS = GradientSettings(
    iterations=90, weights=LossWeights(locality=1.0), locality_every=4, preview_every=7
)


class BehindDescent:
    """Finds the residuals of one model's portraits. Any thread may call."""

    def __init__(
        self, generator: GeneratorFamily, descents: Descents, tuning: GradientSettings | None = None
    ) -> None:
        """descents: that open photos by this generator; tuning: of best; None: SETTINGS.

        Raises: ValueError where no low-rank residual can join the generator's kernels.
        """
        if generator.low_rank is None:
            raise ValueError("A generator that descends takes low-rank residuals")
        self._generator, self._kernels, self._descents = generator, generator.low_rank, descents
        self._tuning = tuning or SETTINGS

    def fast(
        self,
        crop: np.ndarray,
        landmarks: np.ndarray,
        w_plus: Tensor,
        watcher: Watcher,
        run: Runs = at_once,
    ) -> LowRank:
        """By the small picture that opened the photo.

        crop: (R, R, 3) uint8, aligned; landmarks: (68, 2) in its pixels; w_plus: (L, D), its code; run: where
        its steps run.
        Raises: Cancelled.
        """
        likeness = run(lambda: self._descents.loss(crop, landmarks))
        picture = self._generator.tuned(likeness.side, self._descents.dtype)
        told = watcher.count, watcher.cancelled, run
        return find_tokens(picture, self._kernels, likeness, w_plus, TokenSettings(), *told)

    def best(
        self,
        crop: np.ndarray,
        landmarks: np.ndarray,
        w_plus: Tensor,
        watcher: Watcher,
        shown: Callable[[WeightShift], None] | None = None,
        run: Runs = at_once,
    ) -> WeightShift:
        """By the full picture; shown: is given what was reached, now and then; run: where its steps run.

        Raises: Cancelled; RefinementFailed where no step gives finite numbers.
        """
        descents = self._descents

        def full() -> FullLikeness:
            small = descents.loss(crop, landmarks, SMALL_WEIGHTS)
            return FullLikeness(to_tensor(crop, w_plus.device), small, descents.lpips, descents.dtype)

        likeness = run(full)
        told = watcher.count, watcher.cancelled, shown, run
        return refine_weights(self._generator, likeness, w_plus.clone(), self._tuning, *told)
