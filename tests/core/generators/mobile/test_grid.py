"""The Haar grid taken out of a picture: against loops over places and cells, and what it spares."""

import numpy as np
import torch

from core.generators.mobile.grid import CELL, LIMIT, REACH, remove_grid


def picture(side: int = 96) -> torch.Tensor:
    """(1, 3, S, S): slopes, an edge and unordered detail."""
    random = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.linspace(-1, 1, side), torch.linspace(-1, 1, side), indexing="ij")
    smooth = torch.stack([0.4 * x, 0.3 * y, 0.2 * x * y + 0.3 * (x + y > 0.3)])[None]
    return smooth + 0.005 * torch.randn(smooth.shape, generator=random)


def dots(side: int = 96) -> torch.Tensor:
    """(S, S): what repeats every 8 pixels, some of it every 2 and 4."""
    cell = 0.006 * torch.randn(CELL, CELL, generator=torch.Generator().manual_seed(1))
    cell += (
        0.03 * torch.tensor([1.0, -1.0]).repeat(4) + 0.01 * torch.tensor([1.0, 1, -1, -1]).repeat(2)[:, None]
    )
    return (cell - cell.mean()).repeat(side // CELL, side // CELL)


def plain(grey: np.ndarray) -> np.ndarray:
    """(H, W), one colour, from the definition."""
    weights = np.array([0.5, 1, 1, 1, 1, 1, 1, 1, 0.5]) / 8
    padded = np.pad(grey, 4, mode="edge")
    side = len(grey)
    smooth = np.zeros_like(grey)
    for r, a in enumerate(weights):
        for c, b in enumerate(weights):
            smooth += a * b * padded[r : r + side, c : c + side]
    detail = np.clip(grey - smooth, -LIMIT, LIMIT)
    cells = side // CELL
    means = np.empty_like(grey)
    for i in range(side):
        for j in range(side):
            at = [
                detail[
                    min(max(i // CELL + di, 0), cells - 1) * CELL + i % CELL,
                    min(max(j // CELL + dj, 0), cells - 1) * CELL + j % CELL,
                ]
                for di in range(-REACH, REACH + 1)
                for dj in range(-REACH, REACH + 1)
            ]
            means[i, j] = np.mean(at)
    blocks = means.reshape(cells, CELL, cells, CELL)
    return grey - (blocks - blocks.mean((1, 3), keepdims=True)).reshape(side, side)


def test_against_the_definition() -> None:
    x = picture(48).double() + dots(48)
    expected = np.stack([plain(colour) for colour in x[0].numpy()])
    np.testing.assert_allclose(remove_grid(x)[0].numpy(), expected, atol=1e-12)


def test_dots_go_and_the_picture_stays() -> None:
    clean = picture()
    found = remove_grid(clean + dots())
    inside = np.s_[..., 12:-12, 12:-12]  # beyond the border nothing is known
    left, were = (found - clean)[inside].square().mean(), dots()[12:-12, 12:-12].square().mean()
    assert left < 0.05 * were
    touched = (remove_grid(clean) - clean).square().mean()
    assert 10 * torch.log10(4 / touched) > 45


def test_a_batch_is_each_alone_and_nothing_is_changed_in_place() -> None:
    both = torch.cat([picture() + dots(), picture().flip(2)])
    before = both.clone()
    found = remove_grid(both)
    assert torch.equal(both, before)
    torch.testing.assert_close(found[1:], remove_grid(both[1:]))


def test_the_smallest_picture() -> None:
    assert remove_grid(torch.zeros(1, 3, 8, 8)).abs().max() == 0
