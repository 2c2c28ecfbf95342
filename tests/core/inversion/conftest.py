"""A world small enough to descend in: a random generator, networks that look at it, a photo of it."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.faces.dlib_network import DlibFaceNetwork
from core.inversion.whitening import Whitening
from core.models.lpips import Lpips

SIDE, CODES, COORDINATES = 64, 3, 6


def face_points() -> np.ndarray:
    """(68, 2) landmarks of a face in a crop of SIDE px: about where FFHQ's crop puts them."""
    points = np.zeros((68, 2))
    angle = np.linspace(0, np.pi, 17)
    points[:17] = np.stack([0.5 - 0.28 * np.cos(angle), 0.5 + 0.34 * np.sin(angle)], 1)
    points[17:27] = np.stack([np.linspace(0.3, 0.7, 10), np.full(10, 0.4)], 1)
    points[27:36] = np.stack([np.full(9, 0.5), np.linspace(0.47, 0.62, 9)], 1)
    ring = np.linspace(0, 2 * np.pi, 6, endpoint=False)
    eye = np.stack([-0.05 * np.cos(ring), -0.02 * np.sin(ring)], 1)
    points[36:42], points[42:48] = eye + (0.38, 0.47), eye + (0.62, 0.47)
    ring = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    points[48:] = np.stack([0.5 - 0.1 * np.cos(ring), 0.72 - 0.03 * np.sin(ring)], 1)
    return points * SIDE


@dataclass(frozen=True)
class World:
    whitening: Whitening
    face_network: DlibFaceNetwork
    lpips: Lpips
    landmarks: np.ndarray
    picture: nn.Module

    def synthesis(self, w: Tensor) -> Tensor:
        """(B, L, D) -> (B, 3, SIDE, SIDE): each code reaches a scale of its own."""
        return self.picture(w)


class Pictures(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.waves = nn.Parameter(torch.randn(CODES, 8, 3, SIDE // 8, SIDE // 8))

    def forward(self, w: Tensor) -> Tensor:
        coarse = torch.einsum("bld,ldchw->bchw", w, self.waves).tanh()
        return nn.functional.interpolate(coarse, size=(SIDE, SIDE), mode="bilinear")


@pytest.fixture
def world() -> World:
    torch.manual_seed(0)
    whitening = Whitening(torch.randn(CODES, 8) / 4, torch.randn(COORDINATES, CODES, 8) / 4)
    networks = (
        DlibFaceNetwork(4, ((4, 1, False), (6, 1, True), (7, 1, True)), 8),
        Lpips((3, 4, 4, 4, 4)),
        Pictures(),
    )
    for network in networks:
        network.requires_grad_(False).eval()
    return World(whitening, networks[0], networks[1], face_points(), networks[2])
