"""Every term of the run-time loss against a plain formula."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from core.checkpoints import Bundle
from core.refinement.losses import ALEXNET_FILE, LossWeights, PictureLoss, all_finite, find_lpips

ALL = LossWeights(pixel=3.0, perceptual=5.0, identity=7.0)


@pytest.fixture
def pictures() -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    photo = torch.rand(1, 3, 64, 64, generator=random) * 2 - 1
    return photo, photo + 0.2 * torch.randn(photo.shape, generator=random)


def cosines(a: Tensor, b: Tensor) -> Tensor:
    """Of columns (dimension 1), in float64."""
    a, b = a.double(), b.double()
    return (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))


def test_terms_are_those_of_the_formulas(tiny_bundle: Bundle, pictures: tuple[Tensor, Tensor]) -> None:
    photo, picture = pictures
    inverter = tiny_bundle.inverter
    terms = PictureLoss(inverter, photo, ALL)(picture)
    assert set(terms) == {"pixel", "perceptual", "identity"}
    assert float(terms["pixel"]) == pytest.approx(3 * float((picture - photo).double().square().mean()))
    a, b = (torch.nn.functional.avg_pool2d(x, 2) for x in (picture, photo))  # 64 px -> the inverter's 32
    codes = inverter(a)[0], inverter(b)[0]
    identity = 7 * (1 - cosines(*codes).mean())
    assert float(terms["identity"]) == pytest.approx(float(identity), rel=1e-2)  # of 1 - .9999
    distances = []
    for layer in (inverter.trunk.stem, *inverter.trunk.stages):
        a, b = layer(a), layer(b)
        distances.append((2 - 2 * cosines(a, b)).mean())  # |u - v|^2 of unit vectors
    wanted = 5 * float(torch.stack(distances).mean())
    assert float(terms["perceptual"]) == pytest.approx(wanted, rel=1e-3)


def test_the_photo_itself_costs_nothing(tiny_bundle: Bundle, pictures: tuple[Tensor, Tensor]) -> None:
    photo, _ = pictures
    terms = PictureLoss(tiny_bundle.inverter, photo, ALL)(photo.clone())
    assert all(abs(float(term)) < 1e-5 for term in terms.values())


def test_a_term_of_weight_zero_is_left_out(tiny_bundle: Bundle, pictures: tuple[Tensor, Tensor]) -> None:
    photo, picture = pictures
    weights = LossWeights(pixel=0, perceptual=0, identity=1)
    assert set(PictureLoss(tiny_bundle.inverter, photo, weights)(picture)) == {"identity"}


def test_every_term_has_a_gradient(tiny_bundle: Bundle, pictures: tuple[Tensor, Tensor]) -> None:
    photo, picture = pictures
    for name, term in PictureLoss(tiny_bundle.inverter, photo, ALL)(picture.requires_grad_()).items():
        (gradient,) = torch.autograd.grad(term, picture, retain_graph=True)
        assert gradient.abs().max() > 0, name


def test_lpips_replaces_the_trunk(tiny_bundle: Bundle, pictures: tuple[Tensor, Tensor]) -> None:
    photo, picture = pictures

    def lpips(a: Tensor, b: Tensor) -> Tensor:
        assert torch.equal(a, picture)
        assert torch.equal(b, photo)
        return torch.full((1, 1, 1, 1), 0.25)

    terms = PictureLoss(tiny_bundle.inverter, photo, ALL, lpips)(picture)
    assert float(terms["perceptual"]) == 5 * 0.25


class Network(torch.nn.Module):
    """A stand-in for lpips.LPIPS."""

    def __init__(self, net: str, verbose: bool) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))


def test_lpips_is_used_only_where_its_weights_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setitem(sys.modules, "lpips", SimpleNamespace(LPIPS=Network))
    device = torch.device("cpu")
    assert find_lpips(device) is None  # else it would be downloaded
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / ALEXNET_FILE).touch()
    network = find_lpips(device)
    assert isinstance(network, Network)
    assert not network.training
    assert not network.weight.requires_grad
    monkeypatch.setitem(sys.modules, "lpips", None)  # the weights without the package
    assert find_lpips(device) is None


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_one_number_is_enough_to_be_not_finite(bad: float) -> None:
    assert all_finite([torch.zeros(2), torch.ones(3)])
    assert not all_finite([torch.zeros(2), torch.tensor([1.0, bad, 1.0])])
