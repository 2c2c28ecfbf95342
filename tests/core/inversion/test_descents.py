import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from core.config import StartConfig
from core.inversion import descents
from core.inversion.descents import Descents
from core.inversion.start import Start, chip_outputs, group_sizes, start_features

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
    expected = made.start(start_features(photo, chip_outputs(world.face_network, photo)))[0]
    assert float(expected.abs().max()) > 0
    torch.testing.assert_close(begun.coordinates, expected.expand(CODES, -1))


def test_it_begins_where_passes_say(made: Descents, world: World) -> None:
    seen = []

    def passes(photo: torch.Tensor) -> torch.Tensor:
        seen.append(photo)
        return torch.arange(CODES * COORDINATES).view(1, CODES, COORDINATES) / 10

    crop = crop_of(world, 1)
    begun = dataclasses.replace(made, passes=passes, free=2)(crop, world.landmarks)

    photo = torch.from_numpy(crop).permute(2, 0, 1)[None].float() / 127.5 - 1
    torch.testing.assert_close(seen[0], photo)
    torch.testing.assert_close(begun.coordinates, passes(photo)[0])
    assert begun._own.shape == (2, COORDINATES)


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
