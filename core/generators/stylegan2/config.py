"""What a StyleGAN2 is, and what follows from its size."""

import math
from dataclasses import dataclass
from typing import Literal

from core.generators.limits import MAX_RANK, check_generator


@dataclass(frozen=True)
class GeneratorConfig:
    """StyleGAN2 (Karras et al. 2020), skip-toRGB architecture.

    `channels[i]` is the width at resolution 4 * 2**i.
    code_rank: of the Gaussian over real faces' codes that samples are drawn from; 0: samples are drawn as in
    the paper, z through the mapping network.
    clamp: activations and RGB stay within +-clamp, as in StyleGAN2-ADA (Karras et al. 2020); None: no limit.
    """

    resolution: int
    channels: tuple[int, ...]
    w_dim: int = 512
    z_dim: int = 512
    mapping_layers: int = 8
    code_rank: int = 128
    clamp: float | None = None
    family: Literal["stylegan2"] = "stylegan2"

    def __post_init__(self) -> None:
        if self.family != "stylegan2":
            raise ValueError(f"Family {self.family!r} is not stylegan2")
        check_generator(self.resolution, (self.w_dim, self.z_dim, *self.channels), self.mapping_layers)
        if not 0 <= self.code_rank <= MAX_RANK:
            raise ValueError(f"Code rank {self.code_rank} must be 0 or more, and at most {MAX_RANK}")
        if self.clamp is not None and not self.clamp > 0:
            raise ValueError(f"Clamp {self.clamp} must be above 0")
        if self.resolution < 4 or self.resolution & (self.resolution - 1):
            raise ValueError(f"Resolution {self.resolution} must be a power of two of at least 4")
        if len(self.channels) != self.num_blocks:
            raise ValueError(
                f"Resolution {self.resolution} needs {self.num_blocks} channel widths, "
                f"got {len(self.channels)}"
            )

    @property
    def num_blocks(self) -> int:
        """Resolutions from 4 to `resolution`."""
        return int(math.log2(self.resolution)) - 1

    @property
    def num_codes(self) -> int:
        """Style codes in W+: 2 * log2(resolution) - 2 (18 at 1024 px)."""
        return 2 * self.num_blocks

    @property
    def low_rank(self) -> tuple[tuple[int, int], ...]:
        """(outputs, inputs) of every 3x3 convolution, from 4 px on; toRGB is never refined."""
        c = self.channels
        pairs = [(c[0], c[0])]
        for before, width in zip(c, c[1:], strict=False):
            pairs += [(width, before), (width, width)]
        return tuple(pairs)


def resolution_of(num_codes: int) -> int | None:
    """Of the generator with this many codes, in px; None where none can be had."""
    return 2 ** (num_codes // 2 + 1) if num_codes % 2 == 0 and 2 <= num_codes <= 32 else None


def config_f_channels(resolution: int) -> tuple[int, ...]:
    """Channel widths of StyleGAN2 config F (channel multiplier 2): 512 up to 64 px, then halved."""
    return tuple(min(512, 32768 // r) for r in (2**i for i in range(2, int(math.log2(resolution)) + 1)))
