"""How much of each coordinate of a code shows in the picture: what an error of it should count."""

import torch
from torch import Tensor

from core.inversion.descents import Descents

CODES, PROBES, PSI = 6, 4, 0.7


def visible(descents: Descents, seed: int = 0) -> Tensor:
    """(L, K), one on average: rms change of the picture's pixels for a step of each coordinate.

    The Jacobian's columns are measured at a few random codes by random projections: for r standard normal,
    J^T r has in each place the column's norm as its deviation (Hutchinson 1990). The norm, not its square, is
    what counts: fine codes change few pixels, and those are looked at.
    """
    whitening, random = descents.whitening, torch.Generator().manual_seed(seed)
    length, width, device = len(whitening.mean), len(whitening.basis), whitening.mean.device
    total = torch.zeros(length, width, device=device)
    for _ in range(CODES):
        one = PSI * torch.randn(1, 1, width, generator=random)
        v = one.to(device).expand(1, length, -1).clone().requires_grad_()
        picture = descents.synthesis(whitening.codes(v))
        for i in range(PROBES):
            probe = torch.randn(picture.shape, generator=random).to(device)
            (gradient,) = torch.autograd.grad(picture, v, probe, retain_graph=i + 1 < PROBES)
            total += gradient[0].square()
    norms = total.sqrt()
    if descents.free is not None:
        # What follows other codes anyway is nobody's to find.
        norms[descents.free :] = 0
    return norms / norms.mean()
