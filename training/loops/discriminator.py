"""StyleGAN2's residual discriminator with minibatch standard deviation (Karras et al. 2020)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.generators.stylegan2.layers import EqualizedLinear
from core.ops.activation import bias_act
from core.ops.filtering import blur, downsample


class EqualizedConv(nn.Module):
    """Convolution with run-time weight scaling, bias and leaky ReLU; optionally filtered down by two."""

    def __init__(self, inputs: int, outputs: int, kernel: int, down: bool = False, act: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if act else None
        self.gain = 1 / math.sqrt(inputs * kernel**2)
        self.down = down

    def forward(self, x: Tensor) -> Tensor:
        weight = (self.weight * self.gain).to(x.dtype)
        kernel = weight.shape[-1]
        if self.down and kernel == 1:
            x = F.conv2d(downsample(x), weight)
        elif self.down:
            x = F.conv2d(blur(x, (2, 2)), weight, stride=2)
        else:
            x = F.conv2d(x, weight, padding=kernel // 2)
        return x if self.bias is None else bias_act(x, self.bias)


class ResidualBlock(nn.Module):
    """(B, I, H, W) -> (B, O, H/2, W/2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = EqualizedConv(inputs, inputs, 3)
        self.down = EqualizedConv(inputs, outputs, 3, down=True)
        self.skip = EqualizedConv(inputs, outputs, 1, down=True, act=False)

    def forward(self, x: Tensor) -> Tensor:
        return (self.down(self.conv(x)) + self.skip(x)) / math.sqrt(2)


class Discriminator(nn.Module):
    """channels: widths at 4, 8, ... up to the picture's resolution, as in GeneratorConfig."""

    def __init__(self, channels: tuple[int, ...], group: int = 4) -> None:
        super().__init__()
        widths = channels[::-1]
        self.from_rgb = EqualizedConv(3, widths[0], 1)
        self.blocks = nn.Sequential(*(ResidualBlock(a, b) for a, b in zip(widths, widths[1:], strict=False)))
        self.last = EqualizedConv(channels[0] + 1, channels[0], 3)
        self.hidden = EqualizedLinear(channels[0] * 16, channels[0])
        self.logit = EqualizedLinear(channels[0], 1)
        self.group = group

    def forward(self, image: Tensor) -> Tensor:
        """image: (B, 3, R, R) -> logits (B,)."""
        x = self.blocks(self.from_rgb(image)).float()  # (B, C, 4, 4)
        x = self.last(torch.cat([x, self.minibatch_deviation(x)], 1))
        x = F.leaky_relu(self.hidden(x.flatten(1)), 0.2) * math.sqrt(2)  # (B, C*16) -> (B, C)
        return self.logit(x).squeeze(1)

    def minibatch_deviation(self, x: Tensor) -> Tensor:
        """(B, 1, 4, 4): standard deviation over groups of the batch, averaged over channels and pixels."""
        b, c, h, w = x.shape
        group = math.gcd(self.group, b)
        y = x.reshape(group, -1, c, h, w)  # (G, B/G, C, H, W)
        y = (y.var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))  # (B/G,)
        return y.reshape(-1, 1, 1, 1).repeat(group, 1, h, w)
