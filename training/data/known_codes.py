"""Codes that the generator knows: what its pictures are made from, drawn without any inverter."""

import math

import torch
from torch import Tensor

from core.generators.stylegan2.network import Generator

STATISTICS_DRAWS = 4096


class KnownCodes:
    """Random codes, and their mean and deviation.

    A generator trained as a GAN has no Gaussian over codes yet: its mapping network is the source, one w for
    all layers. A bundle's generator carries a Gaussian fitted to encoded faces and that is the source; the
    mapping network of a jointly trained one has never been trained.

    mean: (L, D); deviation: (L, 1), root mean square over the width of a code.
    """

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self.fitted = bool(generator.code_basis.any())
        codes = self.draw(STATISTICS_DRAWS)
        self.mean = codes.mean(0)
        self.deviation = codes.var(0).mean(1, keepdim=True).sqrt()

    @torch.no_grad()
    def draw(self, count: int) -> Tensor:
        """(count, L, D) float32; follows torch's random state."""
        generator = self.generator
        if self.fitted:
            return generator.sample(count, seed=int(torch.randint(2**31, ())))
        z = torch.randn(count, generator.config.z_dim, device=generator.w_mean.device)
        return generator.mapped(z)

    def normalise(self, codes: Tensor) -> Tensor:
        """Codes (B, L, D) without their mean, in units of their deviation."""
        return (codes - self.mean) / self.deviation

    @property
    def length(self) -> float:
        """Typical norm of one code about its mean."""
        return self.deviation.square().mean().sqrt().item() * math.sqrt(self.mean.shape[1])
