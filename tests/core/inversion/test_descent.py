import pytest
import torch

from core.errors import RefinementFailed
from core.inversion.descent import Descent, DescentSettings
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
    start = torch.zeros(COORDINATES)
    return (
        Descent(synthesis or world.synthesis, world.whitening, loss, start, settings or DescentSettings()),
        wanted,
    )


def test_it_finds_the_code_of_a_generated_picture(world: World) -> None:
    search, wanted = descent(world)
    first = search.step()
    for _ in range(80):
        search.step()

    assert search.best.loss < 0.1 * first
    torch.testing.assert_close(search.best.coordinates.mean(0), wanted, rtol=0, atol=0.25)
    torch.testing.assert_close(search.best.codes, world.whitening.codes(search.best.coordinates[None])[0])
    torch.testing.assert_close(search.best.picture, world.synthesis(search.best.codes[None]))
    assert search.steps == 81


def test_the_first_judged_is_the_start_and_the_best_is_kept(world: World) -> None:
    search, _ = descent(world, settings=DescentSettings(rate=50.0, own_rate=50.0))
    losses = [search.step() for _ in range(4)]

    assert search.best.loss == min(losses)
    if min(losses) == losses[0]:
        assert (search.best.coordinates == 0).all()


def test_stopping_and_going_on_changes_nothing(world: World) -> None:
    whole, _ = descent(world)
    parts, _ = descent(world)
    expected = [whole.step() for _ in range(6)]

    found = [parts.step() for _ in range(3)]
    kept = parts.best
    torch.randn(100)
    found += [parts.step() for _ in range(3)]

    assert found == expected
    assert kept.loss == min(found[:3]), "what was found stays as it was"


def test_codes_that_start_apart_start_there(world: World) -> None:
    search, _ = descent(world)
    apart = torch.randn(CODES, COORDINATES)
    other = Descent(world.synthesis, world.whitening, search._loss, apart)

    other.step()

    torch.testing.assert_close(other.best.coordinates, apart)


def test_gain_says_what_the_last_steps_brought(world: World) -> None:
    search, _ = descent(world)
    losses = [search.step() for _ in range(3)]
    assert search.gain(5) == 1.0

    losses += [search.step() for _ in range(7)]

    assert search.gain(5) == pytest.approx(1 - min(losses) / min(losses[:5]))


def test_a_loss_that_is_not_finite_sends_it_back_to_the_best(world: World) -> None:
    broken = False

    def synthesis(w: torch.Tensor) -> torch.Tensor:
        return world.synthesis(w) * (float("nan") if broken else 1.0)

    search, _ = descent(world, synthesis)
    search.step()
    best = search.best
    search.step()
    broken = True
    search.step()
    broken = False

    assert search.step() == pytest.approx(search.best.loss)
    assert search.best.loss <= best.loss


def test_a_start_without_a_finite_picture_is_told(world: World) -> None:
    search, _ = descent(world, lambda w: world.synthesis(w) * float("nan"))

    with pytest.raises(RefinementFailed):
        search.step()
    with pytest.raises(RuntimeError):
        _ = search.best
