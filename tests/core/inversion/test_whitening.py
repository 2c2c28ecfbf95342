from types import SimpleNamespace

import pytest
import torch

from core.inversion.whitening import Whitening, spread


def whitening() -> Whitening:
    torch.manual_seed(0)
    mean, basis = torch.randn(3, 5), torch.randn(4, 3, 5)
    return Whitening.of(SimpleNamespace(w_mean=mean, principal=lambda: basis))


def test_codes_are_the_mean_and_so_much_of_each_direction() -> None:
    space, v = whitening(), torch.randn(2, 3, 4)

    codes = space.codes(v)

    for b in range(2):
        for code in range(3):
            expected = space.mean[code] + sum(v[b, code, k] * space.basis[k, code] for k in range(4))
            torch.testing.assert_close(codes[b, code], expected)


def test_coordinates_take_codes_back() -> None:
    space, v = whitening(), torch.randn(2, 3, 4)

    torch.testing.assert_close(space.coordinates(space.codes(v)), v, rtol=1e-4, atol=1e-4)


def test_a_direction_without_variance_gets_no_coordinate() -> None:
    space = whitening()
    flat = Whitening(space.mean, space.basis * torch.tensor([1.0, 1, 1, 1e-9]).view(4, 1, 1))

    found = flat.coordinates(space.codes(torch.ones(1, 3, 4)))

    assert float(found[..., 3].abs().max()) < 1e-3


def test_spread_is_of_all_and_of_what_codes_have_of_their_own() -> None:
    v = torch.tensor([[1.0, 3.0], [1.0, -3.0]])

    assert spread(v) == pytest.approx((5**0.5, 4.5**0.5))
