"""Both ends of the trade."""

import numpy as np
import pytest
import torch
from torch import nn

from core.checkpoints import Bundle
from core.models.inverter import invert
from training.data.codes import fit_gaussian
from training.data.packs import Faces
from training.judging.editability import DEVIATIONS, edit_steps, mahalanobis, moved, spread
from training.loops.classifier import fit_linear


def test_distance_counts_deviations_along_the_components() -> None:
    torch.manual_seed(0)
    codes = torch.randn(2000, 2, 3) @ torch.randn(3, 3) + torch.randn(2, 3)
    mean, basis = fit_gaussian(codes, 6)
    x = (codes - mean).flatten(1).double()
    wanted = ((x @ torch.linalg.inv(torch.cov(x.T)) * x).sum(1) / 6).sqrt().float()
    torch.testing.assert_close(mahalanobis(codes, mean, basis), wanted, rtol=1e-3, atol=1e-3)
    # Components that no face has are left out.
    torch.testing.assert_close(
        mahalanobis(codes, mean, torch.cat([basis, torch.zeros(2, 6)])), wanted, rtol=1e-3, atol=1e-3
    )


def test_a_step_moves_its_score_by_so_many_deviations() -> None:
    torch.manual_seed(0)
    codes = torch.randn(3000, 2, 3) * torch.tensor([1.0, 2.0, 4.0])
    wanted = (codes[:, 1, 2:] > 0).float()
    (linear,) = fit_linear(codes, wanted)
    (step,) = edit_steps(codes, wanted)
    scores = (codes * linear).sum((1, 2))
    risen = ((codes + step) * linear).sum((1, 2)) - scores
    torch.testing.assert_close(risen, (DEVIATIONS * scores.std()).expand(3000), rtol=1e-3, atol=1e-4)
    # Every code moves equally far, as the sliders' directions do.
    torch.testing.assert_close(step[0].norm(), step[1].norm())


def test_edits_are_judged_on_the_reinverted_picture(tiny_bundle: Bundle) -> None:
    generator, inverter = tiny_bundle.generator, tiny_bundle.inverter

    class Both(nn.Module):
        """One logit and its opposite: where one edit moves the right way, the other goes wrong."""

        def forward(self, codes: torch.Tensor) -> torch.Tensor:
            return torch.stack([codes.sum((1, 2)), -codes.sum((1, 2))], 1)

    torch.manual_seed(0)
    codes = generator.sample(6)
    step = torch.randn(8, 32)
    shares = moved(generator, inverter, Both(), codes, torch.stack([step, step]))
    hits = 0
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        scores = [
            invert(generator, inverter, generator.synthesis(codes + sign * step).clamp(-1, 1))
            .float()
            .sum((1, 2))
            for sign in (-1, 0, 1)
        ]
    for down, base, up in zip(*scores, strict=True):
        hits += int(up > base) + int(down < base)
    assert shares[0].item() == pytest.approx(hits / 12)
    assert shares.sum().item() == pytest.approx(1)


def test_spread_takes_from_the_whole_table() -> None:
    n = 10
    faces = Faces(
        tuple(str(i) for i in range(n)),
        np.arange(n)[:, None, None, None],
        np.arange(n)[:, None, None],
        np.arange(n)[:, None],
        ("age",),
    )
    assert spread(faces, 4).files == ("0", "3", "6", "9")
    assert list(spread(faces, 4).score("age")) == [0, 3, 6, 9]
    assert len(spread(faces, 50)) == n
