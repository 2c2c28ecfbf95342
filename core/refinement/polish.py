"""Direct optimisation of further RefineStyle tokens on one face, beside those that the network predicted.

The paper optimises token sets directly for a domain (section 3.4); here the domain is one portrait, and a few
steps are enough. The generator stays as it is.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from core.generators.residual import LowRank
from core.models.inverter import Inverter
from core.ops.modulated_conv import LowRankPair
from core.refinement.losses import LossWeights, PictureLoss
from core.refinement.optimise import BETAS, half_precision
from core.rendering.device_thread import Runs, at_once

# Tokens that join each layer's: P zero and Q random, so that they change nothing at first, and the gradient
# finds as many directions as there are tokens (those of a network lie close to each other).
FRESH = 32
SPREAD = 0.02
SEED = 0
RATE = 2.5e-3
WEIGHTS = LossWeights(pixel=10.0, perceptual=1.0)
# Smaller than where there is time: the trunk costs as much as the generator.
ENLARGEMENT = 1.0
# Adam does not see it; gradients in half precision do, which might vanish without.
SCALE = 256.0

Synthesis = Callable[[Tensor, Sequence[LowRankPair | None]], Tensor]


def polish(
    synthesis: Synthesis,
    inverter: Inverter,
    residual: LowRank,
    image: Tensor,
    w_plus: Tensor,
    steps: int,
    run: Runs = at_once,
) -> LowRank:
    """The residual with further tokens, after `steps` steps of Adam on them.

    synthesis: codes (1, L, D) and pairs for every kernel -> (1, 3, R, R) float32. image: (1, 3, R,
    R) in [-1, 1], the aligned photo; w_plus: (L, D), its code, which stays. The networks are left untouched,
    and may be used by other threads meanwhile. run: where each step runs. Where a loss is not finite, what
    was reached before it comes back.
    """
    if not steps:
        return residual
    search = run(lambda: _Polish(synthesis, inverter, residual, image, w_plus))
    for _ in range(steps):
        if not run(search.step):
            return search.good
    return run(search.found)


class _Polish:
    """The further tokens, step by step; the arguments of `polish`. good: the last with a finite loss."""

    def __init__(
        self, synthesis: Synthesis, inverter: Inverter, residual: LowRank, image: Tensor, w_plus: Tensor
    ) -> None:
        # What was made in inference mode can have no gradient: copies can.
        image, self._code = image.clone(), w_plus.clone()[None]
        tokens = residual.tokens
        self._predicted = [None if p is None else (p[0].clone()[None], p[1].clone()[None]) for p in tokens]
        self._fresh = _fresh_tokens(self._predicted)
        self._leaves = [token for pair in self._fresh if pair is not None for token in pair]
        self._adam = torch.optim.Adam(self._leaves, RATE, BETAS, fused=True)
        self._synthesis, self._device = synthesis, image.device
        with half_precision(image.device):
            self._loss = PictureLoss(inverter, image, WEIGHTS, enlargement=ENLARGEMENT)
        self.good, self._begun = residual, False

    def step(self) -> bool:
        """False: the loss is not finite."""
        pairs = _joined(self._predicted, self._fresh)
        with half_precision(self._device):
            terms = self._loss(self._synthesis(self._code, pairs))
            loss = SCALE * torch.stack(list(terms.values())).sum()
        if not bool(loss.isfinite()):
            return False
        if self._begun:  # else what was predicted, as it is
            self.good = _stored(pairs)
        self._begun = True
        for leaf, gradient in zip(self._leaves, torch.autograd.grad(loss, self._leaves), strict=True):
            leaf.grad = gradient.contiguous()  # fused Adam reads memory in order, whatever the strides
        self._adam.step()
        return True

    @torch.no_grad()
    def found(self) -> LowRank:
        """After the last step, where its picture is finite; else before it."""
        pairs = _joined(self._predicted, self._fresh)
        with half_precision(self._device):
            finite = bool(self._synthesis(self._code, pairs).isfinite().all())
        return _stored(pairs) if finite else self.good


def _fresh_tokens(predicted: Sequence[LowRankPair | None]) -> list[LowRankPair | None]:
    """P (1, FRESH, O) and Q (1, FRESH, I) for every predicted pair, to be optimised."""
    random = torch.Generator().manual_seed(SEED)
    fresh: list[LowRankPair | None] = []
    for pair in predicted:
        if pair is None:
            fresh.append(None)
            continue
        p = pair[0].new_zeros(1, FRESH, pair[0].shape[2])
        q = torch.randn(1, FRESH, pair[1].shape[2], generator=random).to(pair[1]) * SPREAD
        fresh.append((p.requires_grad_(), q.requires_grad_()))
    return fresh


def _joined(
    predicted: Sequence[LowRankPair | None], fresh: Sequence[LowRankPair | None]
) -> list[LowRankPair | None]:
    return [
        None if a is None or b is None else (torch.cat([a[0], b[0]], 1), torch.cat([a[1], b[1]], 1))
        for a, b in zip(predicted, fresh, strict=True)
    ]


def _stored(pairs: Sequence[LowRankPair | None]) -> LowRank:
    return LowRank(tuple(None if p is None else (p[0].detach()[0], p[1].detach()[0]) for p in pairs))
