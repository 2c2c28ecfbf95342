"""Where gradients of a descent lie: fixed directions of coordinates, and Adam in them.

Gradients of photos' losses by whitened coordinates lie in few directions, much the same for all photos: sixty
of 512 hold 99 % of their square. Adam (Kingma and Ba 2015) normalises coordinates, of which each has a
little of all directions; in the eigenvectors of E[g g^T], as in SOAP (Vyas et al. 2024, Algorithm 3), it
normalises what a photo asks for. SOAP finds these vectors as it goes. Ours come from descents of other photos
(`training.loops.gradient_basis`); what lies outside of them hardly moves, which keeps codes near the mean.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from core.network_config import GradientBasisConfig

# Keeps what has no gradient where it is.
EPS = 1e-16


class GradientBasis(nn.Module):
    """Of G groups of K coordinates each: the first is what codes share, then each free code's own.

    vectors: (G, K, R) orthonormal columns. shares: (G, R) of the square of a gradient, what lies along each;
    of the first group's gradient, and of all other groups' together.
    """

    def __init__(self, config: GradientBasisConfig) -> None:
        super().__init__()
        self.config = config
        groups, coordinates, rank = config.groups, config.coordinates, config.rank
        self.register_buffer("vectors", torch.zeros(groups, coordinates, rank))
        self.register_buffer("shares", torch.zeros(groups, rank))
        self.vectors: Tensor
        self.shares: Tensor

    def part(self, groups: slice) -> tuple[Tensor, Tensor]:
        """Vectors and shares of some of the groups."""
        return self.vectors[groups], self.shares[groups]

    @classmethod
    def plain(cls, groups: int, coordinates: int) -> "GradientBasis":
        """Where nothing was gathered: each coordinate is a direction, and all are alike."""
        basis = cls(GradientBasisConfig(groups, coordinates, coordinates))
        basis.vectors.copy_(torch.eye(coordinates))
        basis.shares[:1], basis.shares[1:] = 1 / coordinates, 1 / coordinates / (groups - 1)
        return basis


@dataclass(frozen=True)
class AdamSettings:
    """betas: Adam's memory, short because steps are few. damping: of the mean square of a gradient, what is
    added to that of each direction: smaller ones are not normalised up to the size of the others. prior: for
    how many steps the basis' shares stand in for squares that were not seen yet.
    """

    betas: tuple[float, float] = (0.8, 0.95)
    damping: float = 0.1
    prior: float = 5.0


class Adam:
    """Of gradients (G, K), in the directions of a basis; what lies outside of it is normalised as a whole."""

    def __init__(self, vectors: Tensor, shares: Tensor, settings: AdamSettings) -> None:
        """vectors: (G, K, R), shares: (G, R), both of `GradientBasis.part`."""
        self._vectors, self._shares, self._settings = vectors, shares, settings
        self._mean = vectors.new_zeros(vectors.shape[:2])
        self._squares, self._rest, self._all = (
            torch.zeros_like(shares),
            vectors.new_zeros(()),
            vectors.new_zeros(()),
        )
        self._steps = 0

    def direction(self, gradient: Tensor) -> Tensor:
        """Where to go, (G, K), of about one in each direction that gradients take."""
        (keep_mean, keep_square), damping = self._settings.betas, self._settings.damping
        self._steps += 1
        along, rest = self._split(gradient)
        self._mean = torch.lerp(gradient, self._mean, keep_mean)
        self._squares = torch.lerp(along.square(), self._squares, keep_square)
        self._rest = torch.lerp(rest.square().mean(), self._rest, keep_square)
        self._all = torch.lerp(gradient.square().mean(), self._all, keep_square)
        # What was not seen yet counts nothing (Adam's Algorithm 1, bias correction).
        seen = 1 - keep_square**self._steps
        told = self._settings.prior / (self._settings.prior + self._steps)
        expected = self._shares * self._all * gradient.numel()
        squares = (told * expected + (1 - told) * self._squares) / seen  # (G, R)
        floor = damping * self._all / seen + EPS
        along, rest = self._split(self._mean / (1 - keep_mean**self._steps))
        along, rest = along * (squares + floor).rsqrt(), rest * (self._rest / seen + floor).rsqrt()
        return rest + torch.einsum("gkr,gr->gk", self._vectors, along)

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(G, K) -> along the basis (G, R), and what is left (G, K)."""
        along = torch.einsum("gkr,gk->gr", self._vectors, x)
        return along, x - torch.einsum("gkr,gr->gk", self._vectors, along)
