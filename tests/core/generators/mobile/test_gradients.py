import pytest
import torch
from torch import Tensor, nn

from core.generators.mobile.config import MobileConfig
from core.generators.mobile.gradients import DescendedMobile
from core.generators.mobile.network import MobileGenerator

CONFIG = MobileConfig(
    resolution=64, channels=(16, 16, 12, 8), w_dim=12, z_dim=12, mapping_layers=2, previews=(8, 16)
)


class Head(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 3, 3, padding=1)
        self.affine = nn.Linear(12, 3)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        return self.conv(x) * self.affine(w[:, 3])[:, :, None, None]


@pytest.fixture
def generator() -> MobileGenerator:
    torch.manual_seed(0)
    heads = {8: Head(16), 16: Head(12)}
    return MobileGenerator(CONFIG, heads).double().requires_grad_(False)


@pytest.mark.parametrize("size", [8, 16])
def test_picture_and_gradient_are_the_readable_networks(generator: MobileGenerator, size: int) -> None:
    torch.manual_seed(1)
    w = torch.randn(2, generator.layout.num_codes, 12, dtype=torch.float64, requires_grad=True)
    wanted = torch.randn(2, 3, size, size, dtype=torch.float64)

    found = DescendedMobile(generator, size, torch.float64)(w)
    expected = generator.synthesis(w, size=size)

    torch.testing.assert_close(found, expected)
    for_found, for_expected = (torch.autograd.grad((p * wanted).sum(), w)[0] for p in (found, expected))
    torch.testing.assert_close(for_found, for_expected)
    assert for_expected.abs().sum() > 0


def test_bfloat16_gives_about_the_same_gradient(generator: MobileGenerator) -> None:
    generator = generator.float()
    torch.manual_seed(1)
    w = torch.randn(1, generator.layout.num_codes, 12, requires_grad=True)
    wanted = torch.randn(1, 3, 16, 16)

    pictures = [DescendedMobile(generator, 16, torch.bfloat16)(w), generator.synthesis(w, size=16)]

    assert pictures[0].dtype == torch.float32
    found, expected = (torch.autograd.grad((p * wanted).sum(), w)[0].flatten() for p in pictures)
    assert float(torch.cosine_similarity(found, expected, 0)) > 0.98


def test_the_family_takes_this_way_where_it_can(generator: MobileGenerator) -> None:
    w = torch.randn(1, generator.layout.num_codes, 12, dtype=torch.float64)

    assert isinstance(generator.descended(16, torch.float64), DescendedMobile)
    for size in (16, 32, 64):
        picture = generator.descended(size, torch.float64)(w)
        torch.testing.assert_close(picture, generator.synthesis(w, size=size))


def test_only_previews_can_be_descended_through(generator: MobileGenerator) -> None:
    with pytest.raises(ValueError, match="not 64"):
        DescendedMobile(generator, 64, torch.float32)
