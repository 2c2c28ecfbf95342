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
) -> LowRank:
    """The residual with further tokens, after `steps` steps of Adam on them.

    synthesis: codes (1, L, D) and pairs for every kernel -> (1, 3, R, R) float32. image: (1, 3, R,
    R) in [-1, 1], the aligned photo; w_plus: (L, D), its code, which stays. The networks are left untouched,
    and may be used by other threads meanwhile. Where a loss is not finite, what was reached before it comes
    back.
    """
    if not steps:
        return residual
    # What was made in inference mode can have no gradient: copies can.
    image, code = image.clone(), w_plus.clone()[None]
    predicted = [None if p is None else (p[0].clone()[None], p[1].clone()[None]) for p in residual.tokens]
    fresh = _fresh_tokens(predicted)
    leaves = [token for pair in fresh if pair is not None for token in pair]
    adam = torch.optim.Adam(leaves, RATE, BETAS, fused=True)
    with half_precision(image.device):
        loss_of = PictureLoss(inverter, image, WEIGHTS, enlargement=ENLARGEMENT)
    before = residual
    for step in range(steps):
        pairs = _joined(predicted, fresh)
        with half_precision(image.device):
            loss = SCALE * torch.stack(list(loss_of(synthesis(code, pairs)).values())).sum()
        if not bool(loss.isfinite()):
            return before
        before = _stored(pairs) if step else residual
        for leaf, gradient in zip(leaves, torch.autograd.grad(loss, leaves), strict=True):
            leaf.grad = gradient.contiguous()  # fused Adam reads memory in order, whatever the strides
        adam.step()
    pairs = _joined(predicted, fresh)
    with torch.no_grad(), half_precision(image.device):
        finite = bool(synthesis(code, pairs).isfinite().all())
    return _stored(pairs) if finite else before


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
