"""dlib's face descriptor as a torch module with gradients, and the chip that it looks at.

The network (King 2017, dlib_face_recognition_resnet_model_v1) is a residual network of 29 convolutions; its
weights come from face_recognition_models' own file. Its readable twin is dlib itself: `core.faces.identity`.
"""

from collections.abc import Sequence
from pathlib import Path

import dlib
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.faces.dlib_file import read_tensors

SHA256 = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"
CHIP_SIZE, CHIP_PADDING = 150, 0.25
# Of dlib's input layer, for RGB in [0, 255].
MEAN_RGB, DIVISOR = (122.782, 117.001, 104.298), 256.0
STEM = 32
# Of each group of residual units: channels, units, and whether its first halves the size.
GROUPS = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))


class Unit(nn.Module):
    """Two 3x3 convolutions and what was given; `down`: at half the size, by convolution and by average."""

    def __init__(self, inputs: int, outputs: int, down: bool) -> None:
        super().__init__()
        self.down = down
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=2 if down else 1, padding=0 if down else 1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, I, H, W) -> (B, O, H, W), or about half of H and W."""
        y = self.conv2(F.relu(self.conv1(x)))
        if self.down:
            x = F.avg_pool2d(x, 2)
        if x.shape == y.shape:
            return F.relu(x + y)
        # dlib's add_prev pads the smaller with zeros: the last columns, rows and channels.
        c, h, w = (max(a, b) for a, b in zip(x.shape[1:], y.shape[1:], strict=True))
        return F.relu(_padded(x, c, h, w) + _padded(y, c, h, w))


def _padded(x: Tensor, channels: int, rows: int, columns: int) -> Tensor:
    return F.pad(x, (0, columns - x.shape[3], 0, rows - x.shape[2], 0, channels - x.shape[1]))


class DlibFaceNetwork(nn.Module):
    """Chips -> descriptor and maps. dlib's affine layers are folded into the convolutions before them."""

    def __init__(
        self, stem: int = STEM, groups: Sequence[tuple[int, int, bool]] = GROUPS, outputs: int = 128
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, stem, 7, stride=2)
        self.groups = nn.ModuleList()
        inputs = stem
        for channels, units, down in groups:
            sizes = [inputs] + [channels] * units
            pairs = zip(sizes, sizes[1:], strict=False)
            self.groups.append(
                nn.Sequential(*(Unit(a, b, down and i == 0) for i, (a, b) in enumerate(pairs)))
            )
            inputs = channels
        self.last = nn.Linear(inputs, outputs, bias=False)
        self.register_buffer("mean", torch.tensor(MEAN_RGB).view(1, 3, 1, 1), persistent=False)
        self.mean: Tensor

    @classmethod
    def load(cls, path: Path) -> "DlibFaceNetwork":
        """dlib's own network, frozen. path: dlib_face_recognition_resnet_model_v1.dat.

        Raises: ValueError if it is not that file; OSError if it cannot be read.
        """
        network = cls()
        network.load_state_dict(folded_state(network, read_tensors(path, SHA256, file_lengths(network))))
        return network.eval().requires_grad_(False)

    def forward(self, chips: Tensor) -> tuple[Tensor, list[Tensor]]:
        """chips: (B, 3, 150, 150) RGB in [-1, 1] -> the descriptor (B, 128) float32, and the maps.

        The maps are those at the end of each group: for dlib's own 32x35x35, 64x17x17, 128x8x8, 256x4x4,
        256x2x2 (channels, rows, columns). The descriptor is not normalised.
        """
        x = ((chips + 1) * 127.5 - self.mean) / DIVISOR
        x = F.max_pool2d(F.relu(self.stem(x)), 3, stride=2)
        maps = []
        for group in self.groups:
            x = group(x)
            maps.append(x)
        return self.last(x.float().mean((2, 3))).float(), maps


def file_lengths(network: DlibFaceNetwork) -> list[int]:
    """Of the file's tensors: for each convolution (filters, biases) and (gammas, betas), then a matrix."""
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    pairs = [(m.weight.numel() + m.out_channels, 2 * m.out_channels) for m in convolutions]
    return [*(length for pair in pairs for length in pair), network.last.weight.numel()]


def folded_state(network: DlibFaceNetwork, tensors: Sequence[np.ndarray]) -> dict[str, Tensor]:
    """The module's state from the file's tensors, whose lengths are `file_lengths`."""
    convolutions = [(n, m) for n, m in network.named_modules() if isinstance(m, nn.Conv2d)]
    state = {}
    for i, (name, convolution) in enumerate(convolutions):
        filters, affine = (torch.from_numpy(tensors[2 * i + j]) for j in (0, 1))
        outputs = convolution.out_channels
        gamma, beta = affine[:outputs], affine[outputs:]
        state[f"{name}.weight"] = filters[:-outputs].view(convolution.weight.shape) * gamma.view(-1, 1, 1, 1)
        state[f"{name}.bias"] = filters[-outputs:] * gamma + beta
    # The file's matrix is (inputs, outputs).
    state["last.weight"] = torch.from_numpy(tensors[-1]).view(network.last.weight.shape[::-1]).T.contiguous()
    return state


def chip_grid(landmarks: np.ndarray, size: int) -> Tensor:
    """(1, 2, 3) float32 `theta` for affine_grid: from dlib's chip of these landmarks to the picture.

    landmarks: (68, 2) in pixels of a square picture of `size` px, iBUG order. The similarity is
    dlib.get_face_chip's own, with size 150 and padding .25.
    """
    points = [dlib.point(int(x), int(y)) for x, y in np.rint(landmarks)]
    shape = dlib.full_object_detection(dlib.rectangle(0, 0, size - 1, size - 1), points)
    details = dlib.get_face_chip_details(shape, CHIP_SIZE, CHIP_PADDING)
    # The rectangle's corners are the centres of the chip's corner pixels; it is turned about its own centre.
    centre, pixel = details.rect.dcenter(), details.rect.width() / (CHIP_SIZE - 1)
    turn = pixel * np.array(
        [[np.cos(details.angle), -np.sin(details.angle)], [np.sin(details.angle), np.cos(details.angle)]]
    )
    # Normalised coordinates, pixel centres at integers: p = (u + 1) * side / 2 - 0.5.
    linear = turn * CHIP_SIZE / size
    offset = (np.array([centre.x, centre.y]) + 0.5) * 2 / size - 1
    return torch.from_numpy(np.hstack([linear, offset[:, None]])[None]).float()


def chips(pictures: Tensor, theta: Tensor) -> Tensor:
    """Pictures (B, 3, S, S) -> what the network sees of them (B, 3, 150, 150); theta: (B, 2, 3).

    Beyond the picture the edge is repeated. Bilinear, without dlib's pyramid: for pictures whose chip is
    about as large as 150 px, such as crops of 256 px.
    """
    grid = F.affine_grid(theta, [len(pictures), 3, CHIP_SIZE, CHIP_SIZE], align_corners=False)
    return F.grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=False)
