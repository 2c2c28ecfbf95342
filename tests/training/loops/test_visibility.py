"""How much of each coordinate shows, against a generator whose pictures are linear in the code."""

import pytest
import torch
from torch import Tensor

from core.inversion.descents import Descents
from core.inversion.whitening import Whitening
from training.loops.visibility import visible

L, K, SIDE = 3, 4, 24


def linear_world(free: int | None) -> tuple[Descents, Tensor]:
    """Its descents, and the pictures (L, K, 3, S, S) that each coordinate's step adds."""
    torch.manual_seed(0)
    scale = torch.tensor([[1.0, 2.0, 0.5, 0.0], [0.1, 3.0, 1.0, 1.0], [5.0, 0.2, 0.2, 2.0]])
    waves = scale[..., None, None, None] * torch.randn(L, K, 3, SIDE, SIDE)
    whitening = Whitening(torch.zeros(L, K), torch.eye(K)[:, None].expand(-1, L, -1))

    def synthesis(w: Tensor) -> Tensor:
        return torch.einsum("blk,lkchw->bchw", w, waves)

    return Descents(synthesis, whitening, None, None, free=free), waves  # type: ignore[arg-type]


def test_a_coordinate_counts_by_the_change_of_its_picture() -> None:
    descents, waves = linear_world(None)
    found = visible(descents)
    norms = waves.flatten(2).norm(dim=2)
    assert float(found.mean()) == pytest.approx(1)
    # Of 24 random projections the deviation is told to within some fifteen percent.
    torch.testing.assert_close(found, norms / norms.mean(), rtol=0.5, atol=0.05)
    assert found[0, 3] == 0


def test_codes_that_follow_count_nothing() -> None:
    found = visible(linear_world(2)[0])
    assert not found[2].any()
    assert float(found[:2].mean()) == pytest.approx(1.5)
