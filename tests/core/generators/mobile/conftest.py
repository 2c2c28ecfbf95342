"""A tiny generator of the real one's code, with random weights that no test can miss."""

import dataclasses

import pytest
import torch

from core.generators.mobile.config import MobileConfig
from core.generators.mobile.network import MobileGenerator

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
