"""Pictures by graphs against those without, bit for bit.

Without a GPU a stand-in replays: it computes anew of a graph's own inputs, into the same tensors each time,
so that whatever still refers to those is found out. The last test is of a GPU's own graphs.
"""

import contextlib
import dataclasses
import gc
import inspect
import logging
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from core.generators.mobile import graphed
from core.generators.mobile.folded import FoldedMobile
from core.generators.mobile.graphed import Computed, Graphs, Kernels, Replay, capture_for
from core.generators.mobile.grid import remove_grid
from core.generators.mobile.network import MobileGenerator
from core.generators.mobile.restart import State
from core.generators.residual import LowRank, Residual, WeightShift

from .conftest import TINY, changed, codes, randomised, residuals

pytestmark = pytest.mark.usefixtures("tiny_strips")

# Three sizes, of which the preview begins at the start, or at the first or the second of three blocks.
ALL = 3 + 4 + 4
Asked = tuple[Tensor, Residual | None, float, int]


class StandIn:
    """A `Capture` that counts, and may fail from some graph on."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.asked, self.replayed, self.fails_at = 0, 0, fails_at

    def __call__(self, run: Callable[[], Computed]) -> Replay:
        self.asked += 1
        if self.asked == self.fails_at:
            raise RuntimeError("operation not permitted when stream is capturing")
        own = run()
        own.picture.fill_(torch.nan)  # a recording computes nothing yet

        def replay() -> Computed:
            self.replayed += 1
            picture, states = run()
            own.picture.copy_(picture)
            for held, new in zip(own.states, states, strict=True):
                assert held.block == new.block
                held.x.copy_(new.x)
            return own

        return replay


@pytest.fixture
def generator() -> MobileGenerator:
    """64 px with a preview of 16 px, float32."""
    return randomised(dataclasses.replace(TINY, previews=(16,)), torch.float32)


def narrow(kinds: dict[str, Residual]) -> dict[str, Residual]:
    """The same in float32."""
    pairs, shift = kinds["low_rank"], kinds["shift"]
    assert isinstance(pairs, LowRank)
    assert isinstance(shift, WeightShift)
    return {
        "low_rank": LowRank(tuple(p and (p[0].float(), p[1].float()) for p in pairs.tokens)),
        "shift": WeightShift(tuple(each.float() for each in shift.shifts)),
    }


def visit(generator: MobileGenerator) -> list[Asked]:
    """Pictures of two faces at all sizes: sliders of all codes, residuals that come, fade and go."""
    w, other = codes(generator, 4).float(), codes(generator, 5).float()
    kinds = {
        name: residual.to(generator.constant.device)
        for name, residual in narrow(residuals(generator)).items()
    }
    return [
        (w, None, 1.0, 64),
        (other, None, 1.0, 64),
        (changed(w, 6), None, 1.0, 64),  # from a state that the other face has not touched
        *((changed(w, code), None, 1.0, 64) for code in range(generator.config.num_codes)),
        *((changed(other, code), None, 1.0, 16) for code in (6, 5, 4, 3, 2)),
        (w, None, 1.0, 32),
        (w, kinds["low_rank"], 1.0, 64),
        (changed(w, 5), kinds["low_rank"], 1.0, 64),
        (changed(w, 5), kinds["low_rank"], 0.5, 32),
        (w, kinds["shift"], 0.5, 64),
        (w, kinds["shift"], 0.5, 16),
        (w, kinds["low_rank"], 0.5, 64),
        (changed(w, 6), None, 1.0, 64),
        (torch.cat([w, changed(w, 3), other]), None, 1.0, 64),
    ]


def same_as_without(fast: FoldedMobile, generator: MobileGenerator) -> None:
    plain = FoldedMobile(generator, torch.float32)
    found = [fast.render(*_arguments(asked)) for asked in visit(generator)]
    # Compared when all are there: none may lie where another was computed later.
    for picture, asked in zip(found, visit(generator), strict=True):
        assert torch.equal(picture, plain.render(*_arguments(asked)))


def _arguments(asked: Asked) -> tuple[Tensor, None, Residual | None, float, int]:
    w, residual, strength, size = asked
    return w, None, residual, strength, size


def test_graphs_give_the_same_bits(generator: MobileGenerator) -> None:
    stand_in = StandIn()
    fast = FoldedMobile(generator, torch.float32, capture=stand_in)
    same_as_without(fast, generator)
    # All were recorded before the first picture was asked for, and every picture came of one.
    assert stand_in.asked == ALL
    assert stand_in.replayed == ALL + sum(len(w) for w, *_ in visit(generator))


@pytest.mark.parametrize("most", [1, 3])
def test_their_number_is_bounded(
    generator: MobileGenerator, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(graphed, "MOST_GRAPHS", most)
    stand_in = StandIn()
    fast = FoldedMobile(generator, torch.float32, capture=stand_in)
    assert fast.graphs == most
    same_as_without(fast, generator)
    assert fast.graphs == most
    assert stand_in.asked > ALL  # those that went were recorded anew


def test_the_last_ones_used_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphed, "MOST_GRAPHS", 2)
    stand_in = StandIn()
    graphs = Graphs(stand_in)

    def compute(w: Tensor, kernels: Kernels, start: State | None, size: int) -> Computed:
        return Computed(w * size, [])

    recorded = []
    for size in (1, 2, 1, 3, 1, 2):
        before = stand_in.asked
        assert torch.equal(
            graphs(compute, torch.ones(2), Kernels(), None, size).picture, size * torch.ones(2)
        )
        recorded.append(stand_in.asked - before)
    assert recorded == [1, 1, 0, 1, 0, 1]


@pytest.mark.parametrize("fails_at", [1, 5])
def test_where_there_are_none_pictures_come_without(
    generator: MobileGenerator, caplog: pytest.LogCaptureFixture, fails_at: int
) -> None:
    stand_in = StandIn(fails_at)
    with caplog.at_level(logging.WARNING):
        fast = FoldedMobile(generator, torch.float32, capture=stand_in)
        same_as_without(fast, generator)
    assert len(caplog.messages) == 1
    assert "stream is capturing" in caplog.text
    assert stand_in.asked == fails_at
    assert fast.graphs == 0


@torch.inference_mode()
def test_kernels_are_copied_when_they_change(generator: MobileGenerator) -> None:
    fast = FoldedMobile(generator, torch.float32, capture=StandIn())
    w, own = codes(generator, 7).float(), fast._graphs._inputs.kernels

    def copied(residual: Residual | None = None, strength: float = 1.0) -> bool:
        for kernel in own:
            kernel.fill_(torch.nan)
        fast.render(w, residual=residual, strength=strength)
        new = not own[0].isnan().any()
        wanted = fast._kernels if residual is None else fast._corrected(residual, strength)
        assert not new or all(torch.equal(a, b) for a, b in zip(own, wanted, strict=True))
        return new

    assert not copied()
    pairs, shift = narrow(residuals(generator)).values()
    assert copied(shift)
    assert not copied(shift)
    assert copied(shift, 0.5)
    assert copied(pairs, 0.5)
    assert copied()
    assert not copied(pairs, 0.0)


def test_a_forgotten_portrait_leaves_nothing(generator: MobileGenerator) -> None:
    fast = FoldedMobile(generator, torch.float32, capture=StandIn())
    residual = narrow(residuals(generator))["shift"]
    fast.render(codes(generator, 8).float(), residual=residual)
    assert fast._graphs._inputs._copied() is not None
    del residual
    gc.collect()
    assert fast._graphs._inputs._copied() is None


def test_layouts_stay(generator: MobileGenerator) -> None:
    """Convolutions choose by them, and the bits would be others."""
    fast = FoldedMobile(generator, torch.float32, capture=StandIn())
    inputs = fast._graphs._inputs
    assert [k.stride() for k in inputs.kernels] == [k.stride() for k in fast._kernels]
    fast.render(codes(generator, 9).float())
    (*_, trace) = fast._restarts._traces
    assert [state.block for state in trace.states] == [0, 1, 2]
    for state in trace.states:
        assert state.x.is_contiguous(memory_format=torch.channels_last)
        assert state.x.stride() == inputs._states[state.block].x.stride()


def test_a_cpu_has_no_graphs(generator: MobileGenerator) -> None:
    assert capture_for(torch.device("cpu")) is None
    assert FoldedMobile(generator, torch.float32).graphs == 0


def test_what_is_asked_of_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """In which order, by a CUDA that only writes it down; that its graphs compute, the last test sees."""
    said: list[str] = []
    # It takes what torch's takes.
    taken = inspect.signature(torch.cuda.graph.__init__).parameters
    assert {"cuda_graph", "pool", "capture_error_mode"} <= taken.keys()

    @contextlib.contextmanager
    def within(what: str) -> Iterator[None]:
        said.append(f"{what} begins")
        yield
        said.append(f"{what} ends")

    def stream(name: str) -> SimpleNamespace:
        return SimpleNamespace(
            name=name, wait_stream=lambda other: said.append(f"{name} waits for {other.name}")
        )

    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: "pool")
    monkeypatch.setattr(torch.cuda, "device", lambda device: within(str(device)))
    monkeypatch.setattr(torch.cuda, "Stream", lambda: stream("aside"))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: stream("current"))
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: within(stream.name))
    monkeypatch.setattr(
        torch.cuda, "CUDAGraph", lambda: SimpleNamespace(replay=lambda: said.append("replayed"))
    )
    monkeypatch.setattr(
        torch.cuda, "graph", lambda graph, pool, capture_error_mode: within(f"{pool}, {capture_error_mode}")
    )

    def run() -> Computed:
        said.append("run")
        return Computed(torch.ones(1), [])

    capture = capture_for(torch.device("cuda:1"))
    replay = capture(run)
    assert said == [
        "cuda:1 begins",
        "aside waits for current",
        "aside begins",
        *["run"] * graphed.WARM_UP,
        "aside ends",
        "current waits for aside",
        "pool, thread_local begins",
        "run",
        "pool, thread_local ends",
        "cuda:1 ends",
    ]
    said.clear()
    assert replay() is replay()
    assert said == ["replayed", "replayed"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="waits for a GPU: training/PLAN.md")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_gpus_own_graphs(
    generator: MobileGenerator, dtype: torch.dtype, caplog: pytest.LogCaptureFixture
) -> None:
    generator = generator.cuda()
    with caplog.at_level(logging.WARNING):
        fast, plain = (FoldedMobile(generator, dtype) for _ in range(2))
        found = [fast.render(*_arguments(asked)) for asked in visit(generator)]
    assert not caplog.messages  # neither graphs nor kernels were given up
    assert fast.graphs == ALL
    for picture, (w, residual, strength, size) in zip(found, visit(generator), strict=True):
        # What is raw comes of no graph. Each alone, as graphs compute.
        pictures = [remove_grid(plain.raw(each[None], residual, strength, size)).float() for each in w]
        assert torch.equal(picture, torch.cat(pictures))
