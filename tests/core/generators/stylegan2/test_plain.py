import pytest
import torch

from core.config import GeneratorConfig
from core.generators.stylegan2.network import Generator
from core.generators.stylegan2.plain import plain_synthesis


@pytest.mark.parametrize("clamp", [None, 0.8])
def test_both_give_the_same_picture(clamp: float | None) -> None:
    config = GeneratorConfig(32, (16, 12, 8, 8), w_dim=16, z_dim=16, mapping_layers=1, clamp=clamp)
    torch.manual_seed(0)
    generator = Generator(config).double()
    for name, parameter in generator.named_parameters():
        if name.endswith(("noise_strength", "bias")):
            parameter.data += 0.3 * torch.randn_like(parameter)
    w = torch.randn(2, config.num_codes, 16, dtype=torch.float64)
    plain = plain_synthesis(generator, w)
    assert plain.shape == (2, 3, 32, 32)
    # toRGB's sum is float32 in the fast one.
    torch.testing.assert_close(generator.synthesis(w).double(), plain, atol=1e-5, rtol=1e-5)
    # The clamp bites: without it this picture is another.
    free = plain_synthesis(_without_clamp(generator), w)
    assert torch.equal(plain, free) == (clamp is None)


def _without_clamp(generator: Generator) -> Generator:
    for module in generator.modules():
        if hasattr(module, "clamp"):
            module.clamp = None
    return generator
