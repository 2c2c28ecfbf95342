"""MobileStyleGAN for inference: `network.py`'s mathematics in fewer passes over memory.

What the weights alone decide is computed once. A style scales a depthwise kernel, not the picture; the last
inverse Haar transform is part of the last kernel; high resolutions are computed in strips that stay in cache.
"""

import weakref
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.generators.mobile.config import MobileConfig
from core.generators.mobile.grid import remove_grid
from core.generators.mobile.layers import (
    SLOPE,
    Block,
    ModulatedConv,
    ToImage,
    inverse_haar,
    joining,
)
from core.generators.mobile.preview import PreviewHead
from core.generators.mobile.restart import Restarts, State, worth_keeping
from core.generators.residual import LowRank, Residual
from core.precision import layer_dtype

# Corrected kernels of the last portraits are kept, as a slider of one of them will be moved again.
KEPT_CORRECTIONS = 4
# How many of the picture's rows a CPU computes at a time, and from which size on. Measured.
STRIP, STRIPS_FROM = 64, 256
# float32's errors at these sizes are grown by all that follows: in float64 the worst pixel is twice as near
# to the exact one, for a few hundredths of a CPU's time.
EXACT_UP_TO = 8


class Rows(NamedTuple):
    """Rows [first, last) of a picture of so many."""

    first: int
    last: int
    of: int

    def wider(self, by: int) -> "Rows":
        """With so many more before and after, where there are."""
        return Rows(max(self.first - by, 0), min(self.last + by, self.of), self.of)

    @property
    def missing(self) -> tuple[int, int]:
        """How many rows a 3x3 kernel needs before and after that the picture does not have."""
        return int(self.first == 0), int(self.last == self.of)


class Style(NamedTuple):
    """An affine layer, with its gain: w (D,) -> (I,)."""

    weight: Tensor
    bias: Tensor

    def __call__(self, w: Tensor) -> Tensor:
        return torch.addmv(self.bias, self.weight, w)


def _style(affine: nn.Linear, gain: float, order: Tensor | None = None) -> Style:
    weight, bias = affine.weight.detach() * gain, affine.bias.detach() * gain
    return Style(weight, bias) if order is None else Style(weight[order], bias[order])


def by_bands(channels: int, device: torch.device) -> Tensor:
    """The order that puts Haar channels, high ones in threes, into four blocks of one band each."""
    group = torch.arange(channels // 4, device=device)
    return torch.cat([group, *(len(group) + 3 * group + band for band in range(3))])


class FoldedConv:
    """A `ModulatedConv`; its outputs are ordered by bands if an inverse Haar transform reads them."""

    def __init__(self, conv: ModulatedConv, dtype: torch.dtype, banded: bool) -> None:
        self.style = _style(conv.affine, conv.gain)
        self.depthwise = None if conv.depthwise is None else conv.depthwise.detach().clone()
        self.weight = conv.weight.detach()
        self.order = by_bands(len(conv.bias), conv.bias.device) if banded else None
        self.bias = self._ordered(conv.bias.detach()).to(dtype)
        self.noise = conv.noise.detach()[None, None].to(dtype)  # (1, 1, H, W)

    def kernel(self, added: Tensor | None = None) -> Tensor:
        """(O, I, k, k), the weight with what a residual adds, to be given to the call."""
        wide = self.weight if added is None else self.weight + added
        return self._ordered(wide).to(self.bias.dtype).contiguous(memory_format=torch.channels_last)

    def _ordered(self, x: Tensor) -> Tensor:
        return x if self.order is None else x[self.order]

    def __call__(self, x: Tensor, w: Tensor, kernel: Tensor, rows: Rows, banded: bool = True) -> Tensor:
        """x: (1, I, h, W), the rows that 3x3 kernels see of `rows`; w: (D,) -> (1, O, rows, W).

        banded: False gives the outputs in the network's own order.
        """
        style, bias = self.style(w)[:, None, None, None], self.bias  # (I, 1, 1, 1)
        if not banded and self.order is not None:
            back = self.order.argsort()
            kernel, bias = kernel[back], bias[back]
        if self.depthwise is None:
            x = F.conv2d(x * style.transpose(0, 1).to(x.dtype), kernel, bias, padding=1)
        else:
            x = F.conv2d(_depthwise(x, (self.depthwise * style).to(x.dtype), rows), kernel, bias)
        # In place: both results are nobody else's.
        return F.leaky_relu_(x.add_(self.noise[:, :, rows.first : rows.last]), SLOPE)


def _depthwise(x: Tensor, kernel: Tensor, rows: Rows) -> Tensor:
    above, below = rows.missing
    if above and below:
        if x.dtype == torch.float64:
            return _shifted(x, kernel)
        return F.conv2d(x, kernel, padding=1, groups=x.shape[1])
    if above or below:
        x = F.pad(x, (0, 0, above, below))
    return F.conv2d(x, kernel, padding=(0, 1), groups=x.shape[1])


def _shifted(x: Tensor, kernel: Tensor) -> Tensor:
    """The same of a whole picture in float64, where torch goes from channel to channel."""
    height, width = x.shape[2:]
    padded, out = F.pad(x, (1, 1, 1, 1)), torch.zeros_like(x)
    for r in range(3):
        for c in range(3):
            out.addcmul_(padded[:, :, r : r + height, c : c + width], kernel[:, 0, r, c, None, None])
    return out


def banded_inverse_haar(x: Tensor, style: Tensor) -> Tensor:
    """(1, 4C, H, W) in four blocks, times the style (4C,) -> (1, C, 2H, 2W), not halved."""
    x = (x * style[:, None, None].to(x.dtype)).permute(0, 2, 3, 1)  # (1, H, W, 4C)
    _, height, width, channels = x.shape
    a, h, v, d = x.chunk(4, 3)  # (1, H, W, C) each
    top, bottom, left, right = a + h, a - h, v + d, v - d
    out = x.new_empty(1, height, 2, width, 2, channels // 4)
    torch.add(top, left, out=out[:, :, 0, :, 0])
    torch.sub(top, left, out=out[:, :, 0, :, 1])
    torch.add(bottom, right, out=out[:, :, 1, :, 0])
    torch.sub(bottom, right, out=out[:, :, 1, :, 1])
    return out.view(1, 2 * height, 2 * width, channels // 4).permute(0, 3, 1, 2)


class FoldedBlock:
    """A `Block`, all of it or some of its rows."""

    def __init__(self, block: Block, dtype: torch.dtype, banded: bool) -> None:
        self.resolution = block.resolution
        order = by_bands(block.up.out_features, block.up.weight.device)
        self.up = _style(block.up, 0.5, order)  # the transform's own half
        self.conv1 = FoldedConv(block.conv1, dtype, False)
        self.conv2 = FoldedConv(block.conv2, dtype, banded)

    def __call__(
        self, x: Tensor, w: Tensor, kernels: Sequence[Tensor], rows: Rows, banded: bool = True
    ) -> Tensor:
        """x: (1, I, H, W), whole; w: (2, D) -> (1, O, rows, 2W)."""
        first, last, _ = rows.wider(2)  # even, as strips are
        x = x[:, :, first // 2 : last // 2].to(self.conv1.bias.dtype)
        x = banded_inverse_haar(x, self.up(w[0]))
        x = self.conv1(x, w[0], kernels[0], rows.wider(1))
        return self.conv2(x, w[1], kernels[1], rows, banded)

    def whole(self, x: Tensor, w: Tensor, kernels: Sequence[Tensor]) -> Tensor:
        """All rows: (1, O, 2H, 2W)."""
        strips = self.strips()
        if len(strips) == 1:
            return self(x, w, kernels, strips[0])
        outputs, side = len(self.conv2.bias), self.resolution
        out = x.new_empty(1, side, side, outputs, dtype=self.conv1.bias.dtype).permute(0, 3, 1, 2)
        for rows in strips:
            out[:, :, rows.first : rows.last] = self(x, w, kernels, rows)
        return out

    def strips(self) -> list[Rows]:
        """All rows, in parts to be computed one after the other."""
        side = self.resolution
        height = min(STRIP, side) if side >= STRIPS_FROM and self.conv1.bias.device.type == "cpu" else side
        return [Rows(first, first + height, side) for first in range(0, side, height)]


class FoldedImage:
    """`ToImage` with the inverse Haar transform behind it, or the halved low band of it."""

    def __init__(self, layer: ToImage) -> None:
        self.style = _style(layer.affine, layer.gain)
        weight, bias = layer.weight.detach()[:, :, 0, 0], layer.bias.detach()  # (12, I), (12,)
        # The transform's matrix: what it makes of each band's one pixel. Rows: colour, then place in 2x2.
        bands = torch.eye(12, dtype=weight.dtype, device=weight.device)[:, :, None, None]
        matrix = inverse_haar(bands).flatten(1).T  # (12, 12)
        self.full = (matrix @ weight, matrix @ bias)
        self.half = (weight[:3] / 2, bias[:3] / 2)

    def __call__(self, x: Tensor, w: Tensor, out: Tensor) -> None:
        """x: (1, I, h, W), w: (D,); written to out: (1, 3, 2h, 2W) or, at half the size, (1, 3, h, W)."""
        full = out.shape[2] > x.shape[2]
        weight, bias = self.full if full else self.half
        flat = x.permute(0, 2, 3, 1).flatten(0, 2)  # (h W, I)
        # As wide as the weights: bfloat16 near 1 has steps of two grey levels, and those make a grid. Pixels
        # are rows, as threads share rows: with twelve of them for all pixels one thread did it all.
        planes = F.linear(flat.to(weight.dtype), weight * self.style(w), bias).view(*x.shape[2:], -1)
        if full:
            planes = planes.unflatten(2, (3, 2, 2)).permute(2, 0, 3, 1, 4)  # (3, h, 2, W, 2)
            out.view(planes.shape).copy_(planes)
        else:
            out.copy_(planes.permute(2, 0, 1))


class FoldedPreview:
    """A `PreviewHead` of features in the network's own order, in strips as its block's."""

    def __init__(self, head: PreviewHead, dtype: torch.dtype) -> None:
        self.head, self.dtype = head, dtype
        # The 3x3 to colour as nine products of matrices, whose planes are small: (27, I), place by place.
        self.colour = head.colour_weight.detach().permute(2, 3, 0, 1).flatten(0, 2)
        self.fixed = head.colour_bias.detach() + head.fixed.detach()

    def __call__(self, strips: Iterable[Tensor], w: Tensor) -> Tensor:
        """strips: (1, I, h, S) each, all rows in order, w: (L, D) -> (1, 3, S, S), as wide as the weights."""
        first, second, third = (kernel.to(self.dtype) for kernel in self._kernels(w))
        biases = [
            bias.detach()[:, 0].to(self.dtype) for bias in (self.head.first_bias, self.head.second_bias)
        ]
        side, parts = self.fixed.shape[-1], []
        for strip in strips:
            for part in strip.permute(0, 2, 3, 1).flatten(0, 2).split(STRIP * side):  # (rows S, I)
                y = F.leaky_relu_(F.linear(part, first, biases[0]), SLOPE)
                y = F.leaky_relu_(F.linear(y, second, biases[1]), SLOPE)
                parts.append((third @ y.T).to(self.fixed.dtype))  # (27, rows S)
        planes = F.pad(torch.cat(parts, 1).view(3, 3, 3, side, side), (1, 1, 1, 1))
        out = self.fixed.clone()
        for r in range(3):
            for c in range(3):
                out += planes[r, c, :, r : r + side, c : c + side]
        return out[None]

    def _kernels(self, w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(width, I), (width, width) and (27, width), times the styles of what each is given."""
        head = self.head
        codes = w[None, -head.later :]  # (1, later, D)
        return (
            head.first_weight * head.style(w[None]),
            head.second_weight * head.second(codes[:, 1]),
            self.colour * head.last_style(w[None]),
        )


class Readable(Protocol):
    """What of a `MobileGenerator` its faster twins are made of."""

    config: MobileConfig
    sizes: tuple[int, ...]
    constant: nn.Parameter
    first: ModulatedConv
    blocks: nn.ModuleList
    to_image: ToImage
    previews: nn.ModuleDict

    def synthesis(
        self,
        w: Tensor,
        w_rgb: Tensor | None = None,
        residual: Residual | None = None,
        size: int | None = None,
    ) -> Tensor: ...


def _dtypes(config: MobileConfig, dtype: torch.dtype, device: torch.device) -> dict[int, torch.dtype]:
    """By side in px, from 4 to half the resolution: what layers compute in, on a device of this dtype."""
    sides = [4 * 2**i for i in range(len(config.channels))]
    found = {side: layer_dtype(dtype, side, config.resolution) for side in sides}
    if dtype == torch.float32 and device.type == "cpu":
        found |= {side: torch.float64 for side in sides if side <= EXACT_UP_TO}
    return found


class FoldedMobile:
    """The `Synthesizer` of this family."""

    def __init__(self, generator: Readable, dtype: torch.dtype) -> None:
        """generator: on the device to compute on; its weights are shared, and must not change."""
        config, self._generator = generator.config, generator
        self._sizes = generator.sizes
        dtypes = _dtypes(config, dtype, generator.constant.device)
        self._previews = {
            int(size): FoldedPreview(cast(PreviewHead, head), dtypes[int(size)])
            for size, head in generator.previews.items()
        }
        # Styles and the picture are never rounded more than the network's own weights.
        self._wide = generator.constant.dtype
        constant = generator.constant.detach().to(dtypes[4])
        self._constant = constant.contiguous(memory_format=torch.channels_last)
        self._first = FoldedConv(generator.first, dtypes[4], True)
        self._blocks = [
            FoldedBlock(block, dtypes[block.resolution], i < config.num_blocks)
            for i, block in enumerate(cast(list[Block], [*generator.blocks]), start=1)
        ]
        self._image = FoldedImage(generator.to_image)
        self._convs = [self._first, *(conv for b in self._blocks for conv in (b.conv1, b.conv2))]
        self._kernels = [conv.kernel() for conv in self._convs]
        self._restarts = Restarts()
        # Weakly: a portrait that is forgotten leaves nothing here.
        self._corrections: weakref.WeakKeyDictionary[Residual, tuple[float, list[Tensor]]] = (
            weakref.WeakKeyDictionary()
        )

    @torch.inference_mode()
    def render(
        self,
        w: Tensor,
        w_rgb: Tensor | None = None,
        residual: Residual | None = None,
        strength: float = 1.0,
        size: int | None = None,
    ) -> Tensor:
        """w: (B, L, D) -> (B, 3, S, S) float32, nominally [-1, 1], not clipped, without the Haar grid.

        residual: of the whole batch, strength in [0, 1] times; 0 is the same as none, bit for bit.
        The same arguments give the same bits, whatever was rendered before, and each of a batch alone.
        """
        if w_rgb is not None:
            raise ValueError("This generator has no colour codes")
        return remove_grid(self.raw(w, residual, strength, size)).float()

    def synthesis(self, w: Tensor, residual: LowRank) -> Tensor:
        """As the readable network's: with gradients to the residual, and with the Haar grid."""
        return self._generator.synthesis(w.to(self._constant.device, self._wide), residual=residual)

    @torch.inference_mode()
    def raw(
        self, w: Tensor, residual: Residual | None = None, strength: float = 1.0, size: int | None = None
    ) -> Tensor:
        """As `render`, with the Haar grid: what the readable network gives."""
        size = self._sizes[-1] if size is None else size
        if size not in self._sizes:
            raise ValueError(f"This generator makes pictures of {self._sizes} px")
        if strength == 0:
            residual = None
        if residual is None:
            strength = 0.0
        kernels = self._kernels if residual is None else self._corrected(residual, strength)
        w = w.to(self._constant.device, self._wide)
        pictures = [self._picture(codes, kernels, residual, strength, size) for codes in w]
        return torch.cat(pictures) if len(pictures) != 1 else pictures[0]

    def _picture(
        self, w: Tensor, kernels: list[Tensor], residual: Residual | None, strength: float, size: int
    ) -> Tensor:
        """w: (L, D) -> (1, 3, S, S)."""
        # A preview needs what comes before the picture's last blocks.
        seen = [i for i, b in enumerate(self._blocks) if size == b.resolution and size in self._previews]
        states = [
            state
            for state in self._restarts.known(w, residual, strength)
            if not seen or state.block <= seen[0]
        ]
        if states:
            first, x = states.pop()
        else:
            first, x = 0, self._first(self._constant, w[0], kernels[0], Rows(0, 4, 4))
        self._restarts.keep(w, residual, strength, states)
        for i, block in enumerate(self._blocks[first:], start=first):
            if worth_keeping(x):
                states.append(State(i, x))
            codes, pair = w[2 * i + 1 : 2 * i + 3], kernels[2 * i + 1 : 2 * i + 3]
            if i in seen:
                # Its features, in the network's own order, are never whole in memory.
                strips = (block(x, codes, pair, rows, banded=False) for rows in block.strips())
                return self._previews[size](strips, w)
            if block is not self._blocks[-1]:
                x = block.whole(x, codes, pair)
        return self._image_of(x, w, kernels, size)

    def _image_of(self, x: Tensor, w: Tensor, kernels: list[Tensor], size: int) -> Tensor:
        """The picture (1, 3, S, S) of the last block's input; its output is never whole in memory."""
        block, fold = self._blocks[-1], size // self._blocks[-1].resolution
        picture = x.new_empty(1, 3, size, size, dtype=self._wide)
        for rows in block.strips():
            strip = block(x, w[-3:-1], kernels[-2:], rows)
            self._image(strip, w[-1], picture[:, :, fold * rows.first : fold * rows.last])
        return picture

    def _corrected(self, residual: Residual, strength: float) -> list[Tensor]:
        known = self._corrections.pop(residual, None)
        if known is None or known[0] != strength:
            added = joining(residual, strength)
            known = strength, [conv.kernel(a) for conv, a in zip(self._convs, added, strict=True)]
        self._corrections[residual] = known  # as the last one used
        while len(self._corrections) > KEPT_CORRECTIONS:
            self._corrections.pop(next(iter(self._corrections)), None)
        return known[1]
