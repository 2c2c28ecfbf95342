"""Refinement "fast" behind descent: RefineStyle's tokens, found for one photo by a few steps.

The paper predicts tokens by a network, or optimises token sets directly (Xia et al. 2024, section 3.4); here
the domain of such a set is one portrait. P^T Q joins each kernel (Equation 3).
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.errors import Cancelled
from core.generators.residual import LowRank, Residual
from core.refinement.optimise import Likeness
from core.rendering.device_thread import Runs, at_once

# Keeps what has no gradient where it is.
EPS = 1e-30


@dataclass(frozen=True)
class TokenSettings:
    """How tokens are found.

    tokens: of each set. rate: of a step; it grows over the first `warm_up` steps, which else would go
    wherever noise points, and falls to zero over the second half. betas: Adam's memory, short because steps
    are few. damping: of the mean square of a tensor's gradient, what is added to that of each number.
    """

    steps: int = 12
    tokens: int = 16
    rate: float = 4e-3
    warm_up: int = 8
    betas: tuple[float, float] = (0.8, 0.95)
    damping: float = 0.1
    seed: int = 0

    def pace(self, step: int) -> float:
        """The share of the rate in this step, counted from 0."""
        return min(1.0, (step + 1) / self.warm_up, 2 * (self.steps - step) / self.steps)


class DampedAdam:
    """Adam (Kingma and Ba 2015), Algorithm 1, whose squares are damped: what hardly shows hardly moves."""

    def __init__(self, leaves: Sequence[Tensor], settings: TokenSettings) -> None:
        self._leaves, self._settings, self._steps = leaves, settings, 0
        self._means, self._squares = ([torch.zeros_like(leaf) for leaf in leaves] for _ in range(2))

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], pace: float) -> None:
        """pace: times the rate."""
        settings, (keep_mean, keep_square) = self._settings, self._settings.betas
        self._steps += 1
        seen = 1 - keep_square**self._steps
        for leaf, gradient, mean, square in zip(
            self._leaves, gradients, self._means, self._squares, strict=True
        ):
            mean.lerp_(gradient, 1 - keep_mean)
            square.lerp_(gradient.square(), 1 - keep_square)
            size = ((square + settings.damping * square.mean()) / seen + EPS).sqrt()
            leaf -= settings.rate * pace * mean / (1 - keep_mean**self._steps) / size


class TokenSearch:
    """The tokens of one portrait, step by step: the arguments of `find_tokens`."""

    def __init__(
        self,
        picture: Callable[[Tensor, Residual], Tensor],
        kernels: Sequence[tuple[int, int]],
        likeness: Likeness,
        w_plus: Tensor,
        settings: TokenSettings,
    ) -> None:
        self._picture, self._likeness, self._settings = picture, likeness, settings
        # Made in inference mode, the code itself could have no part in a gradient.
        self._code = w_plus.detach().clone()[None]
        self._pairs = _start(kernels, self._code.device, settings)
        self._leaves = [token for pair in self._pairs for token in pair]
        self._adam, self.found = DampedAdam(self._leaves, settings), _stored(self._pairs)

    def step(self, step: int) -> bool:
        """False: the loss was not finite, and `found` is what it was before."""
        picture = self._picture(self._code, LowRank(tuple(self._pairs)))
        loss = torch.stack(list(self._likeness(picture).values())).sum()
        gradients = torch.autograd.grad(loss, self._leaves, materialize_grads=True)
        if not all(bool(number.isfinite().all()) for number in (loss, *gradients)):
            return False
        judged = _stored(self._pairs)
        self._adam.step(gradients, self._settings.pace(step))
        # What the last step makes is not judged any more, and is what it all was for.
        self.found = _stored(self._pairs) if step + 1 == self._settings.steps else judged
        return True


def find_tokens(
    picture: Callable[[Tensor, Residual], Tensor],
    kernels: Sequence[tuple[int, int]],
    likeness: Likeness,
    w_plus: Tensor,
    settings: TokenSettings = TokenSettings(),  # frozen
    progress: Callable[[int, int], None] = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
    run: Runs = at_once,
) -> LowRank:
    """The tokens with which pictures of a code are most like the photo.

    picture: `GeneratorFamily.tuned`; kernels: `GeneratorFamily.low_rank`; likeness: of such pictures to the
    photo; w_plus: (L, D), which stays; progress, cancelled, run: as in `optimise.tune`. Equal arguments give
    equal bits on a CPU. Where a loss is not finite, what was reached before it comes back.

    Raises: Cancelled.
    """
    search = run(lambda: TokenSearch(picture, kernels, likeness, w_plus, settings))
    for step in range(settings.steps):
        if cancelled():
            raise Cancelled("The refinement was cancelled; the picture is as it was.")
        if not run(functools.partial(search.step, step)):
            break
        progress(step + 1, settings.steps)
    return search.found


def _start(
    kernels: Sequence[tuple[int, int]], device: torch.device, settings: TokenSettings
) -> list[tuple[Tensor, Tensor]]:
    """P (N, O) zero, so that nothing changes at first, and Q (N, I) random, so that its tokens differ."""
    random = torch.Generator().manual_seed(settings.seed)
    return [
        (
            torch.zeros(settings.tokens, outputs, device=device).requires_grad_(),
            (torch.randn(settings.tokens, inputs, generator=random) / inputs**0.5)
            .to(device)
            .requires_grad_(),
        )
        for outputs, inputs in kernels
    ]


def _stored(pairs: Sequence[tuple[Tensor, Tensor]]) -> LowRank:
    return LowRank(tuple((p.detach().clone(), q.detach().clone()) for p, q in pairs))
