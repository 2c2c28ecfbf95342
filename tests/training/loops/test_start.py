import torch
import torch.nn.functional as F

from training.loops.start import fit_start

GROUPS = [3, 40]


def pairs(n: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    """Features whose two groups differ in size and scale, and coordinates that depend on both."""
    random = torch.Generator().manual_seed(0)
    features = torch.randn(n, 43, generator=random) * torch.tensor([100.0] * 3 + [0.01] * 40) + 5
    truth = torch.randn(43, 6, generator=random) / torch.tensor([100.0] * 3 + [0.06] * 40)[:, None]
    return features, (features - 5) @ truth + 1


def test_it_is_ridge_regression_on_groups_that_count_alike() -> None:
    """Against the primal form: (X'X + c)^-1 X'Y."""
    features, coordinates = pairs()
    ridge = 0.1

    start = fit_start(features, coordinates, GROUPS, torch.ones(6), ridge, rank=6)

    x = (features - features.mean(0)).double()
    x = torch.cat([part / part.square().sum(1).mean().sqrt() for part in x.split(GROUPS, 1)], 1)
    y = (coordinates - coordinates.mean(0)).double()
    c = ridge * x.square().sum(1).mean()
    expected = x @ torch.linalg.solve(x.T @ x + c * torch.eye(43), x.T @ y) + coordinates.mean(0)
    torch.testing.assert_close(start(features), expected.float(), rtol=0, atol=0.02)


def test_few_components_keep_what_counts() -> None:
    features, coordinates = pairs()
    coordinates = F.pad(coordinates[:, :1], (5, 0)) + coordinates * 0.1
    counts = torch.tensor([1e-3] * 5 + [1.0])

    start = fit_start(features, coordinates, GROUPS, counts, 1e-4, rank=1)

    assert start.reduce.shape == (43, 1)
    assert start.reduce.dtype == torch.float16
    error = (start(features) - coordinates)[:, 5].square().mean()
    assert float(error) < 0.01 * float(coordinates[:, 5].var())
