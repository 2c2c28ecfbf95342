"""Base code, offsets, and the schedule that lets them free."""

import pytest
import torch

from training.data.offsets import free_codes, offset_penalty, tie_codes


def test_penalty_is_the_mean_length_of_the_offsets() -> None:
    torch.manual_seed(0)
    codes, centre = torch.randn(3, 4, 5), torch.randn(4, 5)
    lengths = []
    for face in codes.double():
        base = face[0] - centre[0]
        for code, middle in zip(face[1:], centre[1:], strict=True):
            lengths.append(sum(x * x for x in (code - middle - base).tolist()) ** 0.5)
    assert offset_penalty(codes, centre).item() == pytest.approx(sum(lengths) / 9, rel=1e-5)


def test_penalty_of_tied_codes_is_zero_and_so_is_its_gradient() -> None:
    codes = torch.randn(2, 4, 5, requires_grad=True)
    penalty = offset_penalty(tie_codes(codes, torch.zeros(4, 5), 1), torch.zeros(4, 5))
    (gradient,) = torch.autograd.grad(penalty, codes)
    assert penalty.item() == 0
    assert gradient.abs().max() == 0  # and not NaN, as a plain square root of zero would give


def test_tied_codes_repeat_the_first_about_their_own_centres() -> None:
    torch.manual_seed(0)
    codes, centre = torch.randn(2, 4, 5), torch.randn(4, 5)
    tied = tie_codes(codes, centre, 2)
    assert torch.equal(tied[:, :2], codes[:, :2])
    for layer in (2, 3):
        torch.testing.assert_close(tied[:, layer], centre[layer] + codes[:, 0] - centre[0])
    assert torch.equal(tie_codes(codes, centre, 4), codes)
    # Where all layers share one W, these are the paper's: w_i = w.
    shared = centre[:1].expand(4, -1)
    torch.testing.assert_close(tie_codes(codes, shared, 1), codes[:, :1].expand(-1, 4, -1))


def test_codes_become_free_one_after_the_other() -> None:
    assert [free_codes(step, 8, 4) for step in range(0, 16)] == [1] * 8 + [2] * 2 + [3] * 2 + [4] * 4
    assert free_codes(0, 0, 12) == 12
    for hold in (1, 7, 100):  # also where STEPS / L is no whole number
        steps = [free_codes(step, hold, 12) for step in range(3 * hold)]
        assert steps == sorted(steps)
        assert (steps[hold - 1], steps[hold], steps[-1]) == (1, 2, 12)
