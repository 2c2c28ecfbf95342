"""Who a picture shows, judged from outside: MobileFaceNet (Chen et al. 2018) trained with ArcFace.

No loss, no start and no stopping rule may see this network: what is fitted to a judge is no longer judged.
Its weights are no part of the product; they are given by path.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from core.errors import BadCheckpoint
from core.faces.alignment import find_landmarks
from core.images import to_tensor

INPUT_SIZE = (112, 96)  # rows, columns
# Where eyes, nose tip and mouth corners must lie, in (x, y) input pixels.
FIVE_POINTS = np.array(
    [(30.29, 51.70), (65.53, 51.50), (48.03, 71.74), (33.55, 92.37), (62.73, 92.20)], np.float64
)
# Expansion, channels, units, first stride.
BOTTLENECKS = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))
# Larger crops are made this small first, by area: sampled at once they would alias.
JUDGED_SIDE = 256
BATCH = 32


class _ConvBN(nn.Module):
    def __init__(
        self, i: int, o: int, k: int | tuple[int, int], s: int, p: int, groups: int = 1, act: bool = True
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(i, o, k, s, p, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(o)
        self.prelu = nn.PReLU(o) if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.prelu(self.bn(self.conv(x)))


class _Bottleneck(nn.Module):
    """1x1, depthwise 3x3, linear 1x1; the input is added where shapes allow."""

    def __init__(self, i: int, o: int, stride: int, expansion: int) -> None:
        super().__init__()
        e = i * expansion
        self.skip = stride == 1 and i == o
        self.conv = nn.Sequential(
            nn.Conv2d(i, e, 1, bias=False),
            nn.BatchNorm2d(e),
            nn.PReLU(e),
            nn.Conv2d(e, e, 3, stride, 1, groups=e, bias=False),
            nn.BatchNorm2d(e),
            nn.PReLU(e),
            nn.Conv2d(e, o, 1, bias=False),
            nn.BatchNorm2d(o),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.skip else self.conv(x)


class MobileFaceNet(nn.Module):
    """Aligned faces (B, 3, 112, 96) in [-1, 1] -> unit embeddings (B, 128)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _ConvBN(3, 64, 3, 2, 1)
        self.dw_conv1 = _ConvBN(64, 64, 3, 1, 1, groups=64)
        blocks, i = [], 64
        for expansion, o, units, stride in BOTTLENECKS:
            for unit in range(units):
                blocks.append(_Bottleneck(i, o, stride if unit == 0 else 1, expansion))
                i = o
        self.blocks = nn.Sequential(*blocks)
        self.conv2 = _ConvBN(128, 512, 1, 1, 0)
        self.linear7 = _ConvBN(512, 512, (7, 6), 1, 0, groups=512, act=False)
        self.linear1 = _ConvBN(512, 128, 1, 1, 0, act=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.pooled(x)[0]

    def pooled(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The unit embedding (B, 128), and the last map's mean over positions (B, 512)."""
        last = self.conv2(self.blocks(self.dw_conv1(self.conv1(x))))  # (B, 512, 7, 6)
        embedding = self.linear1(self.linear7(last)).flatten(1)  # (B, 128, 1, 1) -> (B, 128)
        return F.normalize(embedding), last.mean((2, 3))


class IdentityJudge:
    """MobileFaceNet behind aligned crops: embeddings, and cosines of pairs (1: the same; 0: strangers)."""

    def __init__(self, network: MobileFaceNet, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.network = network.to(self.device).eval().requires_grad_(False)

    @classmethod
    def load(cls, path: Path, device: torch.device | str = "cpu") -> "IdentityJudge":
        """Raises: BadCheckpoint where the file cannot be read or is no MobileFaceNet of this size."""
        network = MobileFaceNet()
        try:
            network.load_state_dict(load_file(path))
        except (OSError, SafetensorError) as error:
            reason = getattr(error, "strerror", None) or "it is no safetensors file"
            raise BadCheckpoint(f"The judge's weights {str(path)!r} cannot be read: {reason}.") from error
        except RuntimeError as error:  # torch lists every name that does not fit
            raise BadCheckpoint(
                f"The file {str(path)!r} does not hold the judge's weights: its names or shapes are not "
                "MobileFaceNet's."
            ) from error
        return cls(network, device)

    def embeddings(self, pictures: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """(N, 128) float32, unit rows.

        pictures: (N, S, S, 3) uint8, aligned crops; landmarks: (N, 68, 2) in their pixels, iBUG order.
        """
        return self.described(pictures, landmarks)[0]

    @torch.inference_mode()
    def described(self, pictures: np.ndarray, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`embeddings`, and (N, 512) float32: the last map's mean over positions, for Frechet distances."""
        theta = torch.from_numpy(sampling_grids(landmarks, pictures.shape[1])).to(self.device)
        found = []
        for start in range(0, len(pictures), BATCH):
            part = slice(start, start + BATCH)
            images = to_tensor(pictures[part], self.device)
            if images.shape[-1] > JUDGED_SIDE:
                images = F.interpolate(images, size=(JUDGED_SIDE, JUDGED_SIDE), mode="area")
            found.append(self.network.pooled(align(images, theta[part])))
        embeddings, pooled = (torch.cat(part).cpu().numpy() for part in zip(*found, strict=True))
        return embeddings, pooled

    def cosine(
        self, photo: np.ndarray, picture: np.ndarray, landmarks: np.ndarray, turned: bool = False
    ) -> float:
        """How much `picture` shows the person of `photo`: the cosine of their embeddings.

        photo, picture: (S, S, 3) uint8, one crop twice, not always at one size; landmarks: (68, 2), the
        photo's, in its pixels. They are used for both: found anew, they would measure the detector as well.
        turned: the picture shows the head from elsewhere, and its points do have to be found anew.
        """
        # Pixel centres lie at integers in both.
        points = (landmarks + 0.5) * (picture.shape[0] / photo.shape[0]) - 0.5
        if turned:
            points = landmarks_anew(picture, points)
        a, b = (self.embeddings(p[None], at[None])[0] for p, at in ((photo, landmarks), (picture, points)))
        return float(a @ b)


def landmarks_anew(picture: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """(68, 2) float32: the points of a picture whose head was turned from where `landmarks`, (68, 2), lie.

    Looked for in the box of the former points, so that a detector's choice of a box plays no part.
    """
    (left, top), (right, bottom) = np.rint(landmarks.min(0)), np.rint(landmarks.max(0))
    return find_landmarks(picture, (int(left), int(top), int(right), int(bottom)))


def five_points(landmarks: np.ndarray) -> np.ndarray:
    """(N, 68, 2) -> (N, 5, 2): eyes, nose tip, mouth corners."""
    return np.stack(
        [
            landmarks[:, 36:42].mean(1),
            landmarks[:, 42:48].mean(1),
            landmarks[:, 30],
            landmarks[:, 48],
            landmarks[:, 54],
        ],
        axis=1,
    )


def sampling_grids(landmarks: np.ndarray, size: int) -> np.ndarray:
    """(N, 2, 3) float32 `theta` for affine_grid: from the network's input to the aligned crop.

    landmarks: (N, 68, 2) in crop pixels; size: the crop's side. The similarity that brings the five
    points nearest to where they must lie (least squares), inverted.
    """
    source = five_points(landmarks).astype(np.float64)  # (N, 5, 2)
    mean = source.mean(1, keepdims=True)
    target_mean = FIVE_POINTS.mean(0)
    s, t = source - mean, FIVE_POINTS - target_mean
    # crop = [a -b; b a] (net - target_mean) + mean, in closed form.
    a = (s * t).sum((1, 2)) / np.square(t).sum()
    b = (s[..., 1] * t[:, 0] - s[..., 0] * t[:, 1]).sum(1) / np.square(t).sum()
    linear = np.stack([np.stack([a, -b], 1), np.stack([b, a], 1)], 1)  # (N, 2, 2)
    offset = mean[:, 0] - np.einsum("nij,j->ni", linear, target_mean)
    # To normalised coordinates, pixel centres at integers: p = (u + 1) * side / 2 - 0.5.
    rows, columns = INPUT_SIZE
    half_net = np.array([columns, rows]) / 2
    theta_linear = linear * half_net[None, None, :] * 2 / size
    centre = np.einsum("nij,j->ni", linear, half_net - 0.5) + offset
    theta_offset = (centre + 0.5) * 2 / size - 1
    return np.concatenate([theta_linear, theta_offset[:, :, None]], 2).astype(np.float32)


def align(images: Tensor, theta: Tensor) -> Tensor:
    """Aligned crops (B, 3, S, S) -> (B, 3, 112, 96), the edge repeated beyond the crop."""
    grid = F.affine_grid(theta, [len(images), 3, *INPUT_SIZE], align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
