"""Codes that the generator knows."""

import copy

import torch

from core.checkpoints import Bundle
from training.data.known_codes import KnownCodes


def test_a_fitted_gaussian_is_the_source_and_gives_the_statistics(tiny_bundle: Bundle) -> None:
    torch.manual_seed(0)
    known = KnownCodes(tiny_bundle.generator)
    basis = tiny_bundle.generator.code_basis.view(-1, 8, 32)
    variance = basis.square().sum(0)  # (L, D), of randn @ basis
    torch.testing.assert_close(known.deviation[:, 0], variance.mean(1).sqrt(), rtol=0.03, atol=0)
    assert (known.mean - tiny_bundle.generator.code_mean).abs().max() < 6 * variance.max().sqrt() / 64
    assert not torch.equal(known.draw(2), known.draw(2))
    normal = known.normalise(known.draw(2000))
    assert abs(normal.mean().item()) < 0.05
    assert abs(normal.square().mean().item() - 1) < 0.05


def test_without_a_gaussian_the_mapping_network_is_the_source(tiny_bundle: Bundle) -> None:
    generator = copy.deepcopy(tiny_bundle.generator)
    generator.code_basis.zero_()
    torch.manual_seed(0)
    known = KnownCodes(generator)
    torch.manual_seed(1)
    codes = known.draw(5)
    torch.manual_seed(1)
    wanted = generator.mapping(torch.randn(5, 32))
    for layer in range(8):
        torch.testing.assert_close(codes[:, layer], wanted)
