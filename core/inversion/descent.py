"""Find a photo's code by descent: Adam on whitened coordinates, a shared part and one of each code's own."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from core.inversion.losses import OpeningLoss
from core.inversion.whitening import Whitening

# Codes (1, L, D) -> a picture (1, 3, S, S) float32, nominally [-1, 1], with gradients.
Synthesis = Callable[[Tensor], Tensor]


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
        free: int | None = None,
    ) -> None:
        """start: coordinates (K,) of all codes, or (L, K).

        free: how many codes, from the first on, find something of their own; None: all of them. The others
        follow what codes share: where pictures only estimate what a code does, descent would take it to
        where the estimate is wrong to its liking.
        """
        self._synthesis, self._whitening, self._loss, self._settings = synthesis, whitening, loss, settings
        start = start.detach().float().expand(whitening.mean.shape[0], -1)
        self._shared = start.mean(0).requires_grad_()  # (K,)
        own = start - start.mean(0)  # (L, K)
        self._own, self._held = own[:free].clone().requires_grad_(), own[len(own[:free]) :]
        self._adam = torch.optim.Adam(
            [{"params": [self._shared]}, {"params": [self._own]}], lr=0.0, betas=settings.betas
        )
        self.steps = 0

    @property
    def coordinates(self) -> Tensor:
        """(L, K), where the descent stands."""
        return self._places().detach()

    @property
    def codes(self) -> Tensor:
        """(L, D) float32, where the descent stands."""
        return self._whitening.codes(self.coordinates[None])[0]

    def _places(self) -> Tensor:
        """(L, K), with gradients to both parts."""
        return self._shared + torch.cat([self._own, self._held])

    def step(self) -> float:
        """Judge the codes, then move them. Returns the loss before the move.

        A loss that is not finite moves nothing.
        """
        v = self._places()[None]  # (1, L, K)
        terms = self._loss(self._synthesis(self._whitening.codes(v))) | self._loss.pull(v)
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
