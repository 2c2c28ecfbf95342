"""Samples for whatever is taught to find codes: endless, their codes known, half as photos vary."""

from typing import cast

import numpy as np
import torch
from torch import Tensor

from core.generators.family import GeneratorFamily
from core.generators.mobile.network import MobileGenerator
from core.inversion.descents import Descents
from training.data.photo_variation import photo_variation
from training.data.sampled import OPENED_EVERY, draw


class Samples:
    """Draws codes and makes their pictures as descent does."""

    def __init__(
        self, descents: Descents, generator: GeneratorFamily, seed: int, opened: Tensor | None = None
    ) -> None:
        """opened: codes (M, L, D) that descent found, as for `sampled.draw`."""
        self._descents, self._generator, self._opened = descents, generator, opened
        self._random, self._inverse = np.random.default_rng(seed), descents.whitening.inverse()

    @torch.no_grad()
    def __call__(self, count: int) -> tuple[Tensor, Tensor]:
        """Coordinates (N, L, K), and pictures (N, 3, S, S) in [-1, 1], the first half of them varied."""
        # Of so many that are drawn one has codes that differ; those are half of what is taken.
        drawn = draw(cast(MobileGenerator, self._generator), OPENED_EVERY * count, self._random, self._opened)
        either = drawn.view(count, OPENED_EVERY, *drawn.shape[1:])  # (N, every, L, D)
        which = self._random.integers(2, size=count) * (OPENED_EVERY - 1)
        codes = either[torch.arange(count), torch.from_numpy(which)]
        pictures = torch.cat([self._descents.synthesis(code[None]) for code in codes]).clamp(-1, 1)
        half = count // 2
        pictures[:half] = photo_variation(pictures[:half], int(self._random.integers(2**31)))
        return self.coordinates(codes), pictures

    def coordinates(self, codes: Tensor) -> Tensor:
        """Codes (N, L, D) -> coordinates (N, L, K)."""
        return self._descents.whitening.coordinates(codes, self._inverse)
