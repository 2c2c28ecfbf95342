"""StyleGAN2 generator (Karras et al. 2020): mapping network, skip-toRGB synthesis, fixed noise."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from core.generators.family import CodeLayout, GeneratorFamily, Synthesizer
from core.generators.residual import LowRank, Residual
from core.generators.stylegan2.config import GeneratorConfig
from core.generators.stylegan2.folded import FoldedGenerator
from core.generators.stylegan2.layers import Block, Joined, Layers, MappingNetwork, StyledConv, ToRGB, run

# Of GANSpace, where samples come from z.
PRINCIPAL_SAMPLES = 10_000
SAMPLE_BATCH = 500  # each is mapped once, but comes as L codes


class Generator(GeneratorFamily):
    """The whole generator.

    Codes: the convolution at 4 px takes w[0], its toRGB w[1]; block b takes w[2b-1 .. 2b+1], so that its
    first code is also the toRGB code of the block before.
    """

    config: GeneratorConfig

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.resolution, self.w_dim, self.sizes = config.resolution, config.w_dim, (config.resolution,)
        # Code 2b - 1 acts on the 4 * 2**(b - 1) px that block b begins with, and on their toRGB.
        self.layout = CodeLayout(
            acts_at=tuple(4 * 2 ** (code // 2) for code in range(config.num_codes)),
            colour=tuple(range(1, config.num_codes, 2)),
        )
        c, d = config.channels, config.w_dim
        self.mapping = MappingNetwork(config.z_dim, d, config.mapping_layers)
        self.constant = nn.Parameter(torch.randn(1, c[0], 4, 4))
        self.first = StyledConv(c[0], c[0], d, 4, False, config.clamp)
        self.first_rgb = ToRGB(c[0], d, config.clamp)
        self.blocks = nn.ModuleList(
            Block(c[i - 1], c[i], d, 4 * 2**i, config.clamp) for i in range(1, config.num_blocks)
        )
        # The average w: centre of truncation, and what an inverter adds its offsets to.
        self.register_buffer("w_mean", torch.zeros(config.num_codes, d))
        # Gaussian over the W+ codes of real faces; the basis rows carry their standard deviations.
        self.register_buffer("code_mean", torch.zeros(config.num_codes, d))
        self.register_buffer("code_basis", torch.zeros(config.code_rank, config.num_codes * d))
        self.w_mean: Tensor
        self.code_mean: Tensor
        self.code_basis: Tensor

    @property
    def layers(self) -> Layers:
        """What synthesis runs through."""
        blocks = cast(Sequence[Block], self.blocks)
        return Layers(self.constant, self.first, self.first_rgb, blocks)

    def convolutions(self) -> list[StyledConv]:
        """The 3x3 convolutions in the order in which residuals name them (toRGB is never refined)."""
        return [self.first, *(conv for block in self.blocks for conv in (block.up, block.conv))]  # type: ignore[list-item]

    def synthesis(
        self,
        w: Tensor,
        w_rgb: Tensor | None = None,
        residual: Residual | None = None,
        size: int | None = None,
    ) -> Tensor:
        """As `GeneratorFamily.synthesis`; w_rgb: for toRGB.

        size: also a smaller one, where the RGB sum stops; that is no smaller picture of the same face, but
        progressive training needs it.
        """
        joined: Sequence[Joined] | None = None
        if isinstance(residual, LowRank):
            joined = [t if t is None or t[0].ndim == 3 else (t[0][None], t[1][None]) for t in residual.tokens]
        elif residual is not None:
            joined = residual.shifts
        return run(self.layers, w, w_rgb, joined, size)

    def forward(self, z: Tensor, psi: float = 1.0) -> Tensor:
        """z: (B, z_dim) -> (B, 3, R, R), every layer given the same code."""
        return self.synthesis(self.truncate(self.mapped(z), psi))

    def sample(self, n: int, psi: float = 1.0, seed: int = 0) -> Tensor:
        """(n, L, D) codes: from the Gaussian of encoded faces or, where there is none, mapped from z."""
        if not self.config.code_rank:
            return super().sample(n, psi, seed)
        random = torch.Generator().manual_seed(seed)
        z = torch.randn(n, len(self.code_basis), generator=random).to(self.code_basis)  # (n, K)
        offset = (z @ self.code_basis).view(n, self.config.num_codes, self.config.w_dim)
        return self.code_mean + psi * offset

    def principal(self) -> Tensor:
        """(K, L, D), float64: of a Gaussian over codes its basis.

        Of z through the mapping network, where all codes are one w, the principal axes of w times their
        standard deviations (GANSpace, Härkönen et al. 2020, section 2.1).
        """
        codes, width = self.config.num_codes, self.config.w_dim
        if self.config.code_rank:
            return self.code_basis.double().view(-1, codes, width)
        seeds = range(PRINCIPAL_SAMPLES // SAMPLE_BATCH)
        w = torch.cat([self.sample(SAMPLE_BATCH, seed=seed)[:, 0] for seed in seeds]).double()  # (N, D)
        variances, axes = torch.linalg.eigh(w.T.cov())
        rows = variances.clamp(min=0).sqrt() * axes  # (D, K), axes are columns
        return rows.T[:, None].expand(-1, codes, -1)

    def affines(self) -> list[tuple[int, Tensor]]:
        """Of the convolutions and, for the last code, which drives none, the last toRGB; in float64."""
        last_rgb = cast(Block, self.blocks[-1]).to_rgb if len(self.blocks) else self.first_rgb
        affines = [conv.affine for conv in self.convolutions()] + [last_rgb.affine]  # the i-th takes code i
        return [(code, affine.weight.double() * affine.gain) for code, affine in enumerate(affines)]

    def kernels(self) -> dict[str, Tensor]:
        """The 3x3 convolutions' weights with their gains, (O, I, 3, 3) each."""
        names = {id(module): name for name, module in self.named_modules()}
        return {f"{names[id(conv)]}.weight": conv.weight * conv.gain for conv in self.convolutions()}

    @property
    def low_rank(self) -> tuple[tuple[int, int], ...]:
        """(O, I) of each of `kernels`."""
        return self.config.low_rank

    def folded(self, dtype: torch.dtype) -> Synthesizer:
        """As `GeneratorFamily.folded`: `core.generators.stylegan2.folded`."""
        return FoldedGenerator(self.layers, dtype)
