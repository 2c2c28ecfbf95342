"""e4e's second principle: a discriminator that keeps encoded codes where the generator's own codes lie.

Tov et al. 2021: every single code w_i that the encoder emits is judged against codes of the mapping network,
by the non-saturating logistic loss with R1 on the known codes (Mescheder et al. 2018).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RATE = 1e-4
HIDDEN, LAYERS = 256, 3
R1_GAMMA, R1_EVERY = 10.0, 16


class LatentDiscriminator(nn.Module):
    """Normalised codes (..., D) -> a logit for each (...), high for known codes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        sizes = [width] + [HIDDEN] * LAYERS
        layers: list[nn.Module] = []
        for inputs, outputs in zip(sizes, sizes[1:], strict=False):
            layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Linear(HIDDEN, 1))

    def forward(self, codes: Tensor) -> Tensor:
        return self.layers(codes).squeeze(-1)


def gradient_penalty(judge: nn.Module, known: Tensor) -> Tensor:
    """R1: mean squared norm of the logit's gradient at known codes (..., D), scalar."""
    x = known.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(judge(x).sum(), x, create_graph=True)
    return gradient.square().sum(-1).mean()


class LatentAdversary:
    """The judge and its optimiser. Codes come normalised (`KnownCodes.normalise`)."""

    def __init__(self, width: int, device: torch.device) -> None:
        self.judge = LatentDiscriminator(width).to(device)
        ratio = R1_EVERY / (R1_EVERY + 1)  # lazy regularisation: Adam's constants follow
        self.optimizer = torch.optim.Adam(self.judge.parameters(), RATE * ratio, betas=(0.0, 0.99**ratio))
        self.steps = 0
        self.penalty = torch.zeros((), device=device)

    def loss(self, encoded: Tensor) -> Tensor:
        """What the inverter pays for codes (B, L, D) that are told from known ones."""
        return F.softplus(-self.judge(encoded)).mean()

    def learn(self, known: Tensor, encoded: Tensor) -> dict[str, Tensor]:
        """One step of the judge; returns its terms, R1 as last measured."""
        loss = F.softplus(-self.judge(known)).mean() + F.softplus(self.judge(encoded.detach())).mean()
        terms = {"judge": loss.detach()}
        if self.steps % R1_EVERY == 0:
            penalty = gradient_penalty(self.judge, known)
            loss = loss + penalty * (R1_GAMMA / 2 * R1_EVERY)
            self.penalty = penalty.detach()
        # Also drops what the inverter's own loss left in the judge's gradients.
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.steps += 1
        return {**terms, "judge_r1": self.penalty}
