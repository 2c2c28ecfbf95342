"""RefineStyle at the paper's size: its published parameters and MACs, and the sums behind them."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from cli import costs
from cli.costs import PAPER_REFINERS, paper_costs, parameters, refiner_costs
from core.config import PAPER_GENERATOR, PAPER_INVERTER
from core.models.refine_style import RefineStyle
from core.models.style_transformer import StyleTransformer, Trunk

TOKENS, WIDTH, FEEDFORWARD = 32, 512, 1024


@pytest.fixture(scope="module")
def paper() -> costs.Costs:
    return paper_costs()


def touched(run: Callable[[], object], module: nn.Module) -> int:
    """Elements that come out of batch norms and PReLUs: the papers' counter adds one for each."""
    found: list[int] = []
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d | nn.PReLU):
            part.register_forward_hook(lambda module, inputs, output: found.append(output.numel()))
    run()
    return sum(found)


@pytest.fixture(scope="module")
def trunk_elements() -> int:
    with FakeTensorMode():
        trunk = Trunk(PAPER_INVERTER).eval()
        return touched(lambda: trunk(torch.empty(1, 3, 256, 256)), trunk)


@pytest.mark.parametrize(
    ("name", "millions", "billions"),
    [
        ("style_transformer", 40.6, 36.3),
        ("refine_style_one_stage", 46.4, 43.0),
        ("refine_style_two_stage", 47.1, 51.1),
    ],
)
def test_counts_are_the_published_ones(
    paper: costs.Costs, trunk_elements: int, name: str, millions: float, billions: float
) -> None:
    assert round(paper[name]["parameters"] / 1e6, 1) == millions
    assert round((paper[name]["macs"] + trunk_elements) / 1e9, 1) == billions


def layer_parameters() -> int:
    """Two attentions, a feed-forward network and three norms, biases included."""
    attention = 4 * (WIDTH**2 + WIDTH)
    return 2 * attention + 2 * WIDTH * FEEDFORWARD + FEEDFORWARD + WIDTH + 3 * 2 * WIDTH


def layer_macs(groups: int, positions: int) -> int:
    """One decoder layer on `groups` groups of tokens and a feature map."""
    queries = groups * TOKENS
    own = 4 * queries * WIDTH**2 + 2 * queries * TOKENS * WIDTH
    cross = 2 * (queries + positions) * WIDTH**2 + 2 * queries * positions * WIDTH
    return own + cross + 2 * queries * WIDTH * FEEDFORWARD


@pytest.mark.parametrize(
    ("index", "channels", "sides"), [(0, 4448, (64,)), (1, 11616, (16, 32, 64))], ids=["one", "two"]
)
def test_a_refiner_is_its_tokens_heads_and_layers(index: int, channels: int, sides: tuple[int, ...]) -> None:
    config = PAPER_REFINERS[index]
    groups = 2 * config.layers
    heads = channels * (WIDTH + 1)
    expected = groups * TOKENS * (WIDTH + 1) + heads + len(sides) * layer_parameters()
    macs = TOKENS * channels * WIDTH + sum(layer_macs(groups, side**2) for side in sides)
    if config.stage == "two_stage":
        with FakeTensorMode():
            trunk = Trunk(config, 6).eval()
            expected += parameters(trunk)
            macs += costs.macs(lambda: trunk(torch.empty(1, 6, 256, 256)))
    assert refiner_costs(config, PAPER_GENERATOR, PAPER_INVERTER) == {"parameters": expected, "macs": macs}


def test_the_second_trunk_differs_in_its_three_more_channels() -> None:
    with FakeTensorMode():
        refiner = RefineStyle(PAPER_REFINERS[1], PAPER_GENERATOR.low_rank)
        inverter = StyleTransformer(PAPER_INVERTER)
    assert parameters(refiner.trunk) - parameters(inverter.trunk) == 3 * 64 * 9
