"""The judge of codes."""

import torch
from torch import nn

from training.loops.latent_discriminator import LatentAdversary, LatentDiscriminator, gradient_penalty


def test_penalty_of_a_linear_judge_is_its_squared_weight() -> None:
    class Linear(nn.Module):
        weight = torch.tensor([1.0, -2.0, 0.5])

        def forward(self, codes: torch.Tensor) -> torch.Tensor:
            return codes @ self.weight

    torch.testing.assert_close(gradient_penalty(Linear(), torch.randn(4, 2, 3)), torch.tensor(5.25))


def test_one_logit_for_each_code_from_that_code_alone() -> None:
    judge, codes = LatentDiscriminator(6), torch.randn(3, 4, 6)
    logits = judge(codes)
    assert logits.shape == (3, 4)
    torch.testing.assert_close(judge(codes[1, 2]), logits[1, 2])


def test_two_distributions_are_separated_and_the_encoder_is_pushed_to_the_known_one() -> None:
    torch.manual_seed(0)
    adversary = LatentAdversary(6, torch.device("cpu"))
    # Wider than normal, so that R1 leaves room for a slope.
    shift = 8 * torch.eye(6)[0]

    def known() -> torch.Tensor:
        return torch.randn(32, 4, 6)

    untrained = adversary.loss(known() + shift).item()
    for _ in range(150):
        terms = adversary.learn(known(), known() + shift)
    with torch.no_grad():
        right = (
            (adversary.judge(known()) > 0).float().mean(),
            (adversary.judge(known() + shift) < 0).float().mean(),
        )
    assert min(right) > 0.95
    assert terms["judge_r1"] > 0
    encoded = (known() + shift).requires_grad_()
    loss = adversary.loss(encoded)
    (gradient,) = torch.autograd.grad(loss, encoded)
    assert loss.item() > untrained
    assert gradient[..., 0].mean() > 0  # downhill is towards the known codes
