import copy

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from core.editing.label import directions, unit_codes
from core.models.latent_classifier import LatentClassifier
from core.network_config import ClassifierConfig

CODES, WIDTH, COUNT = 6, 16, 3
CONFIG = ClassifierConfig(
    num_codes=CODES, attributes=("a", "b", "c"), w_dim=WIDTH, hidden=(40, 24), embedding=8
)


@pytest.fixture
def classifier() -> LatentClassifier:
    torch.manual_seed(0)
    return LatentClassifier(CONFIG).requires_grad_(False)


@pytest.fixture
def w() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(CODES, WIDTH)


def loss_gradient(classifier: LatentClassifier, w: Tensor, k: int) -> Tensor:
    """dBCE(sigmoid(C_l^k(w)), 1)/dw in float64, from the formula of the paper."""
    double = copy.deepcopy(classifier).double()
    w = w.double().clone().requires_grad_()
    loss = F.binary_cross_entropy(torch.sigmoid(double(w[None])[0, k]), torch.ones((), dtype=torch.float64))
    return torch.autograd.grad(loss, w)[0]


def per_code(g: Tensor) -> Tensor:
    return g / g.square().sum(-1, keepdim=True).sqrt()


def seeded_unit_vector(seed: int) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    d = torch.randn(CODES, WIDTH, generator=random, dtype=torch.float64)
    return d / d.square().sum().sqrt()


@pytest.mark.parametrize("order", ["first", "second"])
def test_every_code_has_norm_one_and_the_logit_rises(
    classifier: LatentClassifier, w: Tensor, order: str
) -> None:
    found = directions(classifier, w, order)
    assert found.shape == (COUNT, CODES, WIDTH)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(COUNT, CODES))
    before = classifier(w[None])[0]
    for k in range(COUNT):
        assert classifier((w + 0.01 * found[k])[None])[0, k] > before[k]


def test_first_order_is_the_negated_gradient_of_plain_bce(classifier: LatentClassifier, w: Tensor) -> None:
    found = directions(classifier, w, "first")
    for k in range(COUNT):
        torch.testing.assert_close(found[k], -per_code(loss_gradient(classifier, w, k)).float())


def test_second_order_is_the_plain_finite_difference(classifier: LatentClassifier, w: Tensor) -> None:
    found = directions(classifier, w, "second", seed=7)
    d = seeded_unit_vector(7)
    for k in range(COUNT):
        g0 = loss_gradient(classifier, w, k)
        hd = per_code((loss_gradient(classifier, w.double() + 1e-3 * d, k) - g0) / 1e-3)
        if (hd * -g0).sum() < 0:
            hd = -hd
        torch.testing.assert_close(found[k], hd.float(), atol=1e-6, rtol=1e-5)


def test_second_order_approximates_the_exact_hessian_vector_product(
    classifier: LatentClassifier, w: Tensor
) -> None:
    double = copy.deepcopy(classifier).double()
    d = seeded_unit_vector(0)
    found = directions(classifier, w, "second").double()
    for k in range(COUNT):

        def loss(x: Tensor, k: int = k) -> Tensor:
            return -F.logsigmoid(double(x[None])[0, k])

        hd = per_code(torch.autograd.functional.hvp(loss, w.double(), d)[1])
        cosine = (found[k] * hd).sum(-1).abs()  # up to the sign, which is chosen
        assert cosine.min() > 0.999


def test_the_seed_fixes_the_second_order(classifier: LatentClassifier, w: Tensor) -> None:
    assert torch.equal(directions(classifier, w, "second", 3), directions(classifier, w, "second", 3))


def test_a_saturated_logit_still_has_a_direction(classifier: LatentClassifier, w: Tensor) -> None:
    plain = directions(classifier, w, "first")
    classifier.logit.bias += 1000.0  # sigmoid is exactly 1 and the loss exactly 0, even in float64
    assert (loss_gradient(classifier, w, 0) == 0).all()
    torch.testing.assert_close(directions(classifier, w, "first"), plain)


def test_nothing_is_changed(classifier: LatentClassifier, w: Tensor) -> None:
    weights, code = copy.deepcopy(classifier.state_dict()), w.clone()
    directions(classifier, w, "second")
    assert torch.equal(w, code)
    assert w.grad is None
    assert all(torch.equal(t, weights[n]) for n, t in classifier.state_dict().items())
    assert next(classifier.parameters()).dtype == torch.float32


def test_unit_codes_leaves_a_zero_code_at_zero() -> None:
    x = torch.tensor([[[3.0, 4.0], [0.0, 0.0]]])
    assert torch.equal(unit_codes(x), torch.tensor([[[0.6, 0.8], [0.0, 0.0]]]))
