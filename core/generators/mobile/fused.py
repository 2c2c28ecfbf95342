"""A GPU's passes, in Triton: each reads its map once and writes it once. Their readable twins: `passes.py`.

Importing this needs Triton, and compiles nothing; a kernel is compiled when it is first called. Sums are made
in float32 and rounded once, so that in half precision these are nearer to the exact numbers than the twins.
"""

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor

from core.generators.mobile.layers import SLOPE
from core.generators.mobile.passes import Rows

# Of a map, how many numbers a program computes in each of the four pixels that a cell becomes; how many
# channels at most, which lie side by side in memory.
SPREAD, CHANNELS = 512, 32
# The same of what is computed in place.
IN_PLACE = 2048


class Fused:
    """See `Passes`; x in float32, float16 or bfloat16, on the device of everything else."""

    def spread(self, x: Tensor, style: Tensor, taps: Tensor, rows: Rows) -> Tensor:
        """See `Passes.spread`."""
        x = x.contiguous(memory_format=torch.channels_last)
        channels, (height, width) = x.shape[1] // 4, x.shape[2:]
        # Without the rows that only the kernel sees: one less than x's own where the picture goes on.
        above, below = (1 - missing for missing in rows.missing)
        made = 2 * height - above - below
        out = x.new_empty(1, made, 2 * width, channels)
        side = min(CHANNELS, triton.next_power_of_2(channels))
        grid = triton.cdiv(height * width, SPREAD // side), triton.cdiv(channels, side)
        with torch.cuda.device_of(x):
            _spread[grid](
                # Taps place by place, as those of channels side by side are read at once: (9, C).
                *(x, style.contiguous(), taps.flatten(1).T.contiguous(), out),
                *(height, width, channels, above, made),
                SPREAD // side,
                side,
            )
        return out.permute(0, 3, 1, 2)

    def mixed(self, x: Tensor, kernel: Tensor, bias: Tensor, noise: Tensor) -> Tensor:
        """See `Passes.mixed`."""
        x = F.conv2d(x, kernel, padding=kernel.shape[-1] // 2).contiguous(memory_format=torch.channels_last)
        _, channels, height, width = x.shape
        side = min(CHANNELS, triton.next_power_of_2(channels))
        grid = triton.cdiv(height * width, IN_PLACE // side), triton.cdiv(channels, side)
        with torch.cuda.device_of(x):
            _finish[grid](
                *(x, noise.contiguous(), bias, height * width, channels), SLOPE, IN_PLACE // side, side
            )
        return x


@triton.jit
def _spread(
    x, style, taps, out, height, width, channels, above, made, cells: tl.constexpr, side: tl.constexpr
):
    """x: (H, W, 4C), style: (4C,), taps: (9, C) -> out: (made, 2W, C), of 2H rows those from `above` on.

    A program has so many of the H W cells, each of which becomes 2x2 pixels, and a side of channels. A 3x3
    kernel at four pixels sees a window of 4x4, which come from 3x3 cells: all but the middle one in part.
    """
    cell = tl.program_id(0) * cells + tl.arange(0, cells)
    row, column = cell // width, cell % width
    channel = tl.program_id(1) * side + tl.arange(0, side)
    there = channel < channels
    band = style + channel
    a = tl.load(band, there, 0.0).to(tl.float32)[None, :]
    h = tl.load(band + channels, there, 0.0).to(tl.float32)[None, :]
    v = tl.load(band + 2 * channels, there, 0.0).to(tl.float32)[None, :]
    d = tl.load(band + 3 * channels, there, 0.0).to(tl.float32)[None, :]
    here = x + channel[None, :]
    # The window's rows: the lower half of the cells above, both of the middle ones, the upper of those below.
    _, _, _, _, p0, p1, p2, p3 = _window(here, there, row - 1, column, height, width, channels, a, h, v, d)
    q0, q1, q2, q3, r0, r1, r2, r3 = _window(here, there, row, column, height, width, channels, a, h, v, d)
    s0, s1, s2, s3, _, _, _, _ = _window(here, there, row + 1, column, height, width, channels, a, h, v, d)
    weight = taps + channel
    left0, right0 = _along(weight, there, channels, p0, p1, p2, p3)
    left1, right1 = _along(weight + 3 * channels, there, channels, q0, q1, q2, q3)
    left2, right2 = _along(weight + 6 * channels, there, channels, r0, r1, r2, r3)
    line = 2 * row - above  # of `out`
    into = out + ((line * 2 * width + 2 * column) * channels)[:, None] + channel[None, :]
    inside = ((row < height) & (line >= 0) & (line < made))[:, None] & there[None, :]
    tl.store(into, left0 + left1 + left2, inside)
    tl.store(into + channels, right0 + right1 + right2, inside)
    left0, right0 = _along(weight, there, channels, q0, q1, q2, q3)
    left1, right1 = _along(weight + 3 * channels, there, channels, r0, r1, r2, r3)
    left2, right2 = _along(weight + 6 * channels, there, channels, s0, s1, s2, s3)
    into += 2 * width * channels
    inside = ((row < height) & (line + 1 >= 0) & (line + 1 < made))[:, None] & there[None, :]
    tl.store(into, left0 + left1 + left2, inside)
    tl.store(into + channels, right0 + right1 + right2, inside)


@triton.jit
def _window(here, there, row, column, height, width, channels, a, h, v, d):
    """Of the cells at column - 1, column, column + 1: the four pixels in the middle, above, then below."""
    fits = (row >= 0) & (row < height)
    at = here + ((row * width + column) * 4 * channels)[:, None]
    before = (fits & (column > 0))[:, None] & there[None, :]
    _, upper0, _, lower0 = _cell(at - 4 * channels, before, channels, a, h, v, d)
    upper1, upper2, lower1, lower2 = _cell(at, fits[:, None] & there[None, :], channels, a, h, v, d)
    after = (fits & (column + 1 < width))[:, None] & there[None, :]
    upper3, _, lower3, _ = _cell(at + 4 * channels, after, channels, a, h, v, d)
    return upper0, upper1, upper2, upper3, lower0, lower1, lower2, lower3


@triton.jit
def _cell(at, inside, channels, a, h, v, d):
    """The inverse Haar transform of the bands at `at`, times their styles: its four pixels, row by row."""
    low = tl.load(at, inside, 0.0).to(tl.float32) * a
    across_rows = tl.load(at + channels, inside, 0.0).to(tl.float32) * h
    across_columns = tl.load(at + 2 * channels, inside, 0.0).to(tl.float32) * v
    diagonal = tl.load(at + 3 * channels, inside, 0.0).to(tl.float32) * d
    top, bottom = low + across_rows, low - across_rows
    left, right = across_columns + diagonal, across_columns - diagonal
    return top + left, top - left, bottom + right, bottom - right


@triton.jit
def _along(weight, there, channels, p0, p1, p2, p3):
    """A row of the kernel at two neighbours of a row of four pixels."""
    w0 = tl.load(weight, there, 0.0).to(tl.float32)[None, :]
    w1 = tl.load(weight + channels, there, 0.0).to(tl.float32)[None, :]
    w2 = tl.load(weight + 2 * channels, there, 0.0).to(tl.float32)[None, :]
    return w0 * p0 + w1 * p1 + w2 * p2, w0 * p1 + w1 * p2 + w2 * p3


@triton.jit
def _finish(x, noise, bias, pixels, channels, slope: tl.constexpr, cells: tl.constexpr, side: tl.constexpr):
    """x: (pixels, C), noise: (pixels,), bias: (C,): x becomes the leaky ReLU of the sum."""
    pixel = tl.program_id(0) * cells + tl.arange(0, cells)
    channel = tl.program_id(1) * side + tl.arange(0, side)
    inside = (pixel < pixels)[:, None] & (channel < channels)[None, :]
    at = x + (pixel * channels)[:, None] + channel[None, :]
    added = tl.load(noise + pixel, pixel < pixels, 0.0).to(tl.float32)[:, None]
    added += tl.load(bias + channel, channel < channels, 0.0).to(tl.float32)[None, :]
    total = tl.load(at, inside, 0.0).to(tl.float32) + added
    tl.store(at, tl.where(total >= 0, total, total * slope), inside)
