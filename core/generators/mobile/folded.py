"""MobileStyleGAN for inference: `network.py`'s mathematics in fewer passes over memory.

What the weights alone decide is computed once. A style scales a depthwise kernel, not the picture; the last
inverse Haar transform is part of the last kernel; high resolutions are computed in strips that stay in cache.
"""

import functools
import weakref
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.generators.mobile.choosing import passes_for
from core.generators.mobile.config import MobileConfig
from core.generators.mobile.graphed import Capture, Compute, Computed, Graphs, Kernels, capture_for
from core.generators.mobile.grid import remove_grid
from core.generators.mobile.layers import (
    SLOPE,
    Block,
    ModulatedConv,
    ToImage,
    inverse_haar,
    joining,
)
from core.generators.mobile.passes import Passes, Rows, depthwise
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

    def __init__(self, conv: ModulatedConv, dtype: torch.dtype, banded: bool, passes: Passes) -> None:
        self.style = _style(conv.affine, conv.gain)
        self.depthwise = None if conv.depthwise is None else conv.depthwise.detach().clone()
        self.weight = conv.weight.detach()
        self.order = by_bands(len(conv.bias), conv.bias.device) if banded else None
        self.back = None if self.order is None else self.order.argsort()
        self.bias = self._ordered(conv.bias.detach()).to(dtype)
        self.noise = conv.noise.detach()[None, None].to(dtype)  # (1, 1, H, W)
        self._passes = passes

    def kernel(self, added: Tensor | None = None) -> Tensor:
        """(O, I, k, k), the weight with what a residual adds, to be given to `mixed`."""
        wide = self.weight if added is None else self.weight + added
        return self._ordered(wide).to(self.bias.dtype).contiguous(memory_format=torch.channels_last)

    def _ordered(self, x: Tensor) -> Tensor:
        return x if self.order is None else x[self.order]

    def dense(self, x: Tensor, w: Tensor, kernel: Tensor) -> Tensor:
        """Of a 3x3 kernel that is not separable: x: (1, I, H, W), w: (D,) -> (1, O, H, W)."""
        side = x.shape[2]
        return self.mixed(x * self.style(w)[:, None, None].to(x.dtype), kernel, Rows(0, side, side))

    def taps(self, w: Tensor) -> Tensor:
        """(I, 1, 3, 3), as wide as the weights: the depthwise kernel of the code w (D,)."""
        assert self.depthwise is not None, "a dense kernel has none"
        return self.depthwise * self.style(w)[:, None, None, None]

    def mixed(self, x: Tensor, kernel: Tensor, rows: Rows, banded: bool = True) -> Tensor:
        """What comes after the style and the depthwise kernel: x: (1, I, rows, W) -> (1, O, rows, W).

        banded: False gives the outputs in the network's own order.
        """
        bias = self.bias
        if not banded and self.back is not None:
            kernel, bias = kernel[self.back], bias[self.back]
        return self._passes.mixed(x, kernel, bias, self.noise[:, :, rows.first : rows.last])


class FoldedBlock:
    """A `Block`, all of it or some of its rows."""

    def __init__(self, block: Block, dtype: torch.dtype, banded: bool, passes: Passes) -> None:
        self.resolution, self._passes = block.resolution, passes
        order = by_bands(block.up.out_features, block.up.weight.device)
        self.up = _style(block.up, 0.5, order)  # the transform's own half
        self.conv1 = FoldedConv(block.conv1, dtype, False, passes)
        self.conv2 = FoldedConv(block.conv2, dtype, banded, passes)

    def __call__(
        self, x: Tensor, w: Tensor, kernels: Sequence[Tensor], rows: Rows, banded: bool = True
    ) -> Tensor:
        """x: (1, I, H, W), whole; w: (2, D) -> (1, O, rows, 2W)."""
        first, last, _ = rows.wider(2)  # even, as strips are
        x = x[:, :, first // 2 : last // 2].to(self.conv1.bias.dtype)
        x = self._passes.spread(x, self.up(w[0]), self.conv1.taps(w[0]), rows.wider(1))
        x = self.conv1.mixed(x, kernels[0], rows.wider(1))
        return self.conv2.mixed(depthwise(x, self.conv2.taps(w[1]), rows), kernels[1], rows, banded)

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

    def __init__(
        self,
        generator: Readable,
        dtype: torch.dtype,
        passes: Passes | None = None,
        capture: Capture | None = None,
    ) -> None:
        """generator: on the device to compute on; its weights are shared, and must not change.

        passes, capture: None: the device's. With graphs of its pictures it records all of them now.
        """
        config, self._generator = generator.config, generator
        self._sizes = generator.sizes
        device = generator.constant.device
        passes = passes_for(device.type) if passes is None else passes
        dtypes = _dtypes(config, dtype, device)
        self._previews = {
            int(size): FoldedPreview(cast(PreviewHead, head), dtypes[int(size)])
            for size, head in generator.previews.items()
        }
        # Styles and the picture are never rounded more than the network's own weights.
        self._wide = generator.constant.dtype
        constant = generator.constant.detach().to(dtypes[4])
        self._constant = constant.contiguous(memory_format=torch.channels_last)
        self._first = FoldedConv(generator.first, dtypes[4], True, passes)
        self._blocks = [
            FoldedBlock(block, dtypes[block.resolution], i < config.num_blocks, passes)
            for i, block in enumerate(cast(list[Block], [*generator.blocks]), start=1)
        ]
        self._image = FoldedImage(generator.to_image)
        self._convs = [self._first, *(conv for b in self._blocks for conv in (b.conv1, b.conv2))]
        self._kernels = Kernels(conv.kernel() for conv in self._convs)
        self._restarts = Restarts()
        # Weakly: a portrait that is forgotten leaves nothing here.
        self._corrections: weakref.WeakKeyDictionary[Residual, tuple[float, Kernels]] = (
            weakref.WeakKeyDictionary()
        )
        capture = capture_for(device) if capture is None else capture
        self._graphs = None if capture is None else Graphs(capture)
        if self._graphs is not None:
            self._record(self._graphs)

    @property
    def graphs(self) -> int:
        """How many graphs make its pictures; none where there are no graphs, or they were given up."""
        return 0 if self._graphs is None else len(self._graphs)

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
        compute = self._shown if self._graphs is None else functools.partial(self._graphs, self._shown)
        return self._pictures(compute, w, residual, strength, size)

    def synthesis(self, w: Tensor, residual: LowRank) -> Tensor:
        """As the readable network's: with gradients to the residual, and with the Haar grid."""
        return self._generator.synthesis(w.to(self._constant.device, self._wide), residual=residual)

    @torch.inference_mode()
    def raw(
        self, w: Tensor, residual: Residual | None = None, strength: float = 1.0, size: int | None = None
    ) -> Tensor:
        """As `render`, with the Haar grid: what the readable network gives. By no graph."""
        return self._pictures(self._computed, w, residual, strength, size)

    def _pictures(
        self, compute: Compute, w: Tensor, residual: Residual | None, strength: float, size: int | None
    ) -> Tensor:
        """w: (B, L, D) -> (B, 3, S, S), each picture by itself."""
        size = self._sizes[-1] if size is None else size
        if size not in self._sizes:
            raise ValueError(f"This generator makes pictures of {self._sizes} px")
        if strength == 0:
            residual = None
        if residual is None:
            strength = 0.0
        kernels = self._kernels if residual is None else self._corrected(residual, strength)
        pictures = []
        for codes in w.to(self._constant.device, self._wide):
            states = self._restarts.known(codes, residual, strength)
            states = [state for state in states if self._may_start(state, size)]
            self._restarts.keep(codes, residual, strength, states)
            computed = compute(codes, kernels, states[-1] if states else None, size)
            states.extend(computed.states)
            pictures.append(computed.picture)
        return torch.cat(pictures) if len(pictures) != 1 else pictures[0]

    def _may_start(self, state: State, size: int) -> bool:
        """A preview needs what comes before the picture's last blocks."""
        return size not in self._previews or self._blocks[state.block].resolution <= size

    def _shown(self, w: Tensor, kernels: Kernels, start: State | None, size: int) -> Computed:
        """As it is shown: see `render`."""
        picture, states = self._computed(w, kernels, start, size)
        return Computed(remove_grid(picture).float(), states)

    def _computed(self, w: Tensor, kernels: Kernels, start: State | None, size: int) -> Computed:
        """w: (L, D) -> (1, 3, S, S), and the states after `start`."""
        if start is None:
            first, x = 0, self._first.dense(self._constant, w[0], kernels[0])
        else:
            first, x = start
        states: list[State] = []
        for i, block in enumerate(self._blocks[first:], start=first):
            if worth_keeping(x) and (start is None or i > first):
                states.append(State(i, x))
            codes, pair = w[2 * i + 1 : 2 * i + 3], kernels[2 * i + 1 : 2 * i + 3]
            if size == block.resolution and size in self._previews:
                # Its features, in the network's own order, are never whole in memory.
                strips = (block(x, codes, pair, rows, banded=False) for rows in block.strips())
                return Computed(self._previews[size](strips, w), states)
            if block is not self._blocks[-1]:
                x = block.whole(x, codes, pair)
        return Computed(self._image_of(x, w, kernels, size), states)

    def _image_of(self, x: Tensor, w: Tensor, kernels: Sequence[Tensor], size: int) -> Tensor:
        """The picture (1, 3, S, S) of the last block's input; its output is never whole in memory."""
        block, fold = self._blocks[-1], size // self._blocks[-1].resolution
        picture = x.new_empty(1, 3, size, size, dtype=self._wide)
        for rows in block.strips():
            strip = block(x, w[-3:-1], kernels[-2:], rows)
            self._image(strip, w[-1], picture[:, :, fold * rows.first : fold * rows.last])
        return picture

    @torch.inference_mode()
    def _record(self, graphs: Graphs) -> None:
        """Ask for a picture by each of the graphs, so that no visitor waits for one to be recorded."""
        w = self._constant.new_zeros(2 * len(self._blocks) + 2, self._first.style.weight.shape[1])
        w = w.to(self._wide)
        _, states = self._computed(w, self._kernels, None, self._sizes[-1])
        for size in self._sizes:
            for start in (None, *(state for state in states if self._may_start(state, size))):
                graphs(self._shown, w, self._kernels, start, size)

    def _corrected(self, residual: Residual, strength: float) -> Kernels:
        known = self._corrections.pop(residual, None)
        if known is None or known[0] != strength:
            added = joining(residual, strength)
            known = strength, Kernels(conv.kernel(a) for conv, a in zip(self._convs, added, strict=True))
        self._corrections[residual] = known  # as the last one used
        while len(self._corrections) > KEPT_CORRECTIONS:
            self._corrections.pop(next(iter(self._corrections)), None)
        return known[1]
