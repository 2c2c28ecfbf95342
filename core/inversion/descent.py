"""Find a photo's code by descent: Adam on whitened coordinates, a shared part and one of each code's own."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.errors import RefinementFailed
from core.inversion.losses import OpeningLoss
from core.inversion.whitening import Whitening

Synthesis = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class DescentSettings:
    """rate, own_rate: Adam's steps in units of a sample's standard deviation, of what all codes share and of each code's own.

    falling: steps over which the rates fall to half; betas: Adam's memory, short because steps are few.
    """

    rate: float = 0.08
    own_rate: float = 0.05
    falling: float = 40.0
    betas: tuple[float, float] = (0.8, 0.95)


@dataclass(frozen=True, eq=False)
class Found:
    """The best so far: codes (L, D), coordinates (L, K), the preview (1, 3, S, S) they give, and its loss."""

    codes: Tensor
    coordinates: Tensor
    picture: Tensor
    loss: float


class Descent:
    """One photo's descent, a step at a time; stop when you like and go on later. Not for two threads at once."""

    def __init__(
        self,
        synthesis: Synthesis,
        whitening: Whitening,
        loss: OpeningLoss,
        start: Tensor,
        settings: DescentSettings = DescentSettings(),  # frozen
    ) -> None:
        """synthesis: codes (1, L, D) -> a picture (1, 3, S, S), with gradients. start: coordinates (L, K) or (K,)."""
        self._synthesis, self._whitening, self._loss, self._settings = synthesis, whitening, loss, settings
        start = start.detach().float().expand(whitening.mean.shape[0], -1)
        self._shared = start.mean(0).requires_grad_()  # (K,)
        self._own = (start - start.mean(0)).requires_grad_()  # (L, K)
        self._adam = torch.optim.Adam(
            [{"params": [self._shared]}, {"params": [self._own]}], lr=0.0, betas=settings.betas
        )
        self._best: Found | None = None
        self._losses: list[float] = []
        self.terms: dict[str, float] = {}

    @property
    def steps(self) -> int:
        return len(self._losses)

    @property
    def best(self) -> Found:
        """Raises: RuntimeError before the first step."""
        if self._best is None:
            raise RuntimeError("A descent has found nothing before its first step")
        return self._best

    def gain(self, steps: int) -> float:
        """By what share the last so many steps lowered the least loss; 1 while there were not so many before."""
        if self.steps <= steps:
            return 1.0
        before = min(self._losses[:-steps])
        return 1 - min(self._losses) / before

    def step(self) -> float:
        """Judge the codes, then move them. Returns the loss that was judged; `terms` says what it is made of.

        Raises: RefinementFailed if the first loss of all is not finite; a later one ends nothing: the descent goes
        back to the best and on from there.
        """
        v = (self._shared + self._own)[None]  # (1, L, K)
        picture = self._synthesis(self._whitening.codes(v))
        terms = self._loss(picture) | self._loss.pull(v)
        total = torch.stack(list(terms.values())).sum()
        self.terms = {name: float(term.detach()) for name, term in terms.items()}
        loss = float(total.detach())
        if not math.isfinite(loss):
            self._go_back()
            return loss
        if self._best is None or loss < self._best.loss:
            codes = self._whitening.codes(v.detach())
            self._best = Found(codes[0], v.detach()[0], picture.detach(), loss)
        self._move(torch.autograd.grad(total, [self._shared, self._own]))
        self._losses.append(loss)
        return loss

    def _move(self, gradients: Sequence[Tensor]) -> None:
        pace = 1 / (1 + self.steps / self._settings.falling)
        rates = self._settings.rate, self._settings.own_rate
        for group, gradient, rate in zip(self._adam.param_groups, gradients, rates, strict=True):
            group["lr"] = rate * pace
            group["params"][0].grad = gradient
        self._adam.step()

    def _go_back(self) -> None:
        if self._best is None:
            raise RefinementFailed("This photo could not be opened: its start gives no finite picture.")
        with torch.no_grad():
            self._shared.copy_(self._best.coordinates.mean(0))
            self._own.copy_(self._best.coordinates - self._shared)
        self._adam.state.clear()
