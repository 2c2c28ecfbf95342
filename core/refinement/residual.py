"""What refinement found out about one portrait, kept beside its codes and used by every later edit."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class LowRank:
    """RefineStyle's residual: for each 3x3 convolution None, or P (L, O) and Q (L, I), float32.

    P^T Q joins the modulated kernel. Order: `Generator.convolutions`.
    """

    tokens: tuple[tuple[Tensor, Tensor] | None, ...]

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return sum(p.nbytes + q.nbytes for p, q in filter(None, self.tokens))


@dataclass(frozen=True, eq=False)
class WeightShift:
    """A correction of all weights, made for one portrait: (O, I, 3, 3) for each 3x3 convolution.

    Each is added to the convolution's weight with its gain applied. Order: `Generator.convolutions`.
    """

    shifts: tuple[Tensor, ...]

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return sum(shift.nbytes for shift in self.shifts)


Residual = LowRank | WeightShift
