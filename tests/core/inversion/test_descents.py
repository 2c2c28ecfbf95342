import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from core.config import StartConfig
from core.inversion import descents
from core.inversion.descents import Descents
from core.inversion.start import Start, group_sizes, start_features

from .conftest import CODES, COORDINATES, SIDE, World


@pytest.fixture
def made(world: World, monkeypatch: pytest.MonkeyPatch) -> Descents:
    monkeypatch.setattr(descents, "SIZE", SIDE)
    start = Start(StartConfig(sum(group_sizes(world.face_network)), 2, COORDINATES))
    torch.manual_seed(5)
    for buffer in start.buffers():
        buffer.normal_()
    return Descents(world.synthesis, world.whitening, world.face_network, world.lpips, start)


def crop_of(world: World, factor: int) -> np.ndarray:
    random = np.random.default_rng(0)
    small = random.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
    return small.repeat(factor, 0).repeat(factor, 1)


def test_a_larger_crop_gives_the_same_descent(made: Descents, world: World) -> None:
    small = made(crop_of(world, 1), world.landmarks)
    large = made(crop_of(world, 4), (world.landmarks + 0.5) * 4 - 0.5)

    torch.testing.assert_close(large.coordinates, small.coordinates)
    assert large.step() == pytest.approx(small.step(), rel=1e-4)
    torch.testing.assert_close(large.codes, small.codes, rtol=1e-4, atol=1e-4)


def test_it_begins_where_the_start_says(made: Descents, world: World) -> None:
    crop = crop_of(world, 1)

    begun = made(crop, world.landmarks)

    photo = torch.from_numpy(crop).permute(2, 0, 1)[None].float() / 127.5 - 1
    expected = made.start(start_features(world.face_network, photo))[0]
    assert float(expected.abs().max()) > 0
    torch.testing.assert_close(begun.coordinates, expected.expand(CODES, -1))


def test_it_begins_at_the_code_that_is_known(made: Descents, world: World) -> None:
    v = torch.randn(1, CODES, COORDINATES)

    begun = made(crop_of(world, 1), world.landmarks, world.whitening.codes(v)[0])

    torch.testing.assert_close(begun.coordinates, v[0], rtol=1e-4, atol=1e-4)


def test_without_a_start_it_begins_at_the_mean(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descents, "SIZE", SIDE)
    made = Descents(world.synthesis, world.whitening, world.face_network, world.lpips)

    torch.testing.assert_close(made(crop_of(world, 1), world.landmarks).codes, world.whitening.mean)


def test_the_whole_photo_is_compared_at_the_small_size(made: Descents, world: World) -> None:
    crop = np.random.default_rng(1).integers(0, 255, (4 * SIDE, 4 * SIDE, 3), dtype=np.uint8)

    loss = made(crop, (world.landmarks + 0.5) * 4 - 0.5)._loss

    small = F.avg_pool2d(torch.from_numpy(crop).permute(2, 0, 1)[None].float() / 127.5 - 1, 4)
    assert float(sum(loss(small).values())) < 1e-4


def test_pictures_are_held_against_those_that_are_shown(made: Descents, world: World) -> None:
    """At their own size: the shown ones may be larger, and may be inference tensors."""

    @torch.inference_mode()
    def brighter(w: torch.Tensor) -> torch.Tensor:
        return F.interpolate(world.synthesis(w) + 0.5, scale_factor=4)

    crop = crop_of(world, 1)
    begun = dataclasses.replace(made, shown=brighter)(crop, world.landmarks)

    plain = made(crop, world.landmarks)
    with torch.no_grad():
        picture = world.synthesis(plain.codes[None])
    expected = plain._loss(picture + 0.5) | plain._loss.pull(plain.coordinates[None])
    assert begun.step() == pytest.approx(float(sum(expected.values())), rel=1e-4)
