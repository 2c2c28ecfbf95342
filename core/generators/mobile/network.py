"""MobileStyleGAN (Belousov 2021, arXiv 2104.04767), readable: what the files hold, differentiable.

A student of StyleGAN2: each block doubles the size by an inverse Haar transform and goes on with depthwise
separable convolutions. Nothing is demodulated by the style: the kernels were normalised when published.
"""

import math
from collections.abc import Mapping, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.generators.family import CodeLayout, GeneratorFamily, Synthesizer
from core.generators.mobile.config import MobileConfig
from core.generators.mobile.preview import preview_heads
from core.generators.residual import LowRank, Residual

SLOPE = 0.2
# Of the statistics of W, which every copy of the weights gives alike.
STATISTICS_SAMPLES, STATISTICS_SEED = 8192, 0


def inverse_haar(x: Tensor) -> Tensor:
    """(B, 4C, H, W) -> (B, C, 2H, 2W), orthonormal.

    Channels [0, C) are the low band; C groups of three follow: of each channel the differences across rows,
    across columns, and diagonal.
    """
    channels = x.shape[1] // 4
    a = x[:, :channels]
    h, v, d = x[:, channels:].unflatten(1, (channels, 3)).unbind(2)  # (B, C, H, W) each
    corners = [a + h + v + d, a + h - v - d, a - h + v - d, a - h - v + d]
    return F.pixel_shuffle(torch.stack(corners, 2).flatten(1, 2) / 2, 2)  # (B, 4C, H, W) -> (B, C, 2H, 2W)


class MappingNetwork(nn.Module):
    """z (B, z_dim) -> w (B, w_dim): pixel norm, then linear layers, leaky ReLU, times sqrt 2."""

    def __init__(self, z_dim: int, w_dim: int, layers: int) -> None:
        super().__init__()
        sizes = [z_dim] + [w_dim] * layers
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:], strict=False))

    def forward(self, z: Tensor) -> Tensor:
        x = z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), SLOPE) * math.sqrt(2.0)
        return x


class ModulatedConv(nn.Module):
    """x * style -> 3x3 convolution -> + fixed noise + bias -> leaky ReLU.

    The convolution is dense, or (`separable`) a depthwise 3x3 and then a pointwise one. `weight` is the dense
    or the pointwise kernel: what a residual joins.
    """

    def __init__(self, inputs: int, outputs: int, w_dim: int, resolution: int, separable: bool) -> None:
        super().__init__()
        self.affine = nn.Linear(w_dim, inputs)
        self.gain = 1 / math.sqrt(9 * inputs)  # of the style
        self.depthwise = nn.Parameter(torch.randn(inputs, 1, 3, 3) / 3) if separable else None
        side = 1 if separable else 3
        self.weight = nn.Parameter(torch.randn(outputs, inputs, side, side))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("noise", torch.randn(resolution, resolution) / 10)
        self.noise: Tensor

    def forward(self, x: Tensor, w: Tensor, added: Tensor | None = None) -> Tensor:
        """x: (B, I, H, W), w: (B, D) -> (B, O, H, W). added: to the kernel, (O, I, k, k) or with B before."""
        x = x * (self.affine(w) * self.gain)[:, :, None, None]
        if self.depthwise is not None:
            x = F.conv2d(x, self.depthwise, padding=1, groups=x.shape[1])
        kernel = self.weight if added is None else self.weight + added
        if kernel.ndim == 4:
            x = F.conv2d(x, kernel, padding=kernel.shape[-1] // 2)
        else:  # every sample has its own: in groups
            b, o, i, k, _ = kernel.shape
            x = x.reshape(1, b * i, *x.shape[2:])
            x = F.conv2d(x, kernel.reshape(b * o, i, k, k), padding=k // 2, groups=b).unflatten(1, (b, o))[0]
        return F.leaky_relu(x + self.noise + self.bias[:, None, None], SLOPE)


class Block(nn.Module):
    """Styled inverse Haar transform to twice the size, then two separable convolutions."""

    def __init__(self, inputs: int, outputs: int, w_dim: int, resolution: int) -> None:
        super().__init__()
        self.resolution = resolution
        self.up = nn.Linear(w_dim, inputs)
        self.conv1 = ModulatedConv(inputs // 4, outputs, w_dim, resolution, separable=True)
        self.conv2 = ModulatedConv(outputs, outputs, w_dim, resolution, separable=True)

    def forward(self, x: Tensor, w: Tensor, added: Sequence[Tensor | None] = (None, None)) -> Tensor:
        """x: (B, I, H, W), w: (B, 2, D) -> (B, O, 2H, 2W)."""
        x = inverse_haar(x * self.up(w[:, 0])[:, :, None, None])
        return self.conv2(self.conv1(x, w[:, 0], added[0]), w[:, 1], added[1])


class ToImage(nn.Module):
    """x * style -> pointwise convolution to the picture's twelve Haar bands."""

    def __init__(self, inputs: int, w_dim: int) -> None:
        super().__init__()
        self.affine = nn.Linear(w_dim, inputs)
        self.gain = 1 / math.sqrt(inputs)  # of the style
        self.weight = nn.Parameter(torch.randn(12, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(12))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x: (B, I, H, W), w: (B, D) -> (B, 12, H, W), bands in the order of `inverse_haar`."""
        return F.conv2d(x * (self.affine(w) * self.gain)[:, :, None, None], self.weight, self.bias)


class MobileGenerator(GeneratorFamily):
    """The whole generator, as the files hold it.

    Codes: the convolution at 4 px takes w[0]; block i's transform and first convolution w[2i+1], its second
    w[2i+2]; the picture's bands the last. `previews`: by size in px, what makes (B, 3, S, S) of the features
    (B, C, S, S) of the block of that size and the codes (B, L, D).
    """

    def __init__(self, config: MobileConfig, previews: Mapping[int, nn.Module] | None = None) -> None:
        """previews: heads that were made apart from the generator; None: new ones."""
        super().__init__()
        previews = preview_heads(config) if previews is None else previews
        if tuple(previews) != config.previews:
            raise ValueError(f"The config describes previews {config.previews}, given are {tuple(previews)}")
        self.config = config
        self.resolution, self.w_dim = config.resolution, config.w_dim
        c, d = config.channels, config.w_dim
        within = [4 * 2**i for i in range(1, len(c))]
        self.layout = CodeLayout(acts_at=(4, *(px for px in within for _ in range(2)), within[-1]))
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
    def low_rank(self) -> tuple[tuple[int, int], ...]:
        """(out, in) of each of `kernels`, all of which a low-rank residual may join."""
        return tuple((kernel.shape[0], kernel.shape[1]) for kernel in self.kernels().values())

    def folded(self, dtype: torch.dtype) -> Synthesizer:
        """See `GeneratorFamily.folded`; weights that it computes with as they are, it shares."""
        # Here, as it is made of this module's classes.
        from core.generators.mobile.folded import FoldedMobile

        return FoldedMobile(self, dtype)


def joining(residual: Residual, strength: float = 1.0) -> list[Tensor | None]:
    """What a residual, strength times, adds to each of `MobileGenerator.kernels`: (O, I, k, k) or None.

    P^T Q is alike at all positions of a kernel (RefineStyle, Equations 2 and 3): k = 1 serves for 3 as well.
    """
    if not isinstance(residual, LowRank):
        return [strength * shift for shift in residual.shifts]
    return [
        None if pair is None else (strength * (pair[0].mT @ pair[1]))[..., None, None]
        for pair in residual.tokens
    ]


def _styled(layer: ModulatedConv | ToImage) -> Tensor:
    return layer.affine.weight * layer.gain


@torch.no_grad()
def statistics(mapping: MappingNetwork, z_dim: int) -> tuple[Tensor, Tensor]:
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
