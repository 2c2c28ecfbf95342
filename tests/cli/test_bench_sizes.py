"""cli.bench of generators with several sizes, and beside OpenVINO; neither is timed here."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from cli import bench
from core.errors import BadCheckpoint
from core.generators.mobile.config import FFHQ_1024


class Recorder:
    """A renderer that remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, float]] = []

    def render(self, w: torch.Tensor, size: int) -> torch.Tensor:
        self.asked.append((size, float(w.sum())))
        return torch.zeros(1, 3, size, size)


def engine(sizes: tuple[int, ...] = (1024,), config: object = FFHQ_1024) -> SimpleNamespace:
    return SimpleNamespace(
        renderer=Recorder(),
        device=torch.device("cpu"),
        config=SimpleNamespace(generator=config),
        generator=SimpleNamespace(sizes=sizes, w_mean=torch.arange(8.0).expand(4, 8)),
    )


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def median_ms(run: Callable[[int], object]) -> float:
        for i in range(3):
            run(i)
        return 7.0

    monkeypatch.setattr(bench, "_median_ms", median_ms)


@pytest.mark.parametrize(
    ("sizes", "rows"),
    [
        ((128, 256, 512, 1024), ["render_128", "render_256", "edit_preview", "render_512"]),
        ((512, 1024), ["render_512", "edit_preview"]),
        ((64, 128), ["render_64"]),
        ((128,), []),
    ],
)
def test_every_smaller_size_has_a_row_and_the_first_large_enough_is_the_preview(
    sizes: tuple[int, ...], rows: list[str]
) -> None:
    fake = engine(sizes)
    assert list(bench._smaller(fake, torch.zeros(1, 4, 8))) == rows
    wanted = {128: 3, 256: 6, 512: 3} if len(sizes) == 4 else {}
    for size, times in wanted.items():
        assert [asked for asked, _ in fake.renderer.asked].count(size) == times
    # Never the same code twice in a row, of which a renderer may remember something.
    assert all(a != b for a, b in zip(fake.renderer.asked, fake.renderer.asked[1:], strict=False))


def test_openvino_runs_the_packages_files_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list = []

    class Core:
        def read_model(self, path: Path) -> Path:
            return path

        def compile_model(self, model: Path, device: str, hints: dict[str, str]) -> Callable[[list], None]:
            calls.append((model, device, hints["INFERENCE_PRECISION_HINT"]))
            return calls.append

    module = ModuleType("openvino")
    module.Core = Core  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "openvino", module)
    monkeypatch.setattr(bench, "package_folder", lambda: Path("data"))
    assert bench.openvino_ms(engine()) == 7.0
    assert calls[0] == (Path("data/SynthesisNetwork.xml"), "CPU", "f32")
    assert [c[0].shape for c in calls[1:]] == [(1, 8)] * 3
    assert np.allclose(calls[1][0], np.arange(8))


def test_without_openvino_its_files_or_their_generator_there_is_no_such_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing() -> Path:
        raise BadCheckpoint("not installed")

    monkeypatch.setattr(bench, "package_folder", missing)
    monkeypatch.setitem(sys.modules, "openvino", None)  # makes the import fail
    assert bench.openvino_ms(engine()) is None
    monkeypatch.setitem(sys.modules, "openvino", ModuleType("openvino"))
    assert bench.openvino_ms(engine()) is None
    monkeypatch.setattr(bench, "package_folder", lambda: Path("data"))
    assert bench.openvino_ms(engine(config=SimpleNamespace(channels=(8, 8)))) is None
