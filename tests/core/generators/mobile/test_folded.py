"""The fast renderer against the readable network, and against itself after other pictures."""

import functools
import gc
import sys
import threading

import pytest
import torch
from torch import Tensor

from core.generators.mobile import folded, restart
from core.generators.mobile.config import MobileConfig
from core.generators.mobile.folded import KEPT_CORRECTIONS, FoldedMobile
from core.generators.mobile.grid import remove_grid
from core.generators.mobile.network import MobileGenerator
from core.generators.residual import LowRank, Residual, WeightShift
from core.rendering.cores import SideBySide

from .conftest import TINY, changed, codes, randomised, residuals

pytestmark = pytest.mark.usefixtures("tiny_strips")


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float64, 1e-9), (torch.float32, 1e-6)])
@pytest.mark.parametrize("size", [64, 32])
def test_folded_equals_plain(tiny: MobileGenerator, dtype: torch.dtype, limit: float, size: int) -> None:
    generator = tiny.to(dtype)
    w = codes(tiny, 1, 3).to(dtype)
    wanted = generator.synthesis(w, size=size)
    found = FoldedMobile(generator, dtype).raw(w, size=size)
    assert found.dtype == dtype
    assert (found - wanted).abs().mean() <= limit * wanted.abs().mean().clamp(min=1)


@pytest.mark.parametrize("kind", ["low_rank", "shift"])
def test_residuals_at_their_strength(tiny: MobileGenerator, kind: str) -> None:
    residual = residuals(tiny)[kind]
    w = codes(tiny, 2)
    fast = FoldedMobile(tiny, torch.float64)
    torch.testing.assert_close(fast.raw(w, residual), tiny.synthesis(w, residual=residual))
    # Half of the pairs' product is that of P halved.
    half: Residual
    if isinstance(residual, LowRank):
        half = LowRank(tuple(pair and (pair[0] / 2, pair[1]) for pair in residual.tokens))
    else:
        half = WeightShift(tuple(shift / 2 for shift in residual.shifts))
    torch.testing.assert_close(fast.raw(w, residual, 0.5), tiny.synthesis(w, residual=half))
    assert torch.equal(fast.raw(w, residual, 0.0), fast.raw(w))


def test_what_is_shown_has_no_grid(tiny: MobileGenerator) -> None:
    fast = FoldedMobile(tiny, torch.float64)
    w = codes(tiny, 3)
    shown = fast.render(w)
    assert shown.dtype == torch.float32
    torch.testing.assert_close(shown, remove_grid(tiny.synthesis(w)).float())
    assert not torch.equal(shown, fast.raw(w).float())
    with pytest.raises(ValueError, match="no colour codes"):
        fast.render(w, w_rgb=w)
    with pytest.raises(ValueError, match=r"pictures of \(32, 64\) px"):
        fast.render(w, size=8)


def test_pictures_do_not_depend_on_what_came_before(tiny: MobileGenerator) -> None:
    tiny = tiny.float()
    fast = FoldedMobile(tiny, torch.float32)
    kinds = residuals(tiny)
    kinds = {
        "low_rank": LowRank(tuple(p and (p[0].float(), p[1].float()) for p in kinds["low_rank"].tokens)),
        "shift": WeightShift(tuple(shift.float() for shift in kinds["shift"].shifts)),
    }
    w = codes(tiny, 4).float()
    asked: list[tuple[Tensor, Residual | None, float, int]] = [
        (w, None, 1.0, 64),
        *((changed(w, code), None, 1.0, 64) for code in range(tiny.config.num_codes)),
        (w, kinds["low_rank"], 1.0, 64),
        (w, kinds["low_rank"], 0.5, 64),
        (changed(w, 5), kinds["low_rank"], 0.5, 32),
        (w, kinds["shift"], 0.5, 64),
        (changed(w, 6), kinds["shift"], 0.5, 64),
        (w, None, 1.0, 32),
        (torch.cat([w, changed(w, 3)]), None, 1.0, 64),
    ]
    for w, residual, strength, size in asked:
        found = fast.raw(w, residual, strength, size)
        fresh = [FoldedMobile(tiny, torch.float32).raw(each[None], residual, strength, size) for each in w]
        assert torch.equal(found, torch.cat(fresh))


def test_two_pictures_side_by_side_have_the_bits_of_each_alone(tiny: MobileGenerator) -> None:
    residual = residuals(tiny)["low_rank"]
    w = codes(tiny, 4)
    asked = [changed(w, code) for code in range(tiny.config.num_codes) for _ in range(5)]
    alone, fast, beside = FoldedMobile(tiny, torch.float64), FoldedMobile(tiny, torch.float64), SideBySide()
    for each in asked:
        wanted = alone.render(each), alone.render(each, residual=residual)
        found = beside.run(
            functools.partial(fast.render, each), functools.partial(fast.render, each, residual=residual)
        )
        assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize(("code", "first"), [(0, 0), (1, 0), (2, 0), (3, 1), (4, 1), (5, 2), (6, 2), (7, 2)])
def test_only_what_the_change_reaches_is_computed(
    tiny: MobileGenerator, monkeypatch: pytest.MonkeyPatch, code: int, first: int
) -> None:
    fast = FoldedMobile(tiny, torch.float64)
    w = codes(tiny, 5)
    fast.raw(w)
    run: list[int] = []
    call = folded.FoldedBlock.__call__

    def counted(block: folded.FoldedBlock, *args: object, **options: object) -> Tensor:
        run.append(block.resolution)
        return call(block, *args, **options)

    monkeypatch.setattr(folded.FoldedBlock, "__call__", counted)
    # A dragged slider leaves what did not change where it was, however often it moves.
    for _ in range(4):
        w = changed(w, code)
        run.clear()
        fast.raw(w)
        assert sorted(set(run)) == [8, 16, 32][first:]
    # Kernels that a residual changes are others at every block.
    run.clear()
    fast.raw(w, residuals(tiny)["low_rank"])
    assert sorted(set(run)) == [8, 16, 32]


def test_a_forgotten_portrait_leaves_nothing(tiny: MobileGenerator) -> None:
    fast = FoldedMobile(tiny, torch.float64)
    w = codes(tiny, 6)
    kept = [residuals(tiny)["shift"] for _ in range(KEPT_CORRECTIONS + 2)]
    for residual in kept:
        fast.raw(w, residual)
    assert len(fast._corrections) == KEPT_CORRECTIONS
    kept.clear()
    del residual
    gc.collect()
    assert len(fast._corrections) == 0


def test_previews_of_the_features_in_their_own_order(tiny_with_preview: MobileGenerator) -> None:
    generator = tiny_with_preview
    w = codes(generator, 7)
    fast = FoldedMobile(generator, torch.float64)
    # Each after the other: a preview does not go on from what comes after its features, nor ends the way.
    for size in (16, 64, 16, 64):
        torch.testing.assert_close(fast.raw(w, size=size), generator.synthesis(w, size=size))


def test_in_float16_the_lower_resolutions_stay_wide() -> None:
    """At 128 px the four highest resolutions are those from 16 px on; before, numbers may exceed 65504."""
    generator = randomised(MobileConfig(128, (8, 8, 8, 8, 6), w_dim=10, z_dim=7), torch.float32)
    wanted = generator.synthesis(codes(generator, 9).float())
    far = 2.0**20
    for part in (generator.first.weight, generator.first.bias, generator.first.noise):
        part.mul_(far)
    for part in (generator.blocks[0].up.weight, generator.blocks[0].up.bias):
        part.div_(far)
    fast = FoldedMobile(generator, torch.float16)
    assert [block.conv1.bias.dtype for block in fast._blocks] == [torch.float32, *[torch.float16] * 3]
    found = fast.raw(codes(generator, 9))
    assert (found - wanted).abs().mean() <= 0.01 * wanted.abs().mean()


def test_only_a_cpu_computes_the_lowest_in_float64() -> None:
    sides = folded._dtypes(TINY, torch.float32, torch.device("cpu"))
    assert sides == {4: torch.float64, 8: torch.float64, 16: torch.float32, 32: torch.float32}
    assert set(folded._dtypes(TINY, torch.float32, torch.device("cuda")).values()) == {torch.float32}
    assert set(folded._dtypes(TINY, torch.bfloat16, torch.device("cpu")).values()) == {torch.bfloat16}


def test_states_of_forgotten_kernels_are_not_those_of_none(tiny: MobileGenerator) -> None:
    restarts, w = restart.Restarts(), codes(tiny, 10)[0]
    residual = residuals(tiny)["shift"]
    states = [restart.State(0, torch.zeros(1))]
    restarts.keep(w, residual, 0.5, states)
    assert restarts.known(w, residual, 0.5) == states
    del residual
    gc.collect()
    assert restarts.known(w, None, 0.5) == []
    restarts.keep(w, None, 0.5, states)
    assert restarts.known(w, None, 0.5) == states


def test_gradients_reach_a_low_rank_residual(tiny: MobileGenerator) -> None:
    w = codes(tiny, 8)
    pairs = [(torch.zeros(1, 2, o), torch.randn(1, 2, i)) for o, i in tiny.low_rank]
    pairs = [(p.double().requires_grad_(), q.double()) for p, q in pairs]
    fast = FoldedMobile(tiny, torch.float64)
    fast.synthesis(w, LowRank(tuple(pairs))).square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p, _ in pairs)


def test_states_are_kept_while_others_are_looked_for() -> None:
    """In a thread each, which change places at every step."""
    states, w = restart.Restarts(), torch.zeros(2, 3)
    ended = threading.Event()

    def keep() -> None:
        while not ended.is_set():
            states.keep(w, None, 0.0, [])

    keeping = threading.Thread(target=keep, daemon=True)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        keeping.start()
        for _ in range(60_000):
            states.known(w, None, 0.0)
    finally:
        sys.setswitchinterval(before)
        ended.set()
        keeping.join(30)
