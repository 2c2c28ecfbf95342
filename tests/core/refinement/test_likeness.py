"""The loss at the picture's own size against plain formulas."""

import numpy as np
import pytest
import torch
from torch import Tensor

from core.inversion.losses import OpeningLoss, OpeningWeights
from core.models.lpips import Lpips
from core.refinement.likeness import FullLikeness, LikenessWeights

SIDE, SMALL = 128, 32
PIXELS = OpeningWeights(descriptor=0, maps=0, lpips=0)
WEIGHTS = LikenessWeights(squared=2.0, absolute=3.0, edges=5.0, lpips=7.0)


@pytest.fixture
def lpips() -> Lpips:
    torch.manual_seed(0)
    return Lpips((3, 4, 4, 4, 4)).eval().requires_grad_(False)


@pytest.fixture
def pictures() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    photo = torch.rand(1, 3, SIDE, SIDE) * 2 - 1
    return photo, (photo + 0.2 * torch.randn_like(photo)).requires_grad_()


def opening_loss(photo: Tensor) -> OpeningLoss:
    points = np.random.default_rng(0).uniform(8, 24, (68, 2))
    small = torch.nn.functional.avg_pool2d(photo, SIDE // SMALL)
    return OpeningLoss(small, points, None, None, PIXELS)  # type: ignore[arg-type]  # of weight zero


def test_terms_are_those_of_the_formulas(lpips: Lpips, pictures: tuple[Tensor, Tensor]) -> None:
    photo, picture = pictures
    small = opening_loss(photo)
    found = FullLikeness(photo, small, lpips, torch.float32, WEIGHTS)(picture)
    terms = {name: term.detach() for name, term in found.items()}

    away = (picture - photo).detach().double().numpy()
    assert float(terms["squared"]) == pytest.approx(2 * (away**2).mean(), rel=1e-5)
    assert float(terms["absolute"]) == pytest.approx(3 * np.abs(away).mean(), rel=1e-5)
    edges = [np.abs(np.diff(away, axis=axis)).mean() for axis in (2, 3)]
    assert float(terms["edges"]) == pytest.approx(5 * np.mean(edges), rel=1e-5)
    halves = [torch.nn.functional.avg_pool2d(x, 2) for x in (picture.detach(), photo)]
    assert float(terms["lpips"]) == pytest.approx(7 * float(lpips(*halves)), rel=1e-5)
    wanted = small(torch.nn.functional.avg_pool2d(picture, SIDE // SMALL))
    assert {name: float(term) for name, term in terms.items() if name.startswith("small")} == {
        f"small {name}": pytest.approx(float(term.detach())) for name, term in wanted.items()
    }


def test_the_photo_itself_costs_nothing(lpips: Lpips, pictures: tuple[Tensor, Tensor]) -> None:
    photo, _ = pictures
    terms = FullLikeness(photo, opening_loss(photo), lpips, torch.float32)(photo.clone())
    assert all(float(term) < 1e-6 for term in terms.values())


def test_every_term_has_a_gradient(lpips: Lpips, pictures: tuple[Tensor, Tensor]) -> None:
    photo, picture = pictures
    for name, term in FullLikeness(photo, opening_loss(photo), lpips, torch.float32)(picture).items():
        (gradient,) = torch.autograd.grad(term, picture, retain_graph=True)
        assert gradient.abs().max() > 0, name
