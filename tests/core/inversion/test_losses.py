import dataclasses

import numpy as np
import pytest
import torch

from core.faces.dlib_network import chip_grid, chips
from core.inversion.losses import OpeningLoss, OpeningWeights, pixel_weights

from .conftest import SIDE, World, face_points


def loss_of(world: World, photo: torch.Tensor, **weights: float) -> OpeningLoss:
    return OpeningLoss(photo, world.landmarks, world.face_network, world.lpips, OpeningWeights(**weights))


def test_the_photo_itself_costs_nothing(world: World) -> None:
    photo = torch.rand(1, 3, SIDE, SIDE) * 2 - 1

    assert all(float(term) == 0 for term in loss_of(world, photo)(photo).values())


def test_every_term_is_its_formula(world: World) -> None:
    torch.manual_seed(1)
    photo, picture = torch.rand(2, 1, 3, SIDE, SIDE) * 2 - 1
    terms = loss_of(world, photo)(picture)

    d = (picture - photo)[0]
    pixels = torch.from_numpy(pixel_weights(world.landmarks, SIDE, OpeningWeights()))
    expected = {
        "squared": 3.0 * (pixels * d * d).mean(),
        "absolute": (pixels * d.abs()).mean(),
        "lpips": 2.0 * world.lpips(picture, photo)[0],
    }
    coarse = 0.0
    for side in (4, 16):
        blocks = d.reshape(3, SIDE // side, side, SIDE // side, side)
        coarse += float(blocks.mean((2, 4)).square().mean())
    expected["coarse"] = torch.tensor(3.0 * coarse)
    theta = chip_grid(world.landmarks, SIDE)
    (a, maps_a), (b, maps_b) = (world.face_network(chips(x, theta)) for x in (picture, photo))
    expected["descriptor"] = 2.5 * ((a - b) ** 2).sum()
    expected["maps"] = 0.1 * sum(
        ((p - q) ** 2).sum() / (q**2).sum() for p, q in zip(maps_a, maps_b, strict=True)
    )
    assert terms.keys() == expected.keys()
    for name, term in terms.items():
        torch.testing.assert_close(term, expected[name], rtol=1e-4, atol=1e-7, msg=name)


def test_a_term_of_no_weight_is_not_computed(world: World) -> None:
    photo = torch.rand(1, 3, SIDE, SIDE)

    terms = loss_of(world, photo, descriptor=0, maps=0, lpips=0, coarse=0)(photo * 0)

    assert terms.keys() == {"squared", "absolute"}


def test_the_pull_is_to_the_mean_and_to_equal_codes(world: World) -> None:
    loss = loss_of(world, torch.zeros(1, 3, SIDE, SIDE))
    v = torch.tensor([[[1.0, 2.0], [3.0, -2.0]]])

    pull = loss.pull(v)

    assert float(pull["mean"]) == pytest.approx(0.03 * 18 / 4)
    assert float(pull["equal"]) == pytest.approx(0.2 * (1 + 4 + 1 + 4) / 4)


def test_eyes_and_mouth_count_most_and_the_ground_least() -> None:
    weights, points = OpeningWeights(), face_points()
    counted = pixel_weights(points, SIDE, weights)

    def at(x: float, y: float) -> float:
        return float(counted[round(y * SIDE), round(x * SIDE)])

    assert at(0.02, 0.02) == np.float32(weights.ground)
    assert abs(at(0.5, 0.6) - weights.ground - weights.face) < 0.1
    for part in ((0.38, 0.47), (0.62, 0.47), (0.5, 0.72)):
        assert at(*part) > 0.9 * (weights.ground + weights.face + weights.part)
    # The forehead, above all points, is face too.
    assert at(0.5, 0.33) > weights.ground + 0.5 * weights.face
    even = dataclasses.replace(weights, face=0.0, part=0.0)
    assert (pixel_weights(points, SIDE, even) == np.float32(weights.ground)).all()


def test_half_precision_is_close(world: World) -> None:
    photo, picture = torch.rand(2, 1, 3, SIDE, SIDE) * 2 - 1
    arguments = photo, world.landmarks, world.face_network, world.lpips

    half = OpeningLoss(*arguments, dtype=torch.bfloat16)(picture)

    for name, term in OpeningLoss(*arguments)(picture).items():
        torch.testing.assert_close(half[name], term, rtol=0.05, atol=1e-3, msg=name)
