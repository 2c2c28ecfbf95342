"""A device's passes, and what becomes of those that fail; no Triton is needed here."""

import logging

import pytest
import torch
from torch import Tensor

from core.generators.mobile.choosing import Tried, passes_for
from core.generators.mobile.passes import PLAIN, Passes, Plain, Rows

WHOLE = Rows(0, 6, 6)


def spread_of(passes: Passes) -> Tensor:
    random = torch.Generator().manual_seed(0)
    x, style, taps = (torch.randn(s, generator=random) for s in ((1, 8, 3, 3), (8,), (2, 1, 3, 3)))
    return passes.spread(x, style, taps, WHOLE)


def mixed_of(passes: Passes) -> Tensor:
    random = torch.Generator().manual_seed(1)
    shapes = ((1, 4, 6, 6), (5, 4, 1, 1), (5,), (1, 1, 6, 6))
    return passes.mixed(*(torch.randn(s, generator=random) for s in shapes))


class Others(Plain):
    """Passes that can be told from the readable ones; spread may fail, as a kernel that does not compile."""

    failure: Exception | None = None

    def spread(self, x: Tensor, style: Tensor, taps: Tensor, rows: Rows) -> Tensor:
        if self.failure is not None:
            raise self.failure
        return super().spread(x, style, taps, rows) + 1

    def mixed(self, x: Tensor, kernel: Tensor, bias: Tensor, noise: Tensor) -> Tensor:
        return super().mixed(x, kernel, bias, noise) + 1


def test_passes_are_loaded_once_and_not_before_they_are_asked_for() -> None:
    loads: list[Others] = []

    def load() -> Passes:
        loads.append(Others())
        return loads[-1]

    passes = Tried(load)
    assert loads == []
    for _ in range(2):
        assert torch.equal(spread_of(passes), spread_of(PLAIN) + 1)
        assert torch.equal(mixed_of(passes), mixed_of(PLAIN) + 1)
    assert len(loads) == 1


@pytest.mark.parametrize("when", ["imported", "called"])
def test_what_fails_is_told_once_and_never_asked_again(when: str, caplog: pytest.LogCaptureFixture) -> None:
    others, loads = Others(), 0
    others.failure = RuntimeError("no C compiler")

    def load() -> Passes:
        nonlocal loads
        loads += 1
        if when == "imported":
            raise ImportError("no module named triton")
        return others

    passes = Tried(load)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert torch.equal(spread_of(passes), spread_of(PLAIN))
            assert torch.equal(mixed_of(passes), mixed_of(PLAIN))
    assert loads == 1
    (said,) = caplog.messages
    assert ("no module named triton" if when == "imported" else "no C compiler") in said


def test_memory_that_runs_out_is_no_fault_of_the_kernels(caplog: pytest.LogCaptureFixture) -> None:
    others = Others()
    others.failure = torch.OutOfMemoryError("a large picture")
    passes = Tried(lambda: others)
    with pytest.raises(torch.OutOfMemoryError):
        spread_of(passes)
    others.failure = None
    assert torch.equal(spread_of(passes), spread_of(PLAIN) + 1)
    assert not caplog.messages


def test_only_a_gpu_tries_others() -> None:
    assert passes_for("cpu") is PLAIN
    assert isinstance(passes_for("cuda"), Tried)
    assert passes_for("cuda") is passes_for("cuda")
