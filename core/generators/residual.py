"""What refinement found out about one portrait, kept beside its codes and used by every later edit."""

from dataclasses import dataclass

import torch
from torch import Tensor

from core.generators.stylegan2.network import Generator


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

    def to(self, device: torch.device) -> "LowRank":
        """The same on `device`."""
        return LowRank(
            tuple(None if pair is None else (pair[0].to(device), pair[1].to(device)) for pair in self.tokens)
        )

    def fits(self, generator: Generator) -> bool:
        """Whether it is one of this generator's."""
        convolutions = generator.convolutions()
        if len(self.tokens) != len(convolutions):
            return False
        for pair, convolution in zip(self.tokens, convolutions, strict=True):
            outputs, inputs, *_ = convolution.weight.shape
            count = 0 if pair is None else len(pair[0])
            if pair is not None and [t.shape for t in pair] != [(count, outputs), (count, inputs)]:
                return False
        return True


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

    def to(self, device: torch.device) -> "WeightShift":
        """The same on `device`."""
        return WeightShift(tuple(shift.to(device) for shift in self.shifts))

    def fits(self, generator: Generator) -> bool:
        """Whether it is one of this generator's."""
        wanted = [convolution.weight.shape for convolution in generator.convolutions()]
        return [shift.shape for shift in self.shifts] == wanted


Residual = LowRank | WeightShift
