"""Direct optimisation of RefineStyle's tokens on one face, starting from what the network predicted.

The paper optimises token sets directly for a domain (section 3.4), and starts that from predicted ones; here
the domain is one portrait, and a few steps are enough. The generator stays as it is.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from core.models.style_transformer import StyleTransformer
from core.ops.modulated_conv import LowRankPair
from core.refinement.losses import LossWeights, PictureLoss
from core.refinement.optimise import BETAS, half_precision
from core.refinement.residual import LowRank

RATE = 3e-3
WEIGHTS = LossWeights(pixel=10.0, perceptual=1.0)
# Smaller than where there is time: the trunk costs as much as the generator.
ENLARGEMENT = 1.0
# Adam does not see it; gradients in half precision do, which might vanish without.
SCALE = 256.0

Synthesis = Callable[[Tensor, Sequence[LowRankPair | None]], Tensor]


def polish(
    synthesis: Synthesis,
    inverter: StyleTransformer,
    residual: LowRank,
    image: Tensor,
    w_plus: Tensor,
    steps: int,
) -> LowRank:
    """The residual after `steps` steps of Adam on its P and Q.

    synthesis: codes (1, L, D) and pairs for every 3x3 convolution -> (1, 3, R, R) float32. image: (1, 3, R,
    R) in [-1, 1], the aligned photo; w_plus: (L, D), its code, which stays. The networks are left untouched,
    and may be used by other threads meanwhile. Where a loss is not finite, what was reached before it comes
    back.
    """
    if not steps:
        return residual
    # What was made in inference mode can have no gradient: copies can.
    image, code = image.clone(), w_plus.clone()[None]
    pairs = [None if p is None else (_leaf(p[0]), _leaf(p[1])) for p in residual.tokens]
    tokens = [token for pair in pairs if pair is not None for token in pair]
    adam = torch.optim.Adam(tokens, RATE, BETAS, fused=True)
    with half_precision(image.device):
        loss_of = PictureLoss(inverter, image, WEIGHTS, enlargement=ENLARGEMENT)
    before = residual
    for step in range(steps):
        with half_precision(image.device):
            loss = SCALE * torch.stack(list(loss_of(synthesis(code, pairs)).values())).sum()
        if not bool(loss.isfinite()):
            return before
        if step:
            before = _stored(pairs)
        for token, gradient in zip(tokens, torch.autograd.grad(loss, tokens), strict=True):
            token.grad = gradient.contiguous()  # fused Adam reads memory in order, whatever the strides
        adam.step()
    with torch.no_grad(), half_precision(image.device):
        finite = bool(synthesis(code, pairs).isfinite().all())
    return _stored(pairs) if finite else before


def _leaf(token: Tensor) -> Tensor:
    """(L, C) -> (1, L, C), to be optimised."""
    return token.clone()[None].requires_grad_()


def _stored(pairs: Sequence[LowRankPair | None]) -> LowRank:
    return LowRank(
        tuple(None if p is None else (p[0].detach()[0].clone(), p[1].detach()[0].clone()) for p in pairs)
    )
