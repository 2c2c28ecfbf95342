"""MobileStyleGAN (Belousov 2021, arXiv 2104.04767), readable: what the files hold, differentiable.

A student of StyleGAN2: each block doubles the size by an inverse Haar transform and goes on with depthwise
separable convolutions. Nothing is demodulated by the style: the kernels were normalised when published.
"""

from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor, nn

from core.generators.family import CodeLayout, GeneratorFamily, Synthesizer
from core.generators.mobile.config import MobileConfig
from core.generators.mobile.folded import FoldedMobile
from core.generators.mobile.gradients import DescendedMobile
from core.generators.mobile.layers import Block, MappingNetwork, ModulatedConv, ToImage, inverse_haar, joining
from core.generators.mobile.preview import PreviewHead, preview_heads
from core.generators.mobile.tuned import TunedMobile
from core.generators.residual import Residual

# Of the statistics of W, which every copy of the weights gives alike.
STATISTICS_SAMPLES, STATISTICS_SEED = 8192, 0


class MobileGenerator(GeneratorFamily):
    """The whole generator, as the files hold it.

    Codes: the convolution at 4 px takes w[0]; block i's transform and first convolution w[2i+1], its second
    w[2i+2]; the picture's bands the last. previews: by size in px, modules that make (B, 3, S, S) of the
    features (B, C, S, S) of the block of that size and the codes (B, L, D); None: new `preview_heads`.
    """

    def __init__(self, config: MobileConfig, previews: Mapping[int, nn.Module] | None = None) -> None:
        super().__init__()
        previews = preview_heads(config) if previews is None else previews
        if tuple(previews) != config.previews:
            raise ValueError(f"The config describes previews {config.previews}, given are {tuple(previews)}")
        self.config = config
        self.resolution, self.w_dim = config.resolution, config.w_dim
        c, d = config.channels, config.w_dim
        within = [4 * 2**i for i in range(1, len(c))]
        # Code 2i + 1 acts first on the features that block i's transform then doubles, as StyleGAN2's does.
        self.layout = CodeLayout(acts_at=tuple(px for px in (4, *within) for _ in range(2)))
        self.sizes = (*config.previews, self.resolution // 2, self.resolution)
        self.mapping = MappingNetwork(config.z_dim, d, config.mapping_layers)
        self.constant = nn.Parameter(torch.randn(1, c[0], 4, 4))
        self.first = ModulatedConv(c[0], c[0], d, 4, separable=False)
        self.blocks = nn.ModuleList(
            Block(inputs, outputs, d, px) for inputs, outputs, px in zip(c, c[1:], within, strict=False)
        )
        self.to_image = ToImage(c[-1], d)
        self.previews = nn.ModuleDict({str(size): head for size, head in previews.items()})
        # Of `statistics`: the average w for each code, and the axes of W times their standard deviations.
        self.register_buffer("w_mean", torch.zeros(config.num_codes, d))
        self.register_buffer("w_basis", torch.zeros(d, d))
        self.w_mean: Tensor
        self.w_basis: Tensor

    def synthesis(
        self,
        w: Tensor,
        w_rgb: Tensor | None = None,
        residual: Residual | None = None,
        size: int | None = None,
    ) -> Tensor:
        """w: (B, L, D) -> (B, 3, S, S), nominally [-1, 1], not clipped, with its Haar grid.

        w_rgb: None, as no code reaches colour apart from the others. residual: joins the kernels; its pairs
        may have a batch dimension in front, P (B, R, O) and Q (B, R, I). size: of `sizes`; None: the last.
        """
        size = self.resolution if size is None else size
        if w_rgb is not None or size not in self.sizes:
            raise ValueError(f"This generator has no colour codes, and pictures of {self.sizes} px")
        added = [None] * len(self.kernels()) if residual is None else joining(residual)
        x = self.first(self.constant.expand(len(w), -1, -1, -1), w[:, 0], added[0])
        for i, module in enumerate(self.blocks):
            block = cast(Block, module)
            x = block(x, w[:, 2 * i + 1 : 2 * i + 3], added[2 * i + 1 : 2 * i + 3])
            if size == block.resolution and size in self.config.previews:
                return self.previews[str(size)](x, w)
        bands = self.to_image(x, w[:, -1])
        # The mean of 2x2 pixels is half the low band, exactly: the others cancel.
        return inverse_haar(bands) if size == self.resolution else bands[:, :3] / 2

    def principal(self) -> Tensor:
        """(K, L, D): W's principal axes (GANSpace), largest first, times their standard deviations."""
        return self.w_basis[:, None].expand(-1, self.config.num_codes, -1)

    def affines(self) -> list[tuple[int, Tensor]]:
        """(code, (I, D)) of every style: its weight, with its gain (SeFa, Shen and Zhou 2021)."""
        found = [(0, _styled(self.first))]
        for i, module in enumerate(self.blocks):
            block = cast(Block, module)
            first, second = 2 * i + 1, 2 * i + 2
            found += [(first, block.up.weight), (first, _styled(block.conv1)), (second, _styled(block.conv2))]
        return [*found, (self.config.num_codes - 1, _styled(self.to_image))]

    def kernels(self) -> dict[str, Tensor]:
        """By name, from the input on: the dense kernel (O, I, 3, 3), then the pointwise ones (O, I, 1, 1)."""
        named = {"first.weight": self.first.weight}
        for i, module in enumerate(self.blocks):
            block = cast(Block, module)
            named[f"blocks.{i}.conv1.weight"] = block.conv1.weight
            named[f"blocks.{i}.conv2.weight"] = block.conv2.weight
        return named  # type: ignore[return-value]  # Parameters are Tensors

    @property
    def refined(self) -> tuple[int, ...]:
        """The pointwise ones: the dense kernel has more numbers than all of them, and acts on 16 pixels."""
        return tuple(range(1, len(self.kernels())))

    @property
    def low_rank(self) -> tuple[tuple[int, int], ...]:
        """(out, in) of each of `kernels`, all of which a low-rank residual may join."""
        return tuple((kernel.shape[0], kernel.shape[1]) for kernel in self.kernels().values())

    def folded(self, dtype: torch.dtype) -> Synthesizer:
        """See `GeneratorFamily.folded`; weights that it computes with as they are, it shares."""
        return FoldedMobile(self, dtype)

    def descended(self, size: int, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
        """See `GeneratorFamily.descended`; through a preview, in fewer passes over memory."""
        if size not in self.config.previews:
            return super().descended(size, dtype)
        return DescendedMobile(self, size, dtype)

    def tuned(self, size: int, dtype: torch.dtype) -> Callable[[Tensor, Residual], Tensor]:
        """See `GeneratorFamily.tuned`; in fewer passes over memory, at every size."""
        return TunedMobile(self, size, dtype)

    def followed(self, size: int) -> int:
        """See `GeneratorFamily.followed`; what acts after its features, a preview knows by its head alone."""
        if size not in self.config.previews:
            return super().followed(size)
        return self.layout.num_codes - cast(PreviewHead, self.previews[str(size)]).later


def _styled(layer: ModulatedConv | ToImage) -> Tensor:
    return layer.affine.weight * layer.gain


@torch.no_grad()
def statistics(mapping: nn.Module, z_dim: int) -> tuple[Tensor, Tensor]:
    """The mean (D,) of W, and its principal axes times their standard deviations (D, D), largest first.

    In float64 from STATISTICS_SAMPLES samples of a fixed seed. w = mean + v @ axes has W's covariance for
    normal v; of no variance at all, an axis is zero. Each axis has its largest entry positive.
    """
    random = torch.Generator().manual_seed(STATISTICS_SEED)
    z = torch.randn(STATISTICS_SAMPLES, z_dim, generator=random).to(next(mapping.parameters()))
    w = torch.cat([mapping(part) for part in z.split(1024)]).double()  # (N, D)
    mean = w.mean(0)
    values, vectors = torch.linalg.eigh((w - mean).T.cov())  # ascending; vectors in columns
    axes = vectors.T.flip(0)
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))  # (D, 1)
    return mean, axes * largest.sign() * values.flip(0).clamp(min=0).sqrt()[:, None]
