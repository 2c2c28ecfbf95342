"""The generator's synthesis as the paper writes it: every kernel built, every step apart, one precision.

The readable twin of `Generator.synthesis` and of `core.generators.stylegan2.folded`; `launch.py bench` holds
them against it.
"""

from typing import cast

import torch.nn.functional as F
from torch import Tensor

from core.generators.stylegan2.layers import Block, StyledConv, ToRGB
from core.generators.stylegan2.network import Generator
from core.ops.activation import bias_act
from core.ops.filtering import upsample
from core.ops.modulated_conv import modulated_conv


def plain_synthesis(generator: Generator, w: Tensor) -> Tensor:
    """w: (B, L, D) -> (B, 3, R, R), nominally [-1, 1] (Karras et al. 2020, Figure 2c, Equations 1 to 3)."""
    x = generator.constant.expand(len(w), -1, -1, -1)
    x = _convolved(generator.first, x, w[:, 0])
    rgb = _rgb(generator.first_rgb, x, w[:, 1])
    for b, module in enumerate(generator.blocks, start=1):
        block = cast(Block, module)
        x = _convolved(block.up, x, w[:, 2 * b - 1])
        x = _convolved(block.conv, x, w[:, 2 * b])
        rgb = upsample(rgb, impl="ref") + _rgb(block.to_rgb, x, w[:, 2 * b + 1])
    return rgb


def _convolved(conv: StyledConv, x: Tensor, w: Tensor) -> Tensor:
    style = F.linear(w, conv.affine.weight * conv.affine.gain, conv.affine.bias)
    y = modulated_conv(x, conv.weight * conv.gain, style, up=conv.up, impl="ref")
    return bias_act(y, conv.bias, conv.noise * conv.noise_strength, conv.clamp, impl="ref")


def _rgb(to_rgb: ToRGB, x: Tensor, w: Tensor) -> Tensor:
    style = F.linear(w, to_rgb.affine.weight * to_rgb.affine.gain, to_rgb.affine.bias)
    y = modulated_conv(x, to_rgb.weight * to_rgb.gain, style, demodulate=False, impl="ref")
    y = y + to_rgb.bias[:, None, None]
    return y if to_rgb.clamp is None else y.clamp(-to_rgb.clamp, to_rgb.clamp)
