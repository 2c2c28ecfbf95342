"""Batches of aligned faces with the grids of dlib's chips, which the identity loss needs."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from core.faces.dlib_network import chip_grid
from training.data.packs import Faces

# iBUG indices after mirroring a face.
MIRROR = np.array(
    [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31]
    + [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    + [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
)


class Batches:
    """Random, endless, half of them mirrored. Yields images (B, 3, S, S) in [-1, 1] and theta (B, 2, 3).

    Iterating raises ValueError if there are fewer faces than a batch holds.
    """

    def __init__(self, faces: Faces, batch: int, device: torch.device, seed: int) -> None:
        size = faces.images.shape[1]
        mirrored = faces.landmarks[:, MIRROR] * (-1, 1) + (size - 1, 0)
        self.images = faces.images
        self.theta = torch.stack([_grids(faces.landmarks, size), _grids(mirrored, size)])  # (2, N, 2, 3)
        self.batch, self.device = batch, device
        self.random = np.random.default_rng(seed)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if len(self.images) < self.batch:
            raise ValueError(f"A batch of {self.batch} is more than the {len(self.images)} faces there are")
        while True:
            order = self.random.permutation(len(self.images))
            for start in range(0, len(order) - self.batch + 1, self.batch):
                yield self.take(order[start : start + self.batch], self.random.random(self.batch) < 0.5)

    def take(self, index: np.ndarray, mirror: np.ndarray) -> tuple[Tensor, Tensor]:
        """index: (B,) int; mirror: (B,) bool."""
        pictures = self.images[index]  # (B, S, S, 3) uint8
        pictures[mirror] = pictures[mirror][:, :, ::-1]
        images = torch.from_numpy(pictures).to(self.device).permute(0, 3, 1, 2).float() / 127.5 - 1
        theta = self.theta[mirror.astype(int), index].to(self.device)
        return images, theta


def _grids(landmarks: np.ndarray, size: int) -> Tensor:
    """(N, 68, 2) in pixels of a crop of `size` -> (N, 2, 3)."""
    return torch.cat([chip_grid(points, size) for points in landmarks])
