import pytest
import torch

from core.inversion.descent import Descent, DescentSettings
from core.inversion.gradient_basis import AdamSettings
from core.inversion.losses import OpeningLoss, OpeningWeights

from .conftest import CODES, COORDINATES, World


def descent(
    world: World, synthesis=None, settings: DescentSettings | None = None
) -> tuple[Descent, torch.Tensor]:
    torch.manual_seed(3)
    wanted = torch.randn(COORDINATES)
    photo = world.synthesis(world.whitening.codes(wanted.expand(1, CODES, -1)))
    weights = OpeningWeights(mean=1e-4, equal=1e-3)
    loss = OpeningLoss(photo, world.landmarks, world.face_network, world.lpips, weights)
    start, settings = torch.zeros(COORDINATES), settings or DescentSettings()
    return Descent(synthesis or world.synthesis, world.whitening, loss, start, settings), wanted


def test_it_finds_the_code_of_a_generated_picture(world: World) -> None:
    search, wanted = descent(world)
    first = search.step()
    losses = [search.step() for _ in range(60)]

    assert losses[-1] < 0.1 * first
    assert float((search.coordinates.mean(0) - wanted).norm()) < 0.3 * float(wanted.norm())
    torch.testing.assert_close(search.codes, world.whitening.codes(search.coordinates[None])[0])
    assert search.steps == 61


def test_the_loss_told_is_that_of_the_codes_before_the_move(world: World) -> None:
    search, _ = descent(world)
    search.step()
    before = search.coordinates

    told = search.step()

    picture = world.synthesis(world.whitening.codes(before[None]))
    terms = search._loss(picture) | search._loss.pull(before[None])
    assert told == pytest.approx(float(sum(terms.values())))
    assert not torch.equal(search.coordinates, before)


def test_stopping_and_going_on_changes_nothing(world: World) -> None:
    whole, _ = descent(world)
    parts, _ = descent(world)
    expected = [whole.step() for _ in range(6)]

    found = [parts.step() for _ in range(3)]
    torch.randn(100)
    found += [parts.step() for _ in range(3)]

    assert found == expected


def test_codes_that_start_apart_start_there(world: World) -> None:
    search, _ = descent(world)
    apart = torch.randn(CODES, COORDINATES)

    other = Descent(world.synthesis, world.whitening, search._loss, apart)

    torch.testing.assert_close(other.coordinates, apart)


def test_codes_that_are_not_free_follow_what_all_share(world: World) -> None:
    search, _ = descent(world)
    apart = torch.randn(CODES, COORDINATES)
    tied = Descent(world.synthesis, world.whitening, search._loss, apart, free=1)
    torch.testing.assert_close(tied.coordinates, apart)

    for _ in range(5):
        tied.step()

    moved = tied.coordinates - apart
    assert float(moved[1:].norm()) > 0.1
    torch.testing.assert_close(moved[1:], moved[1:2].expand(CODES - 1, -1), atol=1e-5, rtol=1e-4)
    assert float((moved[0] - moved[1]).norm()) > 0.05


def test_rates_are_the_size_of_the_first_step_and_fall(world: World) -> None:
    """Adam's first step is its rate in every coordinate; the shared and the own part add up."""
    adam = AdamSettings(damping=0.0, prior=0.0)
    search, _ = descent(world, settings=DescentSettings(rate=0.3, own_rate=0.0, falling=1.0, adam=adam))
    search.step()
    torch.testing.assert_close(search.coordinates.abs(), torch.full((CODES, COORDINATES), 0.3))

    own, _ = descent(world, settings=DescentSettings(rate=0.0, own_rate=0.2, falling=1.0, adam=adam))
    own.step()
    torch.testing.assert_close(own.coordinates.abs(), torch.full((CODES, COORDINATES), 0.2))
    for _ in range(99):
        own.step()
    before = own.coordinates
    own.step()
    assert float((own.coordinates - before).abs().max()) < 0.2 / 100 * 1.5


def test_a_loss_that_is_not_finite_moves_nothing(world: World) -> None:
    broken = False

    def synthesis(w: torch.Tensor) -> torch.Tensor:
        return world.synthesis(w) * (float("nan") if broken else 1.0)

    search, _ = descent(world, synthesis)
    search.step()
    before, broken = search.coordinates, True

    assert search.step() != search.step()  # not a number
    torch.testing.assert_close(search.coordinates, before)
    broken = False
    search.step()
    assert search.steps == 2
