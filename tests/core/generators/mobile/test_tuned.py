from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from core.generators.mobile.network import MobileGenerator
from core.generators.mobile.tuned import TunedMobile
from core.generators.residual import LowRank, WeightShift

SIZES = [16, 32, 64]


@pytest.fixture
def w(tiny_with_preview: MobileGenerator) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(2, tiny_with_preview.layout.num_codes, 10, dtype=torch.float64)


def shifts(generator: MobileGenerator) -> list[Tensor]:
    torch.manual_seed(2)
    return [(torch.randn_like(k) * k.std() / 4).requires_grad_() for k in generator.kernels().values()]


def gradients(picture: Callable[[list[Tensor]], Tensor], added: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    found = picture(added)
    torch.manual_seed(3)
    wanted = torch.randn(found.shape, dtype=found.dtype)
    return found, list(torch.autograd.grad((found * wanted).sum(), added, materialize_grads=True))


@pytest.mark.parametrize("size", SIZES)
def test_picture_and_gradients_are_the_readable_networks(
    tiny_with_preview: MobileGenerator, w: Tensor, size: int
) -> None:
    generator, added = tiny_with_preview, shifts(tiny_with_preview)
    tuned = TunedMobile(generator, size, torch.float64)

    found = gradients(lambda a: tuned(w, WeightShift(tuple(a))), added)
    expected = gradients(lambda a: generator.synthesis(w, residual=WeightShift(tuple(a)), size=size), added)

    torch.testing.assert_close(found, expected)
    reached = [bool(g.abs().sum() > 0) for g in expected[1]]
    # A preview of 16 px is made of the second block's features: later kernels show nothing in it.
    assert reached == ([True] * 5 + [False] * 2 if size == 16 else [True] * 7)


def test_tokens_get_the_readable_networks_gradients_too(
    tiny_with_preview: MobileGenerator, w: Tensor
) -> None:
    generator = tiny_with_preview
    torch.manual_seed(2)
    leaves = [
        torch.randn(3, channels, dtype=torch.float64, requires_grad=True) / 4
        for pair in generator.low_rank
        for channels in pair
    ]
    tuned = TunedMobile(generator, 64, torch.float64)

    def pairs(a: list[Tensor]) -> LowRank:
        return LowRank(tuple(zip(a[::2], a[1::2], strict=True)))

    found = gradients(lambda a: tuned(w, pairs(a)), leaves)
    expected = gradients(lambda a: generator.synthesis(w, residual=pairs(a)), leaves)

    torch.testing.assert_close(found, expected)


def test_without_anything_added_it_is_the_plain_picture(
    tiny_with_preview: MobileGenerator, w: Tensor
) -> None:
    tuned = TunedMobile(tiny_with_preview, 64, torch.float64)

    torch.testing.assert_close(tuned(w, LowRank((None,) * 7)), tiny_with_preview.synthesis(w))


def test_bfloat16_gives_about_the_same_gradients(tiny_with_preview: MobileGenerator, w: Tensor) -> None:
    generator = tiny_with_preview.float()
    added, codes = shifts(generator), w[:1].float()
    tuned = TunedMobile(generator, 64, torch.bfloat16)

    picture, found = gradients(lambda a: tuned(codes, WeightShift(tuple(a))), added)
    _, expected = gradients(lambda a: generator.synthesis(codes, residual=WeightShift(tuple(a))), added)

    assert picture.dtype == torch.float32
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == torch.float32
        assert float(torch.cosine_similarity(a.flatten(), b.flatten(), 0)) > 0.98


def test_a_size_that_it_does_not_make_is_refused(tiny_with_preview: MobileGenerator) -> None:
    with pytest.raises(ValueError, match="not 8"):
        TunedMobile(tiny_with_preview, 8, torch.float64)
