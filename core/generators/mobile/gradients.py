"""MobileStyleGAN for descent: a preview with gradients to the code alone, in fewer passes over memory.

`network.py` is the readable twin. Two thirds of its time go into autograd's passes over large maps, not into
arithmetic; here a style scales a kernel instead of a map, sums are made in place, and each layer keeps two
maps for its gradient. In bfloat16 a step takes about a third of the readable network's time.
"""

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from core.generators.mobile.folded import Readable, by_bands
from core.generators.mobile.layers import SLOPE, Block, ModulatedConv


class Kernels(NamedTuple):
    """Of a separable convolution I -> O, in the dtype to compute in.

    depthwise: (I, 1, 3, 3); turned: the same, turned by half; pointwise: (O, I, 1, 1); bias: (O,);
    noise: (1, 1, H, W).
    """

    depthwise: Tensor
    turned: Tensor
    pointwise: Tensor
    bias: Tensor
    noise: Tensor


class _SeparableConv(torch.autograd.Function):
    """x * style -> depthwise -> pointwise -> + noise + bias -> leaky ReLU, for one picture.

    A style commutes with the depthwise kernel, so it scales the pointwise one. Gradients: x and style.
    """

    @staticmethod
    def forward(ctx, x: Tensor, style: Tensor, kernels: Kernels) -> Tensor:  # type: ignore[no-untyped-def]
        """x: (1, I, H, W), style: (I,) float32 -> (1, O, H, W)."""
        inner = F.conv2d(x, kernels.depthwise, padding=1, groups=x.shape[1])
        scaled = kernels.pointwise * style.to(x.dtype)[:, None, None]
        out = F.conv2d(inner, scaled, kernels.bias).add_(kernels.noise)
        out = F.leaky_relu_(out, SLOPE)
        ctx.save_for_backward(inner, out, style)
        ctx.kernels = kernels
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, None]:  # type: ignore[no-untyped-def]
        inner, out, style = ctx.saved_tensors
        kernels: Kernels = ctx.kernels
        gradient = torch.ops.aten.leaky_relu_backward(gradient, out, SLOPE, True)
        back = F.conv2d(gradient, kernels.pointwise.transpose(0, 1))  # (1, I, H, W), of style 1
        turned = kernels.turned * style.to(back.dtype)[:, None, None, None]
        to_x = F.conv2d(back, turned, padding=1, groups=len(style))
        # Summed in float32 and rounded once: asked for float32, the sum would first copy the map into it.
        return to_x, back.mul_(inner).sum((0, 2, 3)).to(style.dtype), None


class _InverseHaar(torch.autograd.Function):
    """x * style -> inverse Haar transform, for channels in four blocks: low, and each of the high bands."""

    @staticmethod
    def forward(ctx, x: Tensor, style: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        """x: (1, 4C, H, W), style: (4C,) float32 -> (1, C, 2H, 2W)."""
        ctx.save_for_backward(x, style)
        scaled = x * (style / 2).to(x.dtype)[:, None, None]
        a, h, v, d = scaled.permute(0, 2, 3, 1).chunk(4, 3)  # (1, H, W, C) each
        top, bottom, left, right = a + h, a - h, v + d, v - d
        _, height, width, channels = a.shape
        out = x.new_empty(1, height, 2, width, 2, channels)
        torch.add(top, left, out=out[:, :, 0, :, 0])
        torch.sub(top, left, out=out[:, :, 0, :, 1])
        torch.add(bottom, right, out=out[:, :, 1, :, 0])
        torch.sub(bottom, right, out=out[:, :, 1, :, 1])
        return out.view(1, 2 * height, 2 * width, channels).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor | None]:  # type: ignore[no-untyped-def]
        """The transform is orthogonal: its gradient is the transform itself, of each 2x2 pixels."""
        x, style = ctx.saved_tensors
        gradient = gradient.permute(0, 2, 3, 1).contiguous()
        _, height, width, channels = gradient.shape
        corners = gradient.view(1, height // 2, 2, width // 2, 2, channels)
        (p, q), (r, s) = (corners[:, :, row].unbind(3) for row in (0, 1))  # left and right, (1, H, W, C)
        top, across, bottom, below = p + q, p - q, r + s, r - s
        back = gradient.new_empty(1, height // 2, width // 2, 4, channels)
        torch.add(top, bottom, out=back[:, :, :, 0])
        torch.sub(top, bottom, out=back[:, :, :, 1])
        torch.add(across, below, out=back[:, :, :, 2])
        torch.sub(across, below, out=back[:, :, :, 3])
        back = back.flatten(3).permute(0, 3, 1, 2)  # (1, 4C, H, W)
        to_style = None
        if ctx.needs_input_grad[1]:
            to_style = (back * x).sum((0, 2, 3)).to(style.dtype) / 2
        return back.mul_((style / 2).to(back.dtype)[:, None, None]), to_style


def styled_inverse_haar(x: Tensor, style: Tensor) -> Tensor:
    """x: (1, 4C, H, W) in four blocks of one band each, style: (4C,) float32 -> (1, C, 2H, 2W)."""
    return cast(Tensor, _InverseHaar.apply(x, style))


class DescendedConv:
    """A separable `ModulatedConv`. order: of its outputs, None for the network's own."""

    def __init__(self, conv: ModulatedConv, dtype: torch.dtype, order: Tensor | None) -> None:
        assert conv.depthwise is not None, "the dense convolution at 4 px is the readable one"
        self._affine, self._gain = conv.affine, conv.gain
        weight, bias = conv.weight.detach(), conv.bias.detach()
        if order is not None:
            weight, bias = weight[order], bias[order]
        depthwise = conv.depthwise.detach().to(dtype)
        self._kernels = Kernels(
            depthwise,
            depthwise.flip(2, 3),
            weight.to(dtype).contiguous(memory_format=torch.channels_last),
            bias.to(dtype),
            conv.noise.detach()[None, None].to(dtype),
        )

    def __call__(self, x: Tensor, w: Tensor) -> Tensor:
        """x: (1, I, H, W), w: (D,) -> (1, O, H, W)."""
        return cast(Tensor, _SeparableConv.apply(x, self._affine(w) * self._gain, self._kernels))


class DescendedMobile:
    """`MobileGenerator.synthesis(w, size=size)`, differentiable in w only, of the weights as they are now."""

    def __init__(self, generator: Readable, size: int, dtype: torch.dtype) -> None:
        """size: in px, of the generator's previews. dtype: of maps and kernels; styles stay as they are.

        Raises: ValueError if there is no such preview.
        """
        if size not in generator.config.previews:
            raise ValueError(f"Descent goes through a preview: {generator.config.previews} px, not {size}")
        self._generator, self._dtype = generator, dtype
        self._head = generator.previews[str(size)]
        self._blocks = []
        for module in generator.blocks:
            block = cast(Block, module)
            reached = block.resolution == size
            order = by_bands(block.up.out_features, block.up.weight.device)
            after = None if reached else by_bands(len(block.conv2.bias), block.up.weight.device)
            self._blocks.append(
                (
                    block.up.weight.detach()[order],
                    block.up.bias.detach()[order],
                    DescendedConv(block.conv1, dtype, None),
                    DescendedConv(block.conv2, dtype, after),
                )
            )
            if reached:
                break
        self._first_order = by_bands(len(generator.first.bias), generator.first.bias.device)

    def __call__(self, w: Tensor) -> Tensor:
        """w: (B, L, D) -> (B, 3, S, S) float32, nominally [-1, 1], not clipped."""
        return torch.cat([self._picture(codes) for codes in w])

    def _picture(self, w: Tensor) -> Tensor:
        x = self._generator.first(self._generator.constant, w[:1])[:, self._first_order]
        x = x.to(self._dtype).contiguous(memory_format=torch.channels_last)
        for i, (weight, bias, conv1, conv2) in enumerate(self._blocks):
            x = styled_inverse_haar(x, F.linear(w[2 * i + 1], weight, bias))
            x = conv2(conv1(x, w[2 * i + 1]), w[2 * i + 2])
        if self._dtype == w.dtype:
            return self._head(x, w[None])
        with torch.autocast(w.device.type, self._dtype):
            return self._head(x, w[None]).float()
