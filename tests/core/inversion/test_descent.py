import pytest
import torch

from core.inversion.descent import Descent, DescentSettings
from core.inversion.losses import OpeningLoss, OpeningWeights

from .conftest import CODES, COORDINATES, World


def descent(
    world: World, synthesis=None, settings: DescentSettings | None = None, shown=None
) -> tuple[Descent, torch.Tensor]:
    torch.manual_seed(3)
    wanted = torch.randn(COORDINATES)
    photo = world.synthesis(world.whitening.codes(wanted.expand(1, CODES, -1)))
    weights = OpeningWeights(mean=1e-4, equal=1e-3)
    loss = OpeningLoss(photo, world.landmarks, world.face_network, world.lpips, weights)
    start = torch.zeros(COORDINATES)
    made = synthesis or world.synthesis, world.whitening, loss, start, settings or DescentSettings(), shown
    return Descent(*made), wanted


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


def test_the_error_of_an_estimate_is_taken_away(world: World) -> None:
    """An estimate that is too dark, the more so the further from the mean, makes codes that are shown too
    bright; with what is shown to hold it against, it leads to where the exact pictures lead.
    """

    def estimate(w: torch.Tensor) -> torch.Tensor:
        return world.synthesis(w) * 0.8 - 0.3

    blind, wanted = descent(world, estimate)
    seeing, _ = descent(world, estimate, shown=world.synthesis)
    for _ in range(80):
        blind.step()
        seeing.step()

    off = [float((d.coordinates.mean(0) - wanted).norm() / wanted.norm()) for d in (blind, seeing)]
    assert off[0] > 0.5 > 0.3 > off[1]


def test_what_is_shown_is_asked_now_and_then(world: World) -> None:
    asked = []

    def shown(w: torch.Tensor) -> torch.Tensor:
        assert not w.requires_grad
        asked.append(search.steps)
        return world.synthesis(w)

    search, _ = descent(world, shown=shown)
    exact, _ = descent(world)

    assert [search.step() for _ in range(17)] == pytest.approx([exact.step() for _ in range(17)], rel=1e-4)
    assert asked == [0, 8, 16]


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


def test_rates_are_the_size_of_the_first_step_and_fall(world: World) -> None:
    """Adam's first step is its rate in every coordinate; the shared and the own part add up."""
    search, _ = descent(world, settings=DescentSettings(rate=0.3, own_rate=0.0, falling=1.0))
    search.step()
    torch.testing.assert_close(search.coordinates.abs(), torch.full((CODES, COORDINATES), 0.3))

    own, _ = descent(world, settings=DescentSettings(rate=0.0, own_rate=0.2, falling=1.0))
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
