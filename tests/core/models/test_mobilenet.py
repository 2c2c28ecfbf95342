"""The trunk against MobileNetV2 written plainly from the paper's Table 2, batch norms and all."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from core.models.mobilenet import CHANNELS, DEVIATION, MEAN, STAGES, STRIDES, MobileNetTrunk

State = dict[str, Tensor]


def published(x: Tensor, state: State) -> list[Tensor]:
    """The published network's features of 17 units, x normalised; keys as torchvision calls them."""

    def normed(x: Tensor, convolution: str, norm: str, **how: int) -> Tensor:
        x = F.conv2d(x, state[f"{convolution}.weight"], **how)
        moments = [state[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *moments)

    x = F.relu6(normed(x, "features.0.0", "features.0.1", stride=2, padding=1))
    features, number = [], 1
    for expansion, outputs, repeats, first in STAGES:
        for j in range(repeats):
            unit, y, stride = f"features.{number}.conv", x, first if j == 0 else 1
            if expansion != 1:
                y = F.relu6(normed(y, f"{unit}.0.0", f"{unit}.0.1"))
                at = 1
            else:
                at = 0
            y = normed(y, f"{unit}.{at}.0", f"{unit}.{at}.1", stride=stride, padding=1, groups=y.shape[1])
            y = normed(F.relu6(y), f"{unit}.{at + 1}", f"{unit}.{at + 2}")
            x = x + y if stride == 1 and x.shape[1] == outputs else y
            features.append(x)
            number += 1
    return features


@pytest.fixture
def state() -> State:
    torch.manual_seed(0)
    found: State = {}

    def layer(convolution: str, norm: str, outputs: int, inputs: int, side: int) -> None:
        found[f"{convolution}.weight"] = torch.randn(outputs, inputs, side, side) / (inputs * side**2) ** 0.5
        found[f"{norm}.weight"], found[f"{norm}.bias"] = torch.rand(outputs) + 0.5, torch.randn(outputs) / 3
        found[f"{norm}.running_mean"] = torch.randn(outputs) / 5
        found[f"{norm}.running_var"] = torch.rand(outputs) + 0.5

    layer("features.0.0", "features.0.1", 32, 3, 3)
    inputs, number = 32, 1
    for expansion, outputs, repeats, _ in STAGES:
        for _ in range(repeats):
            unit, wide, at = f"features.{number}.conv", inputs * expansion, 0
            if expansion != 1:
                layer(f"{unit}.0.0", f"{unit}.0.1", wide, inputs, 1)
                at = 1
            layer(f"{unit}.{at}.0", f"{unit}.{at}.1", wide, 1, 3)
            layer(f"{unit}.{at + 1}", f"{unit}.{at + 2}", outputs, wide, 1)
            inputs, number = outputs, number + 1
    return found


@torch.no_grad()
def test_it_gives_the_published_networks_features(state: State) -> None:
    trunk = MobileNetTrunk()
    trunk.load_published({**state, "classifier.1.weight": torch.randn(10, 1280)})
    x = torch.rand(2, 3, 64, 64) * 2 - 1
    mean, deviation = (torch.tensor(part).view(1, 3, 1, 1) for part in (MEAN, DEVIATION))

    found = trunk(x)

    wanted = published((x / 2 + 0.5 - mean) / deviation, state)
    for mine, number, channels, stride in zip(found, (1, 3, 6, 13, 17), CHANNELS, STRIDES, strict=True):
        assert mine.shape == (2, channels, 64 // stride, 64 // stride)
        torch.testing.assert_close(mine, wanted[number - 1], rtol=1e-4, atol=1e-4)


def test_another_networks_weights_are_refused(state: State) -> None:
    del state["features.3.conv.0.0.weight"]
    with pytest.raises(KeyError):
        MobileNetTrunk().load_published(state)
