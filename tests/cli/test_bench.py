import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cli import bench as benchmark
from cli.bench import macs, network_costs, paper_costs, parameters, parser_costs, pass_costs, peak_mib
from core.checkpoints import Bundle, load_bundle, save_bundle
from core.config import BundleConfig, GeneratorConfig
from core.engine import Engine
from core.errors import BadRequest
from core.generators.stylegan2 import folded
from core.generators.stylegan2.network import Generator
from core.models.face_parser import FaceParser
from core.models.iterative_inverter import DESCRIPTORS, IterativeInverter
from core.models.reference_editor import ReferenceEditor
from core.network_config import IterativeInverterConfig, ReferenceEditorConfig

# Timed with every model.
ALWAYS = {"edit", "edit_photo", "render", "render_plain"}


@pytest.fixture(scope="module")
def paper() -> benchmark.Costs:
    return paper_costs()


def test_style_transformer_has_the_papers_counts(paper: benchmark.Costs) -> None:
    assert paper["style_transformer"]["parameters"] / 1e6 == pytest.approx(40.62, abs=0.005)
    assert paper["style_transformer"]["macs"] / 1e9 == pytest.approx(36.3, abs=0.05)


def test_generator_has_the_papers_counts(paper: benchmark.Costs) -> None:
    assert paper["generator"]["parameters"] / 1e6 == pytest.approx(30.37, abs=0.005)
    assert paper["mapping"]["parameters"] / 1e6 == pytest.approx(2.10, abs=0.005)
    # 74.3 G of convolutions in speed_facts; the styles and blurs counted here add 1.4 %.
    assert paper["generator"]["macs"] / 1e9 == pytest.approx(74.3, rel=0.02)


def test_latent_classifier_has_the_papers_layers(paper: benchmark.Costs) -> None:
    weights = 9216 * 2048 + 2048 * 512 + 40 * (512 * 32 + 32)
    biases = 2048 + 512 + 40 * (32 + 1)
    assert paper["latent_classifier"] == {"parameters": weights + biases, "macs": weights}


def test_the_papers_reference_editor_is_one_attributes_at_full_width(paper: benchmark.Costs) -> None:
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


def test_benchmark_reports_what_the_issue_asks(
    tiny_engine: Engine, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[bytes] = []
    open_portrait = tiny_engine.open_portrait

    def recording(image: np.ndarray):
        opened.append(image.tobytes())
        return open_portrait(image)

    monkeypatch.setattr(tiny_engine, "open_portrait", recording)
    result = json.loads(json.dumps(benchmark.benchmark(tiny_engine, photo)))

    assert set(result) == {
        "milliseconds", "times_faster", "peak_mib", "peak_best_mib", "device", "parameters", "macs",
    }  # fmt: skip
    assert set(result["milliseconds"]) == {*ALWAYS, "open", "best_step"}
    assert all(value > 0 for value in result["milliseconds"].values())
    assert result["device"] == "cpu"
    assert result["times_faster"] == result["milliseconds"]["render_plain"] / result["milliseconds"]["render"]
    assert result["peak_best_mib"] >= result["peak_mib"] > 100
    for counts in (result["parameters"], result["macs"]):
        assert set(counts) == {"generator", "mapping", "inverter", "classifier"}
    # Never the same photo twice, so that no cache answers.
    assert len(set(opened)) == len(opened) >= 20


def test_benchmark_of_a_model_with_refiners(refining_engine: Engine, photo: np.ndarray) -> None:
    result = benchmark.benchmark(refining_engine, photo)
    assert set(result["milliseconds"]) == {
        *ALWAYS, "open", "open_fast", "edit_fast", "best_step",
    }  # fmt: skip
    assert all(value > 0 for value in result["milliseconds"].values())
    refiners = refining_engine.config.refiners
    for counts, kind in ((result["parameters"], "parameters"), (result["macs"], "macs")):
        for refiner in refiners:
            generator, inverter = refining_engine.config.generator, refining_engine.config.inverter
            wanted = benchmark.refiner_costs(refiner, generator, inverter)[kind]
            assert counts[f"refiner_{refiner.stage}"] == wanted
    portrait = refining_engine.open_portrait(photo)
    assert "best" not in portrait.residuals  # it was measured, not carried out


@pytest.mark.parametrize("gallery", [True, False])
def test_benchmark_of_a_model_with_reference_editors(
    taking_engine: Engine,
    taking_bundle: Bundle,
    photo: np.ndarray,
    gallery: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(benchmark, "RUNS", 2)
    monkeypatch.setattr(benchmark, "_best_step_ms", lambda *_: 1.0)
    if not gallery:
        monkeypatch.setitem(taking_engine._sampler.__dict__, "gallery", ())
    asked = []
    edit = taking_engine.edit
    monkeypatch.setattr(taking_engine, "edit", lambda p, r: asked.extend(r.takes) or edit(p, r))
    result = benchmark.benchmark(taking_engine, photo)
    assert result["milliseconds"]["edit_reference"] > 0
    assert {take.what for take in asked} == {("smile", "young")}
    assert len({take.amount for take in asked}) == len(asked) == 5
    assert {take.reference in taking_engine.gallery for take in asked} == {gallery}
    # Two attributes; each reads the reference's code and, to leave out what it has already, the source's.
    editors = taking_bundle.reference_editors.values()
    assert result["parameters"]["reference_editors"] == sum(parameters(editor) for editor in editors)
    codes = torch.zeros(1, 8, 32)
    assert result["macs"]["reference_editors"] == sum(macs(lambda e=e: e(codes, codes)) for e in editors)


def test_peak_memory_is_in_mebibytes() -> None:
    status = Path("/proc/self/status")
    if not status.is_file():
        pytest.skip("only Linux tells the peak a second way")
    kib = int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1])
    assert peak_mib() == pytest.approx(kib / 1024, rel=0.05)


def test_a_model_that_shows_no_faces_needs_a_photo(tiny_engine: Engine) -> None:
    with pytest.raises(BadRequest, match="--photo"):
        benchmark.sample_photo(tiny_engine)


def test_a_large_generator_is_also_timed_from_part_of_the_way(
    tiny_config: BundleConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_engine: Engine
) -> None:
    monkeypatch.setattr(benchmark, "RUNS", 2)
    large = GeneratorConfig(256, (4,) * 7, w_dim=8, z_dim=8, mapping_layers=1, code_rank=0)
    parts = {"inverter": None, "classifier": None, "attributes": ()}
    config = dataclasses.replace(tiny_config, generator=large, **parts)
    save_bundle(tmp_path / "large", Bundle.of(config, Generator(large)))
    engine = Engine(load_bundle(tmp_path / "large"))
    starts: list[int] = []
    run = folded.run

    def watched(*args, start=None, **more):
        starts.append(1 if start is None else start.block)
        return run(*args, start=start, **more)

    monkeypatch.setattr(folded, "run", watched)
    found = benchmark._restarted(engine, engine.generator.w_mean[None])
    assert found.keys() == {"render_from_128", "render_from_256"}
    assert all(value > 0 for value in found.values())
    runs = benchmark.RUNS + benchmark.WARM_UP
    assert starts[-2 * runs :] == [5] * runs + [6] * runs
    assert benchmark._restarted(tiny_engine, tiny_engine.generator.w_mean[None]) == {}
