"""W+ codes seen as one base code plus an offset for each layer: e4e's first principle.

Tov et al. 2021 ("Designing an encoder for StyleGAN image manipulation"): an encoder stays close to W, and so
editable, if it emits a base w and small offsets d_i, w_i = w + d_i, penalised by their L2 norm and let free
layer by layer. Our inverter emits all L codes at once: the first one is the base, the offsets are the
differences to it. Codes are taken relative to a centre (L, D), the mean code of each layer, which cancels
where the codes come from one mapping network. A generator trained jointly with its inverter shares as much of
one W as its training left it: `training.judging.editability` reports how much (0: all of it).
"""

import torch
from torch import Tensor


def offset_penalty(codes: Tensor, centre: Tensor) -> Tensor:
    """Mean over faces and over the codes after the first of |d_i|. codes: (B, L, D), centre: (L, D)."""
    relative = codes - centre
    return (relative[:, 1:] - relative[:, :1]).norm(dim=2).mean()


def free_codes(step: int, hold: int, count: int) -> int:
    """How many of `count` codes are their own at this step; the others repeat the first.

    For the first `hold` steps one, then one more, and another after every hold / count steps. 0: all, always.
    """
    if hold == 0:
        return count
    return 1 if step < hold else min(count, 2 + (step - hold) * count // hold)


def tie_codes(codes: Tensor, centre: Tensor, free: int) -> Tensor:
    """(B, L, D) with zero offsets from code `free` on: centre_i + (w_0 - centre_0). centre: (L, D)."""
    base = codes[:, :1] - centre[:1]
    return torch.cat([codes[:, :free], centre[free:] + base], 1)
