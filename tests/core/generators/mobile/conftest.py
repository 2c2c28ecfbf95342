"""A tiny generator of the real one's code, with random weights that no test can miss."""

import dataclasses

import pytest
import torch
from torch import Tensor

from core.generators.mobile import folded, restart
from core.generators.mobile.config import MobileConfig
from core.generators.mobile.network import MobileGenerator
from core.generators.residual import LowRank, Residual, WeightShift

TINY = MobileConfig(resolution=64, channels=(8, 8, 12, 6), w_dim=10, z_dim=7, mapping_layers=3)


def randomised(config: MobileConfig, dtype: torch.dtype = torch.float64) -> MobileGenerator:
    random = torch.Generator().manual_seed(0)
    generator = MobileGenerator(config).to(dtype).requires_grad_(False).eval()
    for tensor in generator.state_dict().values():
        scale = 1 if tensor.ndim < 2 else tensor[0].numel() ** -0.5
        tensor.copy_(torch.randn(tensor.shape, generator=random, dtype=torch.float64) * scale)
    for name, tensor in generator.state_dict().items():
        if name.endswith(("affine.bias", "up.bias")):  # styles with both signs, none near nothing
            tensor.add_(tensor.sign() / (1 if "up" in name else 0.1))
    return generator


@pytest.fixture
def tiny() -> MobileGenerator:
    """64 px, 8 codes of 10, float64."""
    return randomised(TINY)


@pytest.fixture
def tiny_with_preview() -> MobileGenerator:
    """The same with a head for 16 px."""
    return randomised(dataclasses.replace(TINY, previews=(16,)))


@pytest.fixture
def tiny_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strips and states as at 1024 px: the last two blocks in four strips and in two, all states kept."""
    monkeypatch.setattr(folded, "STRIP", 8)
    monkeypatch.setattr(folded, "STRIPS_FROM", 16)
    monkeypatch.setattr(restart, "FINEST_LEFT_OUT", 3)


def codes(generator: MobileGenerator, seed: int, count: int = 1) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    shape = count, generator.config.num_codes, generator.config.w_dim
    return torch.randn(shape, generator=random, dtype=torch.float64)


def changed(w: Tensor, code: int) -> Tensor:
    w = w.clone()
    w[:, code] += 1
    return w


def residuals(generator: MobileGenerator) -> dict[str, Residual]:
    random = torch.Generator().manual_seed(3)

    def draw(*shape: int) -> Tensor:
        return 0.3 * torch.randn(shape, generator=random, dtype=torch.float64)

    pairs = [(draw(2, outputs), draw(2, inputs)) for outputs, inputs in generator.low_rank]
    return {
        "low_rank": LowRank((*pairs[:3], None, *pairs[4:])),
        "shift": WeightShift(tuple(draw(*kernel.shape) for kernel in generator.kernels().values())),
    }
