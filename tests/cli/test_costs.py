"""cli.costs: the papers' counts, and counting itself against plain formulas."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cli import costs
from cli.costs import macs, network_costs, paper_costs, parameters, parser_costs, pass_costs
from core.config import BundleConfig
from core.models.face_parser import FaceParser
from core.models.iterative_inverter import DESCRIPTORS, IterativeInverter
from core.models.reference_editor import ReferenceEditor
from core.network_config import IterativeInverterConfig, ReferenceEditorConfig


@pytest.fixture(scope="module")
def paper() -> costs.Costs:
    return paper_costs()


def test_style_transformer_has_the_papers_counts(paper: costs.Costs) -> None:
    assert paper["style_transformer"]["parameters"] / 1e6 == pytest.approx(40.62, abs=0.005)
    assert paper["style_transformer"]["macs"] / 1e9 == pytest.approx(36.3, abs=0.05)


def test_generator_has_the_papers_counts(paper: costs.Costs) -> None:
    assert paper["generator"]["parameters"] / 1e6 == pytest.approx(30.37, abs=0.005)
    assert paper["mapping"]["parameters"] / 1e6 == pytest.approx(2.10, abs=0.005)
    # 74.3 G of convolutions in speed_facts; the styles and blurs counted here add 1.4 %.
    assert paper["generator"]["macs"] / 1e9 == pytest.approx(74.3, rel=0.02)


def test_latent_classifier_has_the_papers_layers(paper: costs.Costs) -> None:
    weights = 9216 * 2048 + 2048 * 512 + 40 * (512 * 32 + 32)
    biases = 2048 + 512 + 40 * (32 + 1)
    assert paper["latent_classifier"] == {"parameters": weights + biases, "macs": weights}


def test_the_papers_reference_editor_is_one_attributes_at_full_width(paper: costs.Costs) -> None:
    config = ReferenceEditorConfig(num_codes=18, attributes=("smile",), w_dim=512, width=512)
    module, codes = ReferenceEditor(config), torch.zeros(1, 18, 512)
    assert paper["reference_editor"] == {
        "parameters": parameters(module),
        "macs": macs(lambda: module(codes, codes)),
    }
    assert paper["reference_editor"]["parameters"] > 8 * 512**2


def _attention() -> tuple[nn.Module, Callable[[nn.Module], object], int]:
    queries, tokens, width = 6, 50, 16
    projections = 2 * queries * width**2 + 2 * tokens * width**2  # query, output; key, value
    q, t = torch.zeros(1, queries, width), torch.zeros(1, tokens, width)
    module = nn.MultiheadAttention(width, 4, batch_first=True)
    return module, lambda m: m(q, t, t, need_weights=False), projections + 2 * queries * tokens * width


def test_macs_of_attention_include_both_products() -> None:
    module, run, expected = _attention()
    assert macs(lambda: run(module)) == expected
    # Frozen as a served network is, where torch would take its fused path.
    module.eval().requires_grad_(False)
    assert macs(lambda: run(module)) == expected


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (lambda: F.conv2d(torch.zeros(1, 4, 9, 9), torch.zeros(6, 4, 3, 3), padding=1), 9 * 9 * 6 * 4 * 9),
        (lambda: F.conv2d(torch.zeros(1, 4, 9, 9), torch.zeros(4, 1, 3, 3), groups=4), 7 * 7 * 4 * 9),
        # Transposed: every input pixel meets the whole kernel once.
        (lambda: F.conv_transpose2d(torch.zeros(1, 4, 9, 9), torch.zeros(4, 6, 3, 3)), 9 * 9 * 4 * 6 * 9),
        (lambda: nn.Linear(5, 7)(torch.zeros(3, 5)), 3 * 5 * 7),
    ],
    ids=["convolution", "depthwise", "transposed", "linear"],
)
def test_macs_of_plain_layers(run: Callable[[], object], expected: int) -> None:
    assert macs(run) == expected


def test_costs_are_those_of_the_loaded_networks(tiny_config: BundleConfig, tiny_bundle) -> None:
    costs = network_costs(tiny_config.generator, tiny_config.inverter, tiny_config.classifier)
    networks = {name: getattr(tiny_bundle, name) for name in ("generator", "inverter", "classifier")}
    assert {name: costs[name]["parameters"] for name in networks} == {
        name: parameters(network) for name, network in networks.items()
    }
    image = torch.zeros(1, 3, 32, 32)
    assert costs["inverter"]["macs"] == macs(lambda: tiny_bundle.inverter(image))


def test_costs_of_a_pass_and_of_the_parser() -> None:
    config = IterativeInverterConfig(5, 16, width=8, heads=2, feedforward=12, dense=6, input_resolution=64)
    inverter, parser = IterativeInverter(config), FaceParser()
    picture, descriptors = torch.zeros(1, 3, 64, 64), torch.zeros(1, DESCRIPTORS)
    looks = macs(lambda: inverter.look(picture, descriptors))

    cost = pass_costs(config)

    assert cost["parameters"] == parameters(inverter)
    seen = inverter.look(picture, descriptors)
    assert cost["macs"] == 2 * looks + macs(lambda: inverter(seen, seen, torch.zeros(1, 5, 16)))
    assert parser_costs() == {
        "parameters": parameters(parser),
        "macs": macs(lambda: parser(torch.zeros(1, 3, 256, 256))),
    }
