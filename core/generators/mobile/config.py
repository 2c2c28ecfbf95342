"""What a MobileStyleGAN is."""

from dataclasses import dataclass
from typing import Literal

from core.generators.limits import check_generator


@dataclass(frozen=True)
class MobileConfig:
    """MobileStyleGAN (Belousov 2021, arXiv 2104.04767) with its noise fixed and its demodulation folded away.

    resolution: of the picture, in px; `channels[i]` is the width at 4 * 2**i px, up to half the resolution:
    the last step to the picture is an inverse Haar transform. previews: sizes in px below half the
    resolution that a head of our own makes a picture of, ascending.
    """

    resolution: int
    channels: tuple[int, ...]
    w_dim: int = 512
    z_dim: int = 512
    mapping_layers: int = 8
    previews: tuple[int, ...] = ()
    family: Literal["mobile"] = "mobile"

    def __post_init__(self) -> None:
        if self.family != "mobile":
            raise ValueError(f"Family {self.family!r} is not mobile")
        check_generator(self.resolution, (self.w_dim, self.z_dim, *self.channels), self.mapping_layers)
        if len(self.channels) < 2 or self.resolution != 8 * 2 ** (len(self.channels) - 1):
            raise ValueError(
                f"Resolution {self.resolution} does not go with {len(self.channels)} channel widths: "
                "4 px have the first, half the resolution the last"
            )
        if any(width % 4 for width in self.channels[:-1]):
            raise ValueError("Widths before an inverse Haar transform must be divisible by 4")
        within = [4 * 2**i for i in range(1, len(self.channels) - 1)]
        if list(self.previews) != sorted(set(self.previews) & set(within)):
            raise ValueError(f"Preview sizes {self.previews} must ascend and be among {within}")

    @property
    def num_blocks(self) -> int:
        """Blocks, each of which doubles the size: from 8 px to half the resolution."""
        return len(self.channels) - 1

    @property
    def num_codes(self) -> int:
        """Style codes in W+: one at 4 px, two a block, one for the picture (16 at 1024 px)."""
        return 2 * self.num_blocks + 2


# The published FFHQ student: what the files of the package `random-face` hold.
FFHQ_1024 = MobileConfig(resolution=1024, channels=(512, 512, 512, 512, 512, 256, 128, 64))
