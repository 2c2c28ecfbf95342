"""What refinement found out about one portrait, kept beside its codes and used by every later edit."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class LowRank:
    """RefineStyle's residual: for each kernel None, or P (N, O) and Q (N, I), float32.

    P^T Q joins the modulated kernel at all of its positions. Order: `GeneratorFamily.low_rank`.
    """

    tokens: tuple[tuple[Tensor, Tensor] | None, ...]

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return sum(p.nbytes + q.nbytes for p, q in filter(None, self.tokens))

    def to(self, device: torch.device) -> "LowRank":
        """The same on `device`."""
        return LowRank(
            tuple(None if pair is None else (pair[0].to(device), pair[1].to(device)) for pair in self.tokens)
        )


@dataclass(frozen=True, eq=False)
class WeightShift:
    """A correction of the weights, made for one portrait: (O, I, k, k) for each of `GeneratorFamily.kernels`.

    Each is added to the kernel with its gain applied.
    """

    shifts: tuple[Tensor, ...]

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return sum(shift.nbytes for shift in self.shifts)

    def to(self, device: torch.device) -> "WeightShift":
        """The same on `device`."""
        return WeightShift(tuple(shift.to(device) for shift in self.shifts))


Residual = LowRank | WeightShift
