"""One face's descent as the engine holds it: its best code so far, and whether to go on."""

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

# Losses are noisy: those of so many steps are held against those of as many before.
WINDOW = 16
# The share of the loss that a window has to gain on the one before, or the descent has arrived.
LEAST_GAIN = 0.003
# What a descent keeps of its photo (features, masks, Adam's moments), roughly; to bound how many are kept.
NBYTES = 8 * 2**20


class Steps(Protocol):
    """What is needed of a descent (`core.inversion.descent`), which one thread uses at a time."""

    @property
    def codes(self) -> Tensor:
        """(L, D) float32, where the descent stands."""

    def step(self) -> float:
        """Judge the codes, then move them; the loss before the move."""


# From a face (S, S, 3) uint8, its landmarks (68, 2) in its pixels and a code to start from, (L, D), or None
# where there is none, to its descent.
Begin = Callable[[np.ndarray, np.ndarray, Tensor | None], Steps]


class Pursuit:
    """A descent that can be left and taken up again. One thread steps at a time; any may look."""

    def __init__(self, descent: Steps) -> None:
        self._descent = descent
        self._losses: list[float] = []
        self._best: tuple[float, Tensor] = (math.inf, descent.codes)
        self.nbytes = NBYTES
        self.steps, self._judged_best = 0, 0

    @property
    def codes(self) -> Tensor:
        """(L, D) of the least loss that was judged; before the first step, the start."""
        return self._best[1]

    @property
    def promising(self) -> Tensor:
        """(L, D): one move on from `codes`, where no others were judged since, as nothing else is worth the
        time of judging it; else `codes`."""
        if self.steps == 0 or self._judged_best != self.steps:
            return self.codes
        ahead = self._descent.codes
        return torch.empty_like(ahead).copy_(ahead.detach())

    @property
    def loss(self) -> float:
        """Of `codes`; infinite before the first step."""
        return self._best[0]

    @property
    def arrived(self) -> bool:
        """Whether further steps gain (next to) nothing, or the loss is no number any more."""
        losses = self._losses
        if losses and not math.isfinite(losses[-1]):
            return True
        if len(losses) < 2 * WINDOW:
            return False
        before, after = sum(losses[-2 * WINDOW : -WINDOW]), sum(losses[-WINDOW:])
        return after >= (1 - LEAST_GAIN) * before

    def step(self) -> None:
        """One step; of codes that judge worse than others before nothing is kept."""
        judged = self._descent.codes
        loss = self._descent.step()
        self.steps += 1
        self._losses = [*self._losses[1 - 2 * WINDOW :], loss]
        if loss < self._best[0]:
            # A tensor without history, for whoever renders it in inference mode or out of it.
            self._judged_best = self.steps
            self._best = loss, torch.empty_like(judged).copy_(judged.detach())
