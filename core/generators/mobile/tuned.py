"""MobileStyleGAN for refinement: pictures with gradients to the kernels, of codes that stay as they are.

`network.py` is the readable twin. As in `gradients.py`, passes over large maps are what costs: a style
scales the depthwise kernel, each layer keeps two maps, and the gradient of a pointwise kernel is one product
of those.
"""

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from core.generators.mobile.folded import Readable, by_bands
from core.generators.mobile.gradients import styled_inverse_haar
from core.generators.mobile.layers import SLOPE, Block, ModulatedConv, inverse_haar, joining
from core.generators.residual import Residual


class Fixed(NamedTuple):
    """What of a separable convolution I -> O no gradient goes to, in the dtype to compute in.

    depthwise: (I, 1, 3, 3), times the style; bias: (O,); noise: (1, 1, H, W).
    """

    depthwise: Tensor
    bias: Tensor
    noise: Tensor


class _TunedConv(torch.autograd.Function):
    """x -> depthwise -> pointwise -> + noise + bias -> leaky ReLU, of one picture.

    Gradients: x and pointwise.
    """

    @staticmethod
    def forward(ctx, x: Tensor, pointwise: Tensor, fixed: Fixed) -> Tensor:  # type: ignore[no-untyped-def]
        """x: (1, I, H, W), pointwise: (O, I), of any dtype -> (1, O, H, W)."""
        inner = F.conv2d(x, fixed.depthwise, padding=1, groups=x.shape[1])
        kernel = pointwise.to(x.dtype)
        out = F.conv2d(inner, kernel[:, :, None, None], fixed.bias).add_(fixed.noise)
        out = F.leaky_relu_(out, SLOPE)
        ctx.save_for_backward(inner, out, kernel)
        ctx.fixed, ctx.wide = fixed, pointwise.dtype
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:  # type: ignore[no-untyped-def]
        inner, out, kernel = ctx.saved_tensors
        gradient = torch.ops.aten.leaky_relu_backward(gradient, out, SLOPE, True)
        flat = gradient.permute(0, 2, 3, 1).flatten(0, 2)  # (H W, O)
        to_x = to_kernel = None
        if ctx.needs_input_grad[1]:
            to_kernel = (flat.T @ inner.permute(0, 2, 3, 1).flatten(0, 2)).to(ctx.wide)  # (O, I)
        if ctx.needs_input_grad[0]:
            _, channels, height, width = inner.shape
            back = (flat @ kernel).view(1, height, width, channels).permute(0, 3, 1, 2)
            turned = ctx.fixed.depthwise.flip(2, 3)
            to_x = F.conv2d(back, turned, padding=1, groups=channels)
        return to_x, to_kernel, None


class TunedConv:
    """A separable `ModulatedConv`. order: of its outputs, None for the network's own."""

    def __init__(self, conv: ModulatedConv, dtype: torch.dtype, order: Tensor | None) -> None:
        assert conv.depthwise is not None, "the dense convolution at 4 px is the readable one"
        self._affine, self._gain, self._order = conv.affine, conv.gain, order
        self._depthwise, self._weight = conv.depthwise.detach(), conv.weight.detach()[:, :, 0, 0]
        bias = conv.bias.detach()
        self._bias = (bias if order is None else bias[order]).to(dtype)
        self._noise = conv.noise.detach()[None, None].to(dtype)

    def __call__(self, x: Tensor, w: Tensor, added: Tensor | None) -> Tensor:
        """x: (1, I, H, W), w: (D,), added: to the pointwise kernel, (O, I, 1, 1) -> (1, O, H, W)."""
        style = (self._affine(w) * self._gain)[:, None, None, None]
        fixed = Fixed((self._depthwise * style).to(x.dtype), self._bias, self._noise)
        kernel = self._weight if added is None else self._weight + added[:, :, 0, 0]
        kernel = kernel if self._order is None else kernel[self._order]
        return cast(Tensor, _TunedConv.apply(x, kernel, fixed))


class TunedMobile:
    """`MobileGenerator.synthesis` of one size, differentiable in what joins the kernels alone."""

    def __init__(self, generator: Readable, size: int, dtype: torch.dtype) -> None:
        """size: in px, of the generator's. dtype: of maps; kernels are rounded to it, gradients are wide.

        Raises: ValueError if it makes no such pictures.
        """
        if size not in generator.sizes:
            raise ValueError(f"This generator makes pictures of {generator.sizes} px, not {size}")
        self._generator, self._size, self._dtype = generator, size, dtype
        previewed = size in generator.config.previews
        self._head = generator.previews[str(size)] if previewed else None
        self._blocks = []
        for module in generator.blocks:
            block = cast(Block, module)
            reached = block.resolution == size or block is generator.blocks[-1]
            device = block.up.weight.device
            after = None if reached else by_bands(len(block.conv2.bias), device)
            order = by_bands(block.up.out_features, device)
            convs = (TunedConv(block.conv1, dtype, None), TunedConv(block.conv2, dtype, after))
            self._blocks.append((block.up.weight.detach()[order], block.up.bias.detach()[order], *convs))
            if previewed and reached:
                break
        self._first_order = by_bands(len(generator.first.bias), generator.first.bias.device)

    def __call__(self, w: Tensor, residual: Residual) -> Tensor:
        """w: (B, L, D); residual: without a batch, what gradients go to.

        -> (B, 3, S, S) float32, nominally [-1, 1], not clipped, with the Haar grid.
        """
        added = joining(residual)
        return torch.cat([self._picture(codes, added) for codes in w.detach()])

    def _picture(self, w: Tensor, added: Sequence[Tensor | None]) -> Tensor:
        x = self._generator.first(self._generator.constant, w[:1], added[0])[:, self._first_order]
        x = x.to(self._dtype).contiguous(memory_format=torch.channels_last)
        for i, (weight, bias, conv1, conv2) in enumerate(self._blocks):
            x = styled_inverse_haar(x, F.linear(w[2 * i + 1], weight, bias))
            x = conv2(conv1(x, w[2 * i + 1], added[2 * i + 1]), w[2 * i + 2], added[2 * i + 2])
        if self._head is None:
            return self._bands(x, w)
        if self._dtype == w.dtype:
            return self._head(x, w[None])
        with torch.autocast(w.device.type, self._dtype):
            return self._head(x, w[None]).float()

    def _bands(self, x: Tensor, w: Tensor) -> Tensor:
        """Features (1, C, R/2, R/2) -> the picture, or the half of it."""
        layer = self._generator.to_image
        full = self._size > x.shape[-1]
        bands = slice(None) if full else slice(3)
        kernel = layer.weight[bands] * (layer.affine(w[-1]) * layer.gain)[:, None, None]
        picture = F.conv2d(x, kernel.to(x.dtype)).to(w.dtype) + layer.bias[bands, None, None]
        return inverse_haar(picture) if full else picture / 2
