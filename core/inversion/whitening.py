"""Codes in W's own units: w = mean + v @ basis, where a sample's v is standard normal.

Directions of W differ in variance by orders of magnitude; descent and its pull to the mean work in v, where
they are alike (StyleGAN2's projector, Karras et al. 2020, appendix D, and Wulff and Torralba 2020).
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class HasCodes(Protocol):
    """What of a GeneratorFamily is needed here."""

    w_mean: Tensor

    def principal(self) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class Whitening:
    """mean: (L, D) codes; basis: (K, L, D) principal directions times their standard deviations."""

    mean: Tensor
    basis: Tensor

    @classmethod
    def of(cls, generator: HasCodes) -> "Whitening":
        return cls(generator.w_mean.detach().float(), generator.principal().detach().float())

    def codes(self, v: Tensor) -> Tensor:
        """Coordinates (B, L, K), one set a code, -> codes (B, L, D)."""
        return self.mean + torch.einsum("blk,kld->bld", v, self.basis)

    def coordinates(self, w: Tensor, inverse: Tensor | None = None) -> Tensor:
        """Codes (B, L, D) -> coordinates (B, L, K); of what the basis does not span, the nearest.

        inverse: `inverse()`, which takes a second, for whoever asks often.
        """
        inverse = self.inverse() if inverse is None else inverse
        return torch.einsum("bld,ldk->blk", (w - self.mean).double(), inverse).float()

    def inverse(self) -> Tensor:
        """(L, D, K) float64; directions of (almost) no variance get coordinate zero."""
        return torch.linalg.pinv(self.basis.permute(1, 0, 2).double(), rtol=1e-4)


def spread(v: Tensor) -> tuple[float, float]:
    """Root mean square of coordinates (L, K), and of their differences from the codes' mean.

    A sample of W has 1 and 0; one at psi .7 has .7 and 0.
    """
    return float(v.square().mean().sqrt()), float((v - v.mean(0)).square().mean().sqrt())
