import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from cli import bench as benchmark
from cli.bench import peak_mib
from cli.costs import macs, parameters
from core.checkpoints import Bundle, load_bundle, save_bundle
from core.config import BundleConfig, GeneratorConfig
from core.engine import Engine
from core.errors import BadRequest
from core.generators.stylegan2 import folded
from core.generators.stylegan2.network import Generator

# Timed with every model.
ALWAYS = {"edit", "edit_photo", "render", "render_plain"}


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
