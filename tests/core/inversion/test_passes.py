"""Passes: each compares the photo with the picture of what the one before found."""

import pytest
import torch
from torch import Tensor

from core.faces.dlib_network import DlibFaceNetwork
from core.inversion import passes as module
from core.inversion.passes import Passes
from core.inversion.start import Start, group_sizes, start_features
from core.models.iterative_inverter import Seen
from core.network_config import IterativeInverterConfig, StartConfig

from .conftest import CODES, COORDINATES, SIDE, World


class Halving(torch.nn.Module):
    """Goes half of the way from the picture's code to one that it reads off the photo's upper left pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.config = IterativeInverterConfig(CODES, COORDINATES, passes=3)
        self.asked: list[tuple[Tensor, Tensor]] = []
        self.gain = torch.nn.Parameter(torch.tensor(0.5))

    def look(self, pictures: Tensor, descriptors: Tensor) -> Seen:
        return Seen((pictures,), descriptors)

    def forward(self, photo: Seen, picture: Seen, v: Tensor) -> Tensor:
        self.asked.append((picture.maps[0].detach(), v.detach()))
        wanted = photo.maps[0][:, :1, :1, :1].flatten(1)[..., None]  # (B, 1, 1)
        return v + self.gain * (wanted - v)


def chip_outputs(network: DlibFaceNetwork, crops: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
    return [network(torch.nn.functional.interpolate(crops, size=(150, 150)))] * 2


@pytest.fixture
def made(world: World, monkeypatch: pytest.MonkeyPatch) -> tuple[Passes, Halving]:
    monkeypatch.setattr(module, "chip_outputs", chip_outputs)
    halving = Halving()
    return Passes(halving, world.face_network, world.synthesis, world.whitening), halving  # type: ignore[arg-type]


def photos() -> Tensor:
    x = torch.zeros(2, 3, SIDE, SIDE)
    x[0, 0, 0, 0], x[1, 0, 0, 0] = 0.8, -0.4
    return x


@torch.no_grad()
def test_each_pass_sees_the_picture_of_the_last(made: tuple[Passes, Halving], world: World) -> None:
    passes, halving = made

    found = passes(photos())

    for i, wanted in enumerate((0.8, -0.4)):
        torch.testing.assert_close(found[i], torch.full((CODES, COORDINATES), wanted * (1 - 0.5**3)))
    assert len(halving.asked) == 3
    assert not halving.asked[0][1].any()
    for picture, v in halving.asked:
        torch.testing.assert_close(picture, world.synthesis(world.whitening.codes(v)))


@torch.no_grad()
def test_the_first_pass_compares_with_what_the_start_says(world: World, made: tuple[Passes, Halving]) -> None:
    """Its features are those of the photo; all codes begin alike."""
    start = Start(StartConfig(sum(group_sizes(world.face_network)), 2, COORDINATES))
    for buffer in start.buffers():
        buffer.copy_(torch.randn(buffer.shape) / 4 + (buffer is start.scale))
    halving = Halving()
    passes = Passes(halving, world.face_network, world.synthesis, world.whitening, start)  # type: ignore[arg-type]

    (found,) = passes.steps(photos(), 1)

    begun = start(start_features(photos(), chip_outputs(world.face_network, photos())))
    assert float(begun.abs().mean()) > 0.01
    picture, v = halving.asked[0]
    torch.testing.assert_close(v, begun[:, None].expand(2, CODES, COORDINATES))
    torch.testing.assert_close(picture, world.synthesis(world.whitening.codes(v)))
    wanted = torch.tensor([0.8, -0.4])[:, None, None]
    torch.testing.assert_close(found, (v + wanted) / 2)


def test_gradients_stay_within_a_pass(made: tuple[Passes, Halving]) -> None:
    passes, halving = made
    first, second = passes.steps(photos(), 2)
    # v2 = v1 + g (wanted - v1), v1 held: the gradient by g is wanted - v1 = wanted / 2.
    (gradient,) = torch.autograd.grad(second[0].sum(), halving.gain)
    assert float(gradient) == pytest.approx(0.4 * CODES * COORDINATES)
    assert first.requires_grad


@torch.no_grad()
def test_codes_that_pictures_only_estimate_follow_the_others(
    world: World, made: tuple[Passes, Halving]
) -> None:
    class Apart(Halving):
        def forward(self, photo: Seen, picture: Seen, v: Tensor) -> Tensor:
            return v + torch.arange(1.0, CODES + 1)[:, None]

    passes = Passes(Apart(), world.face_network, world.synthesis, world.whitening, free=CODES - 2)  # type: ignore[arg-type]

    first, second = passes.steps(photos(), 2)

    free = torch.arange(1.0, CODES - 1)
    wanted = torch.cat([free, free.mean().expand(2)])[None, :, None].expand(2, CODES, COORDINATES)
    torch.testing.assert_close(first, wanted)
    torch.testing.assert_close(second[:, :-2], 2 * wanted[:, :-2])
    torch.testing.assert_close(second[:, -2:], 2 * wanted[:, -2:])
