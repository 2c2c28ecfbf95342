"""What training's tests share."""

import pytest
import torch

from core.generators.mobile.config import MobileConfig
from core.generators.mobile.network import MobileGenerator, statistics


@pytest.fixture
def tiny_mobile() -> MobileGenerator:
    """A frozen mobile generator of 64 px with random weights and the mean of its W."""
    torch.manual_seed(0)
    config = MobileConfig(resolution=64, channels=(16, 16, 12, 8), w_dim=12, z_dim=12, mapping_layers=2)
    made = MobileGenerator(config)
    made.w_mean.copy_(statistics(made.mapping, 12)[0].expand(8, -1))
    return made.eval().requires_grad_(False)
