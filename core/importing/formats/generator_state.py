"""What converters of StyleGAN2 generators share: sizes read from shapes, the filter, the average w."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from core.config import GeneratorConfig
from core.errors import BadCheckpoint
from core.generators.stylegan2.layers import MappingNetwork
from core.importing.formats.parts import State
from core.ops.filtering import binomial_kernel

# The published generators end here; a larger claim would only fill the memory.
MAX_RESOLUTION = 1024
MAX_WIDTH = 1024
# z whose mapped codes are averaged where a file brings no average w.
MEAN_SAMPLES = 10_000
# Kernels pass through half precision in some files.
FILTER_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Sizes:
    """Of a generator, as far as a file's shapes tell them; None where the tensor that would tell is missing.

    channels: the width at each resolution from 4 px on.
    """

    z_dim: int | None
    w_dim: int | None
    mapping_layers: int
    channels: tuple[int | None, ...]

    def config(self, clamp: float | None = None) -> GeneratorConfig:
        """Once every tensor is known to be there. Samples are drawn through the mapping network."""
        return GeneratorConfig(
            resolution=4 * 2 ** (len(self.channels) - 1),
            channels=tuple(c or 0 for c in self.channels),
            w_dim=self.w_dim or 0,
            z_dim=self.z_dim or 0,
            mapping_layers=self.mapping_layers,
            code_rank=0,
            clamp=clamp,
        )


def size(tensors: Mapping[str, Any], name: str, axis: int, what: str) -> int | None:
    """How long this tensor is along one axis; None if it is missing or has no such axis.

    Raises: BadCheckpoint beyond MAX_WIDTH.
    """
    tensor = tensors.get(name)
    if not isinstance(tensor, Tensor) or tensor.ndim <= axis:
        return None
    if not 1 <= tensor.shape[axis] <= MAX_WIDTH:
        raise BadCheckpoint(f"{what} has a layer of width {tensor.shape[axis]}, not 1 to {MAX_WIDTH}.")
    return tensor.shape[axis]


def check_resolution(doublings: int, what: str) -> None:
    """doublings: of 4 px. Raises: BadCheckpoint beyond MAX_RESOLUTION."""
    if doublings > (MAX_RESOLUTION // 4).bit_length() - 1:
        raise BadCheckpoint(f"{what} makes pictures of more than {MAX_RESOLUTION} px.")


def check_filter(kernel: Tensor, gain: float, what: str) -> None:
    """kernel: any shape. Raises: BadCheckpoint unless it is gain times the [1, 3, 3, 1] binomial filter.

    That filter is symmetric: whether an implementation flips it before it slides it makes no difference.
    """
    expected = binomial_kernel() * gain
    if kernel.shape != expected.shape or not torch.allclose(kernel, expected, rtol=FILTER_TOLERANCE):
        raise BadCheckpoint(
            f"{what} resamples with a filter other than StyleGAN2's [1, 3, 3, 1], which is not supported."
        )


def complete(config: GeneratorConfig, state: State, mean: Tensor | None, what: str) -> State:
    """`state` with the average w, and with the code statistics that such a generator does without.

    mean: (D,), (1, D) or (L, D); None: the mean of mapped z. Raises: BadCheckpoint if it is of another shape.
    """
    codes, width = config.num_codes, config.w_dim
    if mean is None:
        mean = _mapped_mean(config, state)
    if not mean.is_floating_point() or tuple(mean.shape) not in ((width,), (1, width), (codes, width)):
        raise BadCheckpoint(
            f"{what} takes {codes} codes of {width}, but the file's average code has the shape "
            f"{tuple(mean.shape)}."
        )
    w_mean = mean.detach().float().expand(codes, width).clone()
    return {
        **state,
        "w_mean": w_mean,
        "code_mean": w_mean.clone(),
        "code_basis": torch.zeros(0, codes * width),
    }


@torch.no_grad()
def _mapped_mean(config: GeneratorConfig, state: State) -> Tensor:
    """(D,): mean w of MEAN_SAMPLES z, always the same ones."""
    mapping = MappingNetwork(config.z_dim, config.w_dim, config.mapping_layers)
    prefix = "mapping."
    mapping.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
    z = torch.randn(MEAN_SAMPLES, config.z_dim, generator=torch.Generator().manual_seed(0))
    return mapping(z).mean(0)


def convolution_names(resolutions: int) -> list[str]:
    """Names of our 3x3 convolutions from 4 px on, in the order in which codes reach them."""
    return ["first", *(f"blocks.{b}.{layer}" for b in range(resolutions - 1) for layer in ("up", "conv"))]
