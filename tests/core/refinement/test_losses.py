"""Every term of the run-time loss against a plain formula."""

import statistics
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from core.checkpoints import Bundle
from core.models.style_transformer import StyleTransformer
from core.refinement import losses
from core.refinement.losses import ALEXNET_FILE, LossWeights, PictureLoss, find_lpips, picture_loss

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
    small = [avg_pool2d(x, 2) for x in (picture, photo)]  # 64 px -> the inverter's 32
    codes = [inverter(x)[0] for x in small]
    identity = 7 * (1 - cosines(*codes).mean())
    assert float(terms["identity"]) == pytest.approx(float(identity), rel=1e-2)  # of 1 - .9999
    assert float(terms["perceptual"]) == pytest.approx(5 * trunk_distance(inverter, picture, photo), rel=1e-3)


def trunk_distance(inverter: StyleTransformer, a: Tensor, b: Tensor) -> float:
    """Mean over the layers of |u - v|^2 = 2 - 2 cos of unit vectors."""
    distances = []
    for layer in (inverter.trunk.stem, *inverter.trunk.stages):
        a, b = layer(a), layer(b)
        distances.append(float((2 - 2 * cosines(a, b)).mean()))
    return statistics.fmean(distances)


def test_the_trunk_sees_at_most_twice_its_own_resolution(tiny_bundle: Bundle) -> None:
    random = torch.Generator().manual_seed(0)
    photo, picture = (torch.rand(1, 3, 128, 128, generator=random) * 2 - 1 for _ in range(2))
    found = PictureLoss(tiny_bundle.inverter, photo, ALL)(picture)["perceptual"]
    wanted = trunk_distance(tiny_bundle.inverter, avg_pool2d(picture, 2), avg_pool2d(photo, 2))
    assert float(found) == pytest.approx(5 * wanted, rel=1e-3)


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


def test_the_models_own_lpips_is_asked_before_any_other(
    tiny_bundle: Bundle, pictures: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    photo, picture = pictures
    monkeypatch.setattr(losses, "find_lpips", lambda device: lambda a, b: torch.full((1,), 0.5))
    weights = LossWeights(pixel=0, perceptual=3.0)
    for own, wanted in ((lambda a, b: torch.full((1,), 0.25), 0.75), (None, 1.5)):
        found = picture_loss(tiny_bundle.inverter, photo, weights, own)(picture)
        assert {name: float(term) for name, term in found.items()} == {"perceptual": wanted}


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
