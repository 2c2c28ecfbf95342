import pytest
import torch

from core.inversion.gradient_basis import Adam, AdamSettings, GradientBasis
from core.network_config import GradientBasisConfig

GROUPS, WIDTH, RANK = 2, 7, 3


def basis() -> tuple[torch.Tensor, torch.Tensor]:
    """Orthonormal directions of two groups, and what lies along each."""
    torch.manual_seed(0)
    vectors, _ = torch.linalg.qr(torch.randn(GROUPS, WIDTH, WIDTH))
    return vectors[..., :RANK], torch.rand(GROUPS, RANK) / 10


def plain(
    gradients: torch.Tensor, vectors: torch.Tensor, shares: torch.Tensor, s: AdamSettings
) -> torch.Tensor:
    """The direction after these gradients (N, G, K), each number on its own."""
    gradients, vectors, shares = gradients.double(), vectors.double(), shares.double()
    n, (b1, b2) = len(gradients), s.betas

    def memory(values: torch.Tensor, beta: float) -> torch.Tensor:
        weights = torch.tensor([(1 - beta) * beta ** (n - 1 - i) for i in range(n)], dtype=torch.float64)
        return torch.einsum("n,n...->...", weights, values) / (1 - beta**n)

    found = torch.zeros(GROUPS, WIDTH, dtype=torch.float64)
    everything = memory(gradients.square().mean((1, 2)), b2)
    outside = gradients.clone()
    mean = memory(gradients, b1)
    for g in range(GROUPS):
        for r in range(vectors.shape[2]):
            u = vectors[g, :, r]
            along = gradients[:, g] @ u  # (N,)
            outside[:, g] -= along[:, None] * u
            told = s.prior / (s.prior + n)
            expected = shares[g, r] * everything * GROUPS * WIDTH
            square = told * expected + (1 - told) * memory(along.square(), b2)
            found[g] += (mean[g] @ u) / (square + s.damping * everything).sqrt() * u
    left = memory(outside, b1)
    rest = memory(outside.square().mean((1, 2)), b2)
    return found + left / (rest + s.damping * everything).sqrt()


@pytest.mark.parametrize("settings", [AdamSettings(), AdamSettings((0.5, 0.9), 0.7, 2.0)])
def test_it_is_the_formula(settings: AdamSettings) -> None:
    vectors, shares = basis()
    adam = Adam(vectors, shares, settings)
    gradients = torch.randn(4, GROUPS, WIDTH) * torch.tensor([1.0, 3.0, 0.2, 1.5])[:, None, None]

    found = [adam.direction(g) for g in gradients]

    for n in range(4):
        wanted = plain(gradients[: n + 1], vectors, shares, settings)
        torch.testing.assert_close(found[n], wanted.float(), rtol=1e-4, atol=1e-5)


def test_scale_of_the_loss_is_nothing_to_it() -> None:
    vectors, shares = basis()
    large, small = (Adam(vectors, shares, AdamSettings()) for _ in range(2))
    for _ in range(3):
        g = torch.randn(GROUPS, WIDTH)
        torch.testing.assert_close(large.direction(1e3 * g), small.direction(1e-3 * g), rtol=1e-4, atol=1e-5)


def test_where_nothing_was_gathered_coordinates_are_the_directions() -> None:
    """Adam as its authors have it, without damping or prior."""
    basis = GradientBasis.plain(1 + GROUPS, WIDTH)
    torch.testing.assert_close(basis.shares[0].sum(), torch.tensor(1.0))
    torch.testing.assert_close(basis.shares[1:].sum(), torch.tensor(1.0))
    adam = Adam(*basis.part(slice(1, 1 + GROUPS)), AdamSettings((0.9, 0.99), damping=0.0, prior=0.0))
    place = torch.zeros(GROUPS, WIDTH, requires_grad=True)
    theirs = torch.optim.Adam([place], lr=1.0, betas=(0.9, 0.99), eps=0.0)
    for _ in range(4):
        before, place.grad = place.detach().clone(), torch.randn(GROUPS, WIDTH)
        theirs.step()
        torch.testing.assert_close(adam.direction(place.grad), before - place.detach(), rtol=1e-3, atol=1e-4)


def test_without_directions_it_is_one_step_in_all() -> None:
    adam = Adam(torch.zeros(GROUPS, WIDTH, 0), torch.zeros(GROUPS, 0), AdamSettings(damping=0.0))
    g = torch.randn(GROUPS, WIDTH)
    torch.testing.assert_close(adam.direction(g), g / g.square().mean().sqrt())


def test_no_gradient_moves_nothing() -> None:
    vectors, shares = basis()
    assert not Adam(vectors, shares, AdamSettings()).direction(torch.zeros(GROUPS, WIDTH)).any()


@pytest.mark.parametrize("numbers", [(1, 8, 4), (3, 8, 9), (3, 8, 0)])
def test_a_basis_that_cannot_be_is_one_sentence(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="two groups or more of at most as many directions"):
        GradientBasisConfig(*numbers)


def test_parts_are_of_the_groups() -> None:
    made = GradientBasis(GradientBasisConfig(GROUPS, WIDTH, RANK))
    made.vectors.normal_()
    vectors, shares = made.part(slice(1, 2))
    assert torch.equal(vectors, made.vectors[1:])
    assert shares.shape == (1, RANK)
