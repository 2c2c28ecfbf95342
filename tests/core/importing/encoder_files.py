"""Writes random-weight encoders, classifiers and directions in their published formats, in any size.

Nothing is trivial: batch norm has statistics, PReLU slopes and biases are random. Outputs are of order 1.
"""

import math
from argparse import Namespace
from pathlib import Path
from typing import Any

import torch
from rosinality_files import generator_tensors
from torch import Tensor

# Widths of the trunk's four stages; its stem is as wide as the first, the codes as the last.
TINY = (16, 32, 48, 64)
FULL = (64, 128, 256, 512)
UNITS = (3, 4, 14, 3)
# Standard deviations at the head of e4e's ffhq_pca.pt, by which it is known.
FFHQ_DEVIATIONS = (2.8556, 2.6267, 2.5941, 2.4175)


class _Drawing:
    """Random tensors of one seed, gathered by name."""

    def __init__(self, seed: int) -> None:
        self.random = torch.Generator().manual_seed(seed)
        self.tensors: dict[str, Tensor] = {}

    def normal(self, *shape: int, scale: float = 1.0) -> Tensor:
        return torch.randn(*shape, generator=self.random).mul_(scale)

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self.random).mul_(high - low).add_(low)

    def convolution(self, name: str, inputs: int, outputs: int, size: int, bias: bool = False) -> None:
        scale = math.sqrt(2 / (inputs * size * size)) if bias and size > 1 else (inputs * size * size) ** -0.5
        self.tensors[f"{name}.weight"] = self.normal(outputs, inputs, size, size, scale=scale)
        if bias:
            self.tensors[f"{name}.bias"] = self.normal(outputs, scale=0.2)

    def norm(self, name: str, width: int) -> None:
        self.tensors[f"{name}.weight"] = self.uniform(0.6, 1.4, width)
        self.tensors[f"{name}.bias"] = self.normal(width, scale=0.2)
        self.tensors[f"{name}.running_mean"] = self.normal(width, scale=0.2)
        self.tensors[f"{name}.running_var"] = self.uniform(0.5, 2.0, width)
        self.tensors[f"{name}.num_batches_tracked"] = torch.tensor(1234)

    def linear(self, name: str, inputs: int, outputs: int, scale: float | None = None) -> None:
        scale = inputs**-0.5 if scale is None else scale
        self.tensors[f"{name}.weight"] = self.normal(outputs, inputs, scale=scale)
        self.tensors[f"{name}.bias"] = self.normal(outputs, scale=0.2)


def _trunk(draw: _Drawing, widths: tuple[int, int, int, int], channels: int = 3) -> None:
    stem, (_, fine, middle, coarse) = widths[0], widths
    draw.convolution("input_layer.0", channels, stem, 3)
    draw.norm("input_layer.1", stem)
    draw.tensors["input_layer.2.weight"] = draw.uniform(0.05, 0.5, stem)
    inputs, unit = stem, 0
    for width, count in zip(widths, UNITS, strict=True):
        for _ in range(count):
            residual = f"body.{unit}.res_layer"
            if inputs != width:
                draw.convolution(f"body.{unit}.shortcut_layer.0", inputs, width, 1)
                draw.norm(f"body.{unit}.shortcut_layer.1", width)
            draw.norm(f"{residual}.0", inputs)
            draw.convolution(f"{residual}.1", inputs, width, 3)
            draw.tensors[f"{residual}.2.weight"] = draw.uniform(0.05, 0.5, width)
            draw.convolution(f"{residual}.3", width, width, 3)
            draw.norm(f"{residual}.4", width)
            draw.convolution(f"{residual}.5.fc1", width, width // 16, 1)
            draw.convolution(f"{residual}.5.fc2", width // 16, width, 1)
            inputs, unit = width, unit + 1
    draw.convolution("latlayer1", middle, coarse, 1, bias=True)
    draw.convolution("latlayer2", fine, coarse, 1, bias=True)


def gradual_encoder_tensors(
    codes: int, widths: tuple[int, int, int, int] = TINY, side: int = 64, channels: int = 3, seed: int = 0
) -> dict[str, Tensor]:
    """The encoder of pSp and of e4e, for pictures of side x side, without the prefix `encoder.`."""
    draw = _Drawing(seed)
    _trunk(draw, widths, channels)
    width = widths[3]
    for code in range(codes):
        halvings = int(math.log2(side // 16)) + (code >= 3) + (code >= 7)
        for i in range(halvings):
            draw.convolution(f"styles.{code}.convs.{2 * i}", width, width, 3, bias=True)
        draw.linear(f"styles.{code}.linear", width, width, scale=1.0)
    return draw.tensors


def style_transformer_encoder_tensors(
    codes: int, widths: tuple[int, int, int, int] = TINY, feedforward: int = 48, seed: int = 0
) -> dict[str, Tensor]:
    """Style Transformer's encoder, without the prefix `encoder.module.`."""
    draw = _Drawing(seed)
    _trunk(draw, widths)
    width = widths[3]
    draw.tensors["z"] = draw.normal(1, codes, width)
    for layer in ("coarse", "medium", "fine"):
        name = f"transformerlayer_{layer}"
        for attention in ("self_attn", "multihead_attn"):
            draw.tensors[f"{name}.{attention}.in_proj_weight"] = draw.normal(
                3 * width, width, scale=1.5 * width**-0.5
            )
            draw.tensors[f"{name}.{attention}.in_proj_bias"] = draw.normal(3 * width, scale=0.2)
            draw.linear(f"{name}.{attention}.out_proj", width, width)
        draw.linear(f"{name}.linear1", width, feedforward)
        draw.linear(f"{name}.linear2", feedforward, width)
        for norm in ("norm1", "norm2", "norm3"):
            draw.tensors[f"{name}.{norm}.weight"] = draw.uniform(0.6, 1.4, width)
            draw.tensors[f"{name}.{norm}.bias"] = draw.normal(width, scale=0.2)
    return draw.tensors


def gradual_content(
    kind: str,
    resolution: int = 64,
    widths: tuple[int, int, int, int] = TINY,
    side: int = 64,
    narrow: int | None = 16,
    channels: int = 3,
    seed: int = 0,
) -> dict[str, Any]:
    """What a file of pSp ("psp") or e4e ("e4e") holds.

    resolution, narrow: the generator's, as in rosinality_files; widths: the trunk's; side: of the pictures
    that the encoder takes (256 for the published ones); channels: of these pictures.
    """
    codes = 2 * int(math.log2(resolution)) - 2
    encoder = gradual_encoder_tensors(codes, widths, side, channels, seed)
    decoder = generator_tensors(resolution, narrow, w_dim=widths[3], seed=seed + 1)
    options = {
        "encoder_type": "Encoder4Editing",
        "stylegan_size": resolution,
        "progressive_steps": [0, 20000],
    }
    if kind == "psp":
        options = {"encoder_type": "GradualStyleEncoder", "output_size": resolution, "learn_in_w": False}
    mean = torch.randn(widths[3], generator=torch.Generator().manual_seed(seed + 2))
    return {
        "state_dict": {
            **{f"encoder.{name}": tensor for name, tensor in encoder.items()},
            **{f"decoder.{name}": tensor for name, tensor in decoder.items()},
        },
        "latent_avg": mean.repeat(codes, 1),
        "opts": {
            **options,
            "start_from_latent_avg": True,
            "dataset_type": "ffhq_encode",
            "input_nc": channels,
        },
    }


def style_transformer_content(
    resolution: int = 64,
    widths: tuple[int, int, int, int] = TINY,
    feedforward: int = 48,
    narrow: int | None = 16,
    seed: int = 0,
    prefix: str = "module.",
) -> dict[str, Any]:
    """What a file of Style Transformer holds; prefix: after `encoder.` and `decoder.`, or none.

    The published size: resolution 1024, widths FULL, feedforward 1024, narrow None.
    """
    codes = 2 * int(math.log2(resolution)) - 2
    encoder = style_transformer_encoder_tensors(codes, widths, feedforward, seed)
    decoder = generator_tensors(resolution, narrow, w_dim=widths[3], seed=seed + 1)
    # Its mapping network maps the queries, so z is as wide as w.
    assert decoder["style.1.weight"].shape[1] == widths[3]
    mean = torch.randn(widths[3], generator=torch.Generator().manual_seed(seed + 2))
    return {
        "state_dict": {
            **{f"encoder.{prefix}{name}": tensor for name, tensor in encoder.items()},
            **{f"decoder.{prefix}{name}": tensor for name, tensor in decoder.items()},
        },
        "latent_avg": mean,
        "opts": {
            "output_size": resolution,
            "start_from_latent_avg": True,
            "learn_in_w": False,
            "input_nc": 3,
        },
    }


def classifier_content(
    codes: int = 4,
    hidden: tuple[int, int] = (24, 20),
    embedding: int = 5,
    attributes: int = 40,
    width: int = 512,
    prefix: str = "",
    seed: int = 0,
) -> dict[str, Any]:
    """What a latent classifier's file holds; published: 18 codes, hidden (2048, 512), embedding 32."""
    draw = _Drawing(seed)
    draw.linear("fcs.0", codes * width, hidden[0])
    draw.linear("fcs.1", *hidden)
    for k in range(attributes):
        draw.linear(f"indep_fcs.{k}", hidden[1], embedding)
        draw.linear(f"output_fcs.{k}", embedding, 1)
    return {"state_dict": {f"{prefix}{name}": tensor for name, tensor in draw.tensors.items()}}


def direction_content(*shape: int, seed: int = 0) -> Tensor:
    """What an InterFaceGAN direction's file holds, e.g. (1, 512) or (1, 18, 512): every code of norm 1."""
    direction = _Drawing(seed).normal(*shape)
    return direction / direction.norm(dim=-1, keepdim=True)


def ganspace_content(
    components: int = 80, width: int = 512, ffhq: bool = False, seed: int = 0
) -> dict[str, Tensor]:
    """What a GANSpace file holds; ffhq: with the deviations by which the one for faces is known."""
    draw = _Drawing(seed)
    basis = torch.linalg.qr(draw.normal(width, components))[0].T
    deviations = draw.uniform(0.4, 3.0, components).sort(descending=True).values
    if ffhq:
        deviations[: len(FFHQ_DEVIATIONS)] = torch.tensor(FFHQ_DEVIATIONS)
    return {"comp": basis[:, None].contiguous(), "mean": draw.normal(1, width), "std": deviations}


def write(path: Path, content: Any, namespace: bool = False) -> Path:
    """Save as the projects do; namespace: with `opts` as an argparse.Namespace."""
    if namespace:
        content = {**content, "opts": Namespace(**content["opts"])}
    torch.save(content, path)
    return path
