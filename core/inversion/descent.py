"""Find a photo's code by descent: Adam on whitened coordinates, a shared part and one of each code's own."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from core.inversion.losses import OpeningLoss
from core.inversion.whitening import Whitening

# Codes (1, L, D) -> a picture (1, 3, S, S) float32, nominally [-1, 1], with gradients.
Synthesis = Callable[[Tensor], Tensor]
# In so many steps a picture's error changes little; finding it anew takes half a step.
CORRECTED_EVERY = 8


@dataclass(frozen=True)
class DescentSettings:
    """rate, own_rate: first steps, in a sample's standard deviations, of what codes share and of their own.

    falling: after so many steps the rates are half of that, after twice as many a third. betas: Adam's
    memory (Kingma and Ba 2015), short because steps are few.
    """

    rate: float = 0.08
    own_rate: float = 0.04
    falling: float = 40.0
    betas: tuple[float, float] = (0.8, 0.95)


class Descent:
    """One photo's descent, a step at a time: stop when you like, go on later. One thread at a time."""

    def __init__(
        self,
        synthesis: Synthesis,
        whitening: Whitening,
        loss: OpeningLoss,
        start: Tensor,
        settings: DescentSettings = DescentSettings(),  # frozen
        shown: Synthesis | None = None,
    ) -> None:
        """start: coordinates (K,) of all codes, or (L, K).

        shown: what `synthesis` only estimates, without gradients; None: it is exact. Descent finds codes at
        which an estimate is wrong to its liking: what is judged is the estimate with the error that it had a
        few steps ago taken away.
        """
        self._synthesis, self._whitening, self._loss, self._settings = synthesis, whitening, loss, settings
        self._shown, self._error = shown, torch.zeros(())
        start = start.detach().float().expand(whitening.mean.shape[0], -1)
        self._shared = start.mean(0).requires_grad_()  # (K,)
        self._own = (start - start.mean(0)).requires_grad_()  # (L, K)
        self._adam = torch.optim.Adam(
            [{"params": [self._shared]}, {"params": [self._own]}], lr=0.0, betas=settings.betas
        )
        self.steps = 0

    @property
    def coordinates(self) -> Tensor:
        """(L, K), where the descent stands."""
        return (self._shared + self._own).detach()

    @property
    def codes(self) -> Tensor:
        """(L, D) float32, where the descent stands."""
        return self._whitening.codes(self.coordinates[None])[0]

    def step(self) -> float:
        """Judge the codes, then move them. Returns the loss before the move.

        A loss that is not finite moves nothing.
        """
        v = (self._shared + self._own)[None]  # (1, L, K)
        codes = self._whitening.codes(v)
        picture = self._synthesis(codes)
        if self._shown is not None and self.steps % CORRECTED_EVERY == 0:
            self._error = picture.detach() - self._shown(codes.detach())
        terms = self._loss(picture - self._error) | self._loss.pull(v)
        total = torch.stack(list(terms.values())).sum()
        if not bool(total.isfinite()):
            return float(total.detach())
        gradients = torch.autograd.grad(total, [self._shared, self._own])
        pace = 1 / (1 + self.steps / self._settings.falling)
        rates = self._settings.rate, self._settings.own_rate
        for group, gradient, rate in zip(self._adam.param_groups, gradients, rates, strict=True):
            group["lr"] = rate * pace
            group["params"][0].grad = gradient
        self._adam.step()
        self.steps += 1
        return float(total.detach())
