"""What is where in an aligned face: CelebAMask-HQ's classes by a small U-Net on MobileNetV2's trunk.

U-Net (Ronneberger et al. 2015): features are enlarged step by step and joined with the trunk's of that
size. The last step has half the picture's side; its scores are enlarged once more.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.mobilenet import CHANNELS, MobileNetTrunk

# Lee et al. 2020, by number. Left and right are the person's own.
CLASSES = (
    "background", "skin", "nose", "glasses", "left eye", "right eye", "left brow", "right brow",
    "left ear", "right ear", "mouth", "upper lip", "lower lip", "hair", "hat", "earring", "necklace",
    "neck", "cloth",
)  # fmt: skip
SIDE = 256
# Of the steps, coarsest first: as many as joins.
WIDTHS = (96, 64, 48, 32)


class Join(nn.Module):
    """Coarser features, enlarged, and the trunk's; then a 5x5 of each channel and a mix, as a residual."""

    def __init__(self, coarse: int, fine: int, outputs: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(coarse, outputs, 1)
        self.lateral = nn.Conv2d(fine, outputs, 1)
        self.norm = nn.GroupNorm(8, outputs)
        self.depthwise = nn.Conv2d(outputs, outputs, 5, padding=2, groups=outputs)
        self.mix = nn.Conv2d(outputs, outputs, 1)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """(B, C, H/2, W/2), (B, C', H, W) -> (B, O, H, W)."""
        size = fine.shape[2:]
        enlarged = F.interpolate(self.narrow(coarse), size=size, mode="bilinear", align_corners=False)
        x = F.relu(self.norm(enlarged + self.lateral(fine)))
        return x + F.relu(self.mix(self.depthwise(x)))


class FaceParser(nn.Module):
    """Aligned crops -> scores of CLASSES."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = MobileNetTrunk()
        fine = CHANNELS[-2::-1]  # all but the coarsest, coarsest first
        inputs = (CHANNELS[-1], *WIDTHS[:-1])
        self.joins = nn.ModuleList(Join(*sizes) for sizes in zip(inputs, fine, WIDTHS, strict=True))
        self.score = nn.Conv2d(WIDTHS[-1], len(CLASSES), 3, padding=1)

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3, S, S) in [-1, 1], S divisible by 32 and made for SIDE -> (B, len(CLASSES), S, S), logits."""
        *fine, x = self.trunk(pictures)
        for join, features in zip(self.joins, fine[::-1], strict=True):
            x = join(x, features)
        return F.interpolate(self.score(x), scale_factor=2, mode="bilinear", align_corners=False)

    @torch.no_grad()
    def classes(self, pictures: Tensor) -> Tensor:
        """(B, 3, S, S) in [-1, 1] -> (B, S, S) uint8, numbers of CLASSES."""
        return self(pictures).argmax(1).byte()
