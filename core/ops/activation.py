"""Noise, bias and leaky ReLU in one place."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

SLOPE = 0.2
GAIN = math.sqrt(2.0)


def bias_act(
    x: Tensor,
    bias: Tensor,
    noise: Tensor | None = None,
    clamp: float | None = None,
    impl: str = "fast",
) -> Tensor:
    """sqrt(2) * leaky_relu(x + noise + bias, 0.2), within +-clamp.

    x: (B, C, H, W) or (B, C); bias: (C,); noise: broadcastable to x, already scaled by its strength.
    """
    shape = (1, -1) + (1,) * (x.ndim - 2)
    if impl == "ref":
        y = x + bias.view(shape) if noise is None else x + noise + bias.view(shape)
        y = F.leaky_relu(y, SLOPE) * GAIN
        return y if clamp is None else y.clamp(-clamp, clamp)
    # leaky_relu(g v) = g leaky_relu(v) for g > 0, so the gain joins the first pass over the picture. Bias and
    # noise are added one after the other: their sum is a picture too, and one in another memory layout, which
    # takes eight times as long to add. In place after the first pass: that result is nobody else's.
    y = torch.add(bias.to(x.dtype).view(shape) * GAIN, x, alpha=GAIN)
    if noise is not None:
        y.add_(noise.to(x.dtype) * GAIN)
    F.leaky_relu_(y, SLOPE)
    if clamp is None:
        return y
    # leaky_relu's gradient reads what it made, which therefore stays.
    return y.clamp(-clamp, clamp) if y.requires_grad else y.clamp_(-clamp, clamp)
