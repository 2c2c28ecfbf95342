"""A world of a tiny generator and tiny networks that look, for what finds codes in passes."""

import numpy as np
import pytest
import torch
from torch import Tensor

from core.faces.dlib_network import DlibFaceNetwork
from core.generators.mobile.network import MobileGenerator, statistics
from core.inversion.descents import Descents
from core.inversion.whitening import Whitening
from core.models.iterative_inverter import DESCRIPTORS, IterativeInverter
from core.models.lpips import Lpips
from core.network_config import IterativeInverterConfig
from training.data.aligned import AlignedFace

SIDE = 64


class Faces:
    """Four faces that are noise; the last is of the validation split."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        splits = ("train", "train", "train", "val")
        self.rows = [{"name": f"f{i}", "source": "A", "split": split} for i, split in enumerate(splits)]
        self.crops = random.integers(0, 255, (4, SIDE, SIDE, 3), dtype=np.uint8)
        self.landmarks = random.uniform(4, SIDE - 4, (4, 68, 2))

    def first(self, per_source: int, split: str) -> list[str]:
        return [row["name"] for row in self.rows if row["split"] == split][:per_source]

    def __getitem__(self, name: str) -> AlignedFace:
        i = int(name[1:])
        return AlignedFace(name, self.crops[i], self.landmarks[i], self.rows[i])


@pytest.fixture
def descents(tiny_mobile: MobileGenerator, monkeypatch: pytest.MonkeyPatch) -> Descents:
    """Pictures of SIDE px."""
    torch.manual_seed(0)
    tiny_mobile.w_basis.copy_(statistics(tiny_mobile.mapping, tiny_mobile.config.z_dim)[1])
    face_network = DlibFaceNetwork(4, ((4, 1, False), (6, 1, True), (7, 1, True)), DESCRIPTORS // 2)
    lpips = Lpips((3, 4, 4, 4, 4))
    for network in (face_network, lpips):
        network.requires_grad_(False).eval()

    # The tiny generator's pictures hardly differ; these do, and each code reaches a scale of its own.
    length, width = tiny_mobile.w_mean.shape
    waves = torch.randn(length, width, 3, SIDE // 8, SIDE // 8)

    def synthesis(w: Tensor) -> Tensor:
        coarse = torch.einsum("bld,ldchw->bchw", w - tiny_mobile.w_mean, waves).tanh()
        return torch.nn.functional.interpolate(coarse, size=(SIDE, SIDE), mode="bilinear")

    return Descents(synthesis, Whitening.of(tiny_mobile), face_network, lpips)


@pytest.fixture
def inverter(descents: Descents) -> IterativeInverter:
    torch.manual_seed(1)
    length, width = descents.whitening.mean.shape
    return IterativeInverter(
        IterativeInverterConfig(
            length, width, width=8, heads=2, feedforward=16, dense=8, input_resolution=SIDE
        )
    )
