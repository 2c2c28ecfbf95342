"""Find a photo's code by descent: Adam on whitened coordinates, a shared part and one of each code's own."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from core.inversion.gradient_basis import Adam, AdamSettings, GradientBasis
from core.inversion.losses import OpeningLoss
from core.inversion.whitening import Whitening

# Codes (1, L, D) -> a picture (1, 3, S, S) float32, nominally [-1, 1], with gradients.
Synthesis = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class DescentSettings:
    """rate, own_rate: first steps, in a sample's standard deviations, of what codes share and of their own.

    falling: after so many steps the rates are half of that, after twice as many a third.
    """

    rate: float = 0.16
    own_rate: float = 0.08
    falling: float = 40.0
    adam: AdamSettings = field(default_factory=AdamSettings)


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
        basis: GradientBasis | None = None,
    ) -> None:
        """start: coordinates (K,) of all codes, or (L, K). basis: of 1 + `free` groups; None: each coordinate
        is a direction of its own.

        free: how many codes, from the first on, find something of their own; None: all of them. The others
        follow what codes share: where pictures only estimate what a code does, descent would take it to
        where the estimate is wrong to its liking.
        """
        self._synthesis, self._whitening, self._loss, self._settings = synthesis, whitening, loss, settings
        start = start.detach().float().expand(whitening.mean.shape[0], -1)
        self._shared = start.mean(0).requires_grad_()  # (K,)
        own = start - start.mean(0)  # (L, K)
        self._own, self._held = own[:free].clone().requires_grad_(), own[len(own[:free]) :]
        groups, width = 1 + len(self._own), start.shape[1]
        parts = (slice(1), slice(1, groups))
        if basis is None:
            basis = GradientBasis.plain(groups, width).to(start.device)
        tables = [basis.part(part) for part in parts]
        self._adam, self._own_adam = (Adam(*table, settings.adam) for table in tables)
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

    def gradients(self) -> tuple[float, Tensor]:
        """The loss of the codes as they are, and its gradients (1 + F, K): by what codes share, and by the
        own part of each free one."""
        v = self._places()[None]  # (1, L, K)
        terms = self._loss(self._synthesis(self._whitening.codes(v))) | self._loss.pull(v)
        total = torch.stack(list(terms.values())).sum()
        shared, own = torch.autograd.grad(total, [self._shared, self._own])
        return float(total.detach()), torch.cat([shared[None], own])

    def step(self) -> float:
        """Judge the codes, then move them. Returns the loss before the move.

        A loss that is not finite moves nothing.
        """
        loss, gradients = self.gradients()
        if not math.isfinite(loss):
            return loss
        pace = 1 / (1 + self.steps / self._settings.falling)
        with torch.no_grad():
            self._shared -= self._settings.rate * pace * self._adam.direction(gradients[:1])[0]
            self._own -= self._settings.own_rate * pace * self._own_adam.direction(gradients[1:])
        self.steps += 1
        return loss
