"""What a generator is to everybody else: data about its codes, and a few functions of them.

Nobody outside a family computes its anatomy: which code drives which layer, which kernels there are, where a
changed code lets the work begin again.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from core.generators.residual import LowRank, Residual, WeightShift


@dataclass(frozen=True)
class CodeLayout:
    """What the codes of W+ do.

    acts_at: side in px of the features that code i acts on first; as many as there are codes, ascending.
    colour: the codes that reach colour apart from the convolutions (toRGB's); (): none, and no colour mix.
    """

    acts_at: tuple[int, ...]
    colour: tuple[int, ...] = ()

    @property
    def num_codes(self) -> int:
        """Codes in W+."""
        return len(self.acts_at)


class Synthesizer(Protocol):
    """A generator made ready to render: folded, in one precision, with memories that change no bit.

    `render` is called by one thread at a time, or by two of which one gives it a residual; equal arguments
    give equal bits, whatever came before or goes on beside.
    """

    def render(
        self,
        w: Tensor,
        w_rgb: Tensor | None = None,
        residual: Residual | None = None,
        strength: float = 1.0,
        size: int | None = None,
    ) -> Tensor:
        """w: (B, L, D) float32 -> (B, 3, S, S) float32, nominally [-1, 1], as it is shown.

        w_rgb: (B, L, D), other codes for colour alone, where the layout has such codes. residual: of the
        whole batch, strength in [0, 1] times; 0 is the same as none, bit for bit. size: one of the family's
        `sizes`; None: the last.
        """

    def synthesis(self, w: Tensor, residual: LowRank) -> Tensor:
        """(B, 3, R, R) float32 with gradients to the residual's P (B, N, O) and Q (B, N, I).

        Changes nothing, so that another thread may render meanwhile.
        """


class GeneratorFamily(nn.Module, ABC):
    """A generator W+ (B, L, D) -> picture.

    config: frozen, with the entry `family` that names its class. resolution: R, of the full picture in px;
    sizes: those that a picture can be had in, ascending, the last is R. mapping: z (B, z_dim) -> w (B, D).
    w_mean: (L, D), the average code.
    """

    config: Any
    layout: CodeLayout
    resolution: int
    w_dim: int
    sizes: tuple[int, ...]
    mapping: nn.Module
    w_mean: Tensor

    def mapped(self, z: Tensor) -> Tensor:
        """z (B, z_dim), standard normal -> (B, L, D), every code the same w."""
        w: Tensor = self.mapping(z)
        return w[:, None].expand(-1, self.layout.num_codes, -1)

    def sample(self, n: int, psi: float = 1.0, seed: int = 0) -> Tensor:
        """(n, L, D) codes of faces that nobody has, mapped from z; psi: 0 is the mean face, 1 all variety."""
        random = torch.Generator().manual_seed(seed)
        z = torch.randn(n, self.config.z_dim, generator=random).to(self.w_mean)
        return self.truncate(self.mapped(z), psi)

    def truncate(self, w: Tensor, psi: float) -> Tensor:
        """Pull codes (B, L, D) towards the mean: w_mean + psi * (w - w_mean)."""
        return self.w_mean + psi * (w - self.w_mean)

    @abstractmethod
    def principal(self) -> Tensor:
        """(K, L, D): rows that span how samples vary; their covariance over flat codes is rows^T rows."""

    @abstractmethod
    def synthesis(
        self,
        w: Tensor,
        w_rgb: Tensor | None = None,
        residual: Residual | None = None,
        size: int | None = None,
    ) -> Tensor:
        """w: (B, L, D) -> (B, 3, S, S) float32, nominally [-1, 1], not clipped; differentiable.

        w_rgb, size: as in `Synthesizer.render`. residual: joins the kernels, and may be differentiated too;
        a LowRank's pairs may have a batch in front, P (B, N, O) and Q (B, N, I).
        """

    @abstractmethod
    def affines(self) -> list[tuple[int, Tensor]]:
        """(code, (I, D) weight with its gain) of the layers that SeFa looks at (Shen and Zhou 2021)."""

    @abstractmethod
    def kernels(self) -> dict[str, Tensor]:
        """By name, in the order of a `WeightShift`: kernels (O, I, k, k) with their gain, which it shifts."""

    @property
    def refined(self) -> tuple[int, ...]:
        """Places in `kernels` of those worth correcting for one portrait; others stay as they are."""
        return tuple(range(len(self.kernels())))

    @property
    @abstractmethod
    def low_rank(self) -> tuple[tuple[int, int], ...] | None:
        """(O, I) of each kernel that a `LowRank` may join, in its order; None: of this family, none."""

    @abstractmethod
    def folded(self, dtype: torch.dtype) -> Synthesizer:
        """The generator made ready to render where it is, in `dtype` as far as it is safe.

        Weights may be shared: they must not change any more.
        """

    def descended(self, size: int, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
        """`synthesis` at `size` px for descent: codes (B, L, D) -> (B, 3, S, S), gradients to codes only.

        dtype: to compute in where the family has a faster way; weights are those of now.
        """
        return lambda w: self.synthesis(w, size=size)

    def tuned(self, size: int, dtype: torch.dtype) -> Callable[[Tensor, Residual], Tensor]:
        """`synthesis` at `size` px for refinement: codes (B, L, D) and a residual -> (B, 3, S, S) float32.

        Gradients to the residual only, which has no batch. dtype: as for `descended`, elsewhere of autocast.
        """

        def picture(w: Tensor, residual: Residual) -> Tensor:
            with torch.autocast(w.device.type, dtype, enabled=dtype != torch.float32):
                return self.synthesis(w, residual=residual, size=size).float()

        return picture

    def followed(self, size: int) -> int:
        """Of how many codes, from the first on, pictures of `size` px show what the full picture shows.

        What the others do is estimated where those pictures are previews.
        """
        return self.layout.num_codes

    def fits(self, residual: Residual) -> bool:
        """Whether the residual is of this generator's kernels."""
        if isinstance(residual, WeightShift):
            return [s.shape for s in residual.shifts] == [k.shape for k in self.kernels().values()]
        if self.low_rank is None or len(residual.tokens) != len(self.low_rank):
            return False
        return all(
            pair is None or [t.shape for t in pair] == [(len(pair[0]), outputs), (len(pair[0]), inputs)]
            for pair, (outputs, inputs) in zip(residual.tokens, self.low_rank, strict=True)
        )
