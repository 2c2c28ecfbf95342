"""Refining a portrait: what comes back, what others see of it, and what happens when it does not work."""

import copy
import dataclasses
import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch

from core.checkpoints import Bundle
from core.engine import Engine
from core.errors import BadRequest, Cancelled, OutOfMemory
from core.generators.residual import LowRank, WeightShift
from core.images import to_array, to_tensor
from core.models.lpips import Lpips
from core.refinement import refiner as module
from core.refinement import running
from core.refinement.gradient_modules import GradientSettings
from core.refinement.losses import PictureLoss
from core.refinement.polish import FRESH
from core.refinement.running import Progress
from core.session import EditRequest, Portrait, View

pytestmark = pytest.mark.usefixtures("precision")

SMILE = EditRequest({"smile": 1.0})
STEPS = 4


@pytest.fixture
def engine(refining_bundle: Bundle) -> Engine:
    """With empty caches."""
    return Engine(refining_bundle)


@pytest.fixture
def portrait(engine: Engine, photo: np.ndarray) -> Portrait:
    return engine.open_portrait(photo)


@dataclasses.dataclass
class Optimiser:
    """A stand-in for `refine_weights`: the weights change by a tenth in each step; `during` runs in it.

    They do not just grow: demodulation takes a kernel's scale away again, and rounding alone would show it.
    """

    during: Callable[[int], None] = lambda step: None
    calls: int = 0
    likeness: PictureLoss | None = None  # that was given last

    def __call__(self, generator, likeness, w_plus, settings, progress, cancelled, preview, run):
        self.calls += 1
        self.likeness = likeness
        assert not w_plus.is_inference()
        shifts = [0.1 * kernel.detach().flip(0) for kernel in generator.kernels().values()]
        # As helperless as the real one: a gradient has to be possible here.
        code = w_plus.clone().requires_grad_()
        code.square().sum().backward()
        for step in range(1, STEPS + 1):
            if cancelled():
                raise Cancelled("The refinement was cancelled; the picture is as it was.")
            self.during(step)
            residual = WeightShift(tuple(shift * (-1) ** i * step for i, shift in enumerate(shifts)))
            progress(step, STEPS)
            preview(residual)
        return residual


@pytest.fixture
def optimiser(monkeypatch: pytest.MonkeyPatch) -> Optimiser:
    stand_in = Optimiser()
    monkeypatch.setattr(module, "refine_weights", stand_in)
    return stand_in


def test_best_compares_with_the_lpips_of_the_model(
    refining_bundle: Bundle, photo: np.ndarray, optimiser: Optimiser
) -> None:
    for own in (Lpips((3, 4, 4, 4, 4)), None):
        engine = Engine(dataclasses.replace(refining_bundle, lpips=own))
        engine.refine(engine.open_portrait(photo), "best")
        assert optimiser.likeness._lpips is own


def request(mode: str, strength: float = 1.0, **kwargs) -> EditRequest:
    return dataclasses.replace(SMILE, refine=mode, strength=strength, **kwargs)


@pytest.mark.parametrize("stage", ["one_stage", "two_stage"])
def test_fast_is_the_refiners_own_residual(refining_bundle: Bundle, photo: np.ndarray, stage: str) -> None:
    engine = Engine(refining_bundle, refiner=stage)
    portrait = engine.open_portrait(photo)
    refined = engine.refine(portrait, "fast")
    image = torch.from_numpy(portrait.crop.copy()).permute(2, 0, 1)[None] / 127.5 - 1
    refiner = refining_bundle.refiners[stage]
    with torch.no_grad():
        if stage == "one_stage":
            wanted = refiner.one_stage(refining_bundle.inverter.trunk(image)[2])
        else:
            wanted = refiner.two_stage(image, portrait.rendered.clone())
    residual = refined.residuals["fast"]
    assert isinstance(residual, LowRank)
    for found, expected in zip(residual.tokens[2:], wanted[2:], strict=True):
        for tensor, batch in zip(found, expected, strict=True):
            assert (tensor - batch[0]).norm() < 0.05 * batch[0].norm()  # bfloat16's rounding


def test_fast_polishes_as_long_as_the_refiner_says(refining_bundle: Bundle, photo: np.ndarray) -> None:
    plain = refining_bundle.refiners["one_stage"]
    polishing = copy.copy(plain)
    polishing.config = dataclasses.replace(plain.config, polish=4)
    errors, counts = [], []
    for refiner in (plain, polishing):
        engine = Engine(
            dataclasses.replace(refining_bundle, refiners={"one_stage": refiner}), "cpu", "one_stage"
        )
        portrait = engine.refine(engine.open_portrait(photo), "fast")
        residual, shown = portrait.residuals["fast"], portrait.bases["fast"]
        assert isinstance(residual, LowRank)
        counts.append({len(pair[0]) for pair in residual.tokens if pair is not None})
        errors.append(float((shown - to_tensor(portrait.crop)).square().mean()))
        engine.close()
    tokens = plain.config.tokens
    assert counts == [{tokens}, {tokens + FRESH}]
    assert errors[1] < errors[0]


def test_the_portrait_that_comes_back_is_another_and_the_old_one_is_unchanged(
    engine: Engine, portrait: Portrait, optimiser: Optimiser
) -> None:
    before = engine.edit(portrait, SMILE)
    fast = engine.refine(portrait, "fast")
    best = engine.refine(fast, "best")
    assert (dict(portrait.residuals), dict(portrait.bases)) == ({}, {})
    assert set(fast.residuals) == set(fast.bases) == {"fast"}
    assert set(best.residuals) == set(best.bases) == {"fast", "best"}
    assert isinstance(best.residuals["best"], WeightShift)
    assert best.nbytes > fast.nbytes > portrait.nbytes
    assert engine.refine(best, "fast") is best
    assert engine.refine(best, "best") is best
    assert optimiser.calls == 1
    for same in (portrait, fast, best):
        assert np.array_equal(engine.edit(same, SMILE), before)
    for mapping in (best.residuals, best.bases):
        with pytest.raises(TypeError):
            mapping["fast"] = None


@pytest.mark.parametrize("mode", ["fast", "best"])
def test_edits_are_rendered_with_the_residual_at_its_strength(
    engine: Engine, portrait: Portrait, optimiser: Optimiser, mode: str
) -> None:
    refined = engine.refine(portrait, mode)
    residual = refined.residuals[mode]
    assert torch.equal(refined.bases[mode], engine.renderer.render(portrait.w_plus[None], residual))
    neutral = EditRequest(refine=mode)
    assert np.array_equal(engine.edit(refined, neutral), to_array(refined.bases[mode])[0])
    half = engine.renderer.render(portrait.w_plus[None], residual, 0.5)
    assert np.array_equal(engine.edit(refined, dataclasses.replace(neutral, strength=0.5)), to_array(half)[0])
    assert not np.array_equal(engine.edit(refined, request(mode)), engine.edit(refined, SMILE))


@pytest.mark.parametrize("mode", ["fast", "best"])
@pytest.mark.parametrize("start", ["photo", "inversion"])
@pytest.mark.parametrize("output", ["face", "photo"])
def test_strength_zero_is_off_to_the_bit(
    engine: Engine, portrait: Portrait, optimiser: Optimiser, mode: str, start: str, output: str
) -> None:
    refined = engine.refine(portrait, mode)
    off = engine.edit(portrait, SMILE.seen(start=start, output=output))
    zero = engine.edit(refined, request(mode, 0.0, view=View(start, output)))
    assert np.array_equal(zero, off)


@pytest.mark.parametrize("mode", ["fast", "best"])
def test_sliders_at_zero_give_back_the_photo_under_every_refinement(
    engine: Engine, portrait: Portrait, optimiser: Optimiser, photo: np.ndarray, mode: str
) -> None:
    refined = engine.refine(portrait, mode)
    wanted = EditRequest(refine=mode, view=View("photo", "photo"))
    assert np.array_equal(engine.edit(refined, wanted), photo)


def test_other_visitors_pictures_stay_the_same_to_the_bit(
    engine: Engine, photo: np.ndarray, optimiser: Optimiser
) -> None:
    mine, other = engine.open_portrait(photo), engine.open_portrait(photo[:, ::-1])
    other = engine.refine(engine.refine(other, "fast"), "best")
    wanted = [SMILE, request("fast"), request("best"), request("best", 0.5)]
    before = [engine.edit(other, r) for r in wanted]
    mine = engine.refine(engine.refine(mine, "fast"), "best")
    engine.edit(mine, request("best"))
    assert all(np.array_equal(engine.edit(other, r), b) for r, b in zip(wanted, before, strict=True))


def test_opening_the_photo_again_finds_its_refinements(
    engine: Engine, portrait: Portrait, photo: np.ndarray, optimiser: Optimiser
) -> None:
    fast, best = engine.refine(portrait, "fast"), engine.refine(portrait, "best")
    again = engine.open_portrait(photo)
    assert again.residuals["fast"] is fast.residuals["fast"]
    assert again.residuals["best"] is best.residuals["best"]


def test_a_photo_that_was_forgotten_meanwhile_stays_forgotten(
    engine: Engine, portrait: Portrait, photo: np.ndarray, optimiser: Optimiser
) -> None:
    optimiser.during = lambda step: engine.forget(portrait)
    assert "best" in engine.refine(portrait, "best").residuals
    assert dict(engine.open_portrait(photo).residuals) == {}


def test_the_bundles_first_refiner_is_the_default(refining_bundle: Bundle, photo: np.ndarray) -> None:
    tokens = {}
    for stage in (None, "one_stage", "two_stage"):
        engine = Engine(refining_bundle, refiner=stage)
        refined = engine.refine(engine.open_portrait(photo), "fast")
        tokens[stage] = refined.residuals["fast"].tokens[-1][0]
    assert torch.equal(tokens[None], tokens["one_stage"])
    assert not torch.equal(tokens[None], tokens["two_stage"])


def test_a_bundle_without_a_refiner_says_so(
    tiny_engine: Engine, photo: np.ndarray, tiny_bundle: Bundle
) -> None:
    reason = tiny_engine.refinements["fast"]
    assert reason is not None
    assert tiny_engine.refinements["best"] is None
    with pytest.raises(BadRequest, match="no refiner"):
        tiny_engine.refine(tiny_engine.open_portrait(photo), "fast")
    with pytest.raises(BadRequest, match="no refiner two_stage; it has none"):
        Engine(tiny_bundle, refiner="two_stage")


def test_modes_that_are_unknown_or_not_computed(engine: Engine, portrait: Portrait) -> None:
    assert dict(engine.refinements) == {"fast": None, "best": None}
    with pytest.raises(BadRequest, match="one of fast, best"):
        engine.refine(portrait, "off")
    with pytest.raises(BadRequest, match="best of this face is not computed"):
        engine.edit(portrait, request("best"))


def test_best_tells_its_progress_and_shows_how_far_it_is(
    engine: Engine, portrait: Portrait, optimiser: Optimiser
) -> None:
    told: list[Progress] = []
    seen: list[np.ndarray] = []
    neutral = EditRequest(refine="best")
    refined = engine.refine(
        portrait, "best", told.append, preview=lambda p: seen.append(engine.edit(p, neutral))
    )
    assert [p.done for p in told] == [0.25, 0.5, 0.75, 1.0]
    assert {p.step for p in told} == {"Refining"}
    assert all(p.seconds_left >= 0 for p in told)
    assert told[-1].seconds_left == 0
    assert len({picture.tobytes() for picture in seen}) == STEPS
    assert np.array_equal(seen[-1], engine.edit(refined, neutral))


def test_best_brings_the_picture_nearer_to_the_photo(refining_bundle: Bundle, photo: np.ndarray) -> None:
    engine = Engine(refining_bundle, tuning=GradientSettings(iterations=12, rate=0.03))
    portrait = engine.open_portrait(photo)
    told: list[Progress] = []
    refined = engine.refine(portrait, "best", told.append)

    def error(request: EditRequest) -> float:
        return float(((engine.edit(refined, request).astype(float) - portrait.crop) ** 2).mean())

    off, half, best = error(EditRequest()), *(error(EditRequest(refine="best", strength=s)) for s in (0.5, 1))
    assert best < half < off
    assert [p.done for p in told][-1] == 1
    assert len(told) == 12


def test_cancelling_leaves_everything_as_it_was(
    engine: Engine, portrait: Portrait, photo: np.ndarray, optimiser: Optimiser
) -> None:
    stop = threading.Event()
    optimiser.during = lambda step: stop.set()
    with pytest.raises(Cancelled, match="as it was"):
        engine.refine(portrait, "best", cancelled=stop.is_set)
    assert engine.open_portrait(photo) is portrait
    assert dict(portrait.residuals) == {}
    stop.clear()
    optimiser.during = lambda step: None
    assert "best" in engine.refine(portrait, "best").residuals


def test_too_little_memory_is_a_sentence_and_changes_nothing(
    engine: Engine, portrait: Portrait, photo: np.ndarray, optimiser: Optimiser
) -> None:
    def hungry(step: int) -> None:
        if step == 2:
            torch.empty(2**60)

    optimiser.during = hungry
    with pytest.raises(OutOfMemory, match=r"not enough memory .*\.$"):
        engine.refine(portrait, "best")
    assert engine.open_portrait(photo) is portrait
    assert engine.edit(portrait, SMILE).shape == (32, 32, 3)
    optimiser.during = lambda step: None
    assert "best" in engine.refine(portrait, "best").residuals


def test_edits_and_openings_go_on_beside_a_best_refinement(
    engine: Engine, portrait: Portrait, photo: np.ndarray, optimiser: Optimiser
) -> None:
    wanted = engine.edit(portrait, SMILE)
    seen: list[bool] = []

    def meanwhile(step: int) -> None:
        # Another thread, as another visitor's would be: a lock held by this one would stop it.
        def visit() -> None:
            engine.open_portrait(np.ascontiguousarray(photo[:, ::-1]))
            seen.append(np.array_equal(engine.edit(portrait, SMILE), wanted))

        thread = threading.Thread(target=visit, daemon=True)
        thread.start()
        thread.join(60)

    optimiser.during = meanwhile
    engine.refine(portrait, "best")
    assert seen == [True] * STEPS


@pytest.mark.parametrize("mode", ["fast", "best"])
def test_steps_run_in_the_devices_thread(
    refining_bundle: Bundle, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    threads: set[str] = set()
    original = torch.autograd.grad

    def seen(*args, **more):
        threads.add(threading.current_thread().name)
        return original(*args, **more)

    monkeypatch.setattr(torch.autograd, "grad", seen)
    plain = refining_bundle.refiners["one_stage"]
    polishing = copy.copy(plain)
    polishing.config = dataclasses.replace(plain.config, polish=2)
    bundle = dataclasses.replace(refining_bundle, refiners={"one_stage": polishing})
    engine = Engine(bundle, refiner="one_stage", tuning=GradientSettings(iterations=2))
    engine.refine(engine.open_portrait(photo), mode)
    assert threads == {engine.run(lambda: threading.current_thread().name)}


@pytest.mark.parametrize("mode", ["fast", "best"])
def test_a_step_waits_for_a_hand(
    refining_bundle: Bundle, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr(running, "LONGEST_SECONDS", 1e6)
    engine = Engine(refining_bundle, tuning=GradientSettings(iterations=1))
    portrait, ended = engine.open_portrait(photo), threading.Event()

    def refine() -> None:
        engine.refine(portrait, mode)
        ended.set()

    with engine._precedence.first():
        threading.Thread(target=refine, daemon=True).start()
        assert not ended.wait(0.5)
    assert ended.wait(60)


def test_one_best_at_a_time_and_the_same_photo_only_once(
    engine: Engine, portrait: Portrait, optimiser: Optimiser
) -> None:
    waits, told, results = threading.Event(), [], []

    def second() -> None:
        def progress(message: Progress) -> None:
            told.append(message)
            waits.set()

        results.append(engine.refine(portrait, "best", progress))

    thread = threading.Thread(target=second, daemon=True)

    def during(step: int) -> None:
        if step == 1:
            thread.start()
            assert waits.wait(60)

    optimiser.during = during
    refined = engine.refine(portrait, "best")
    thread.join(60)
    assert told[0].step == "Waiting for another portrait"
    assert optimiser.calls == 1
    assert results[0].residuals["best"] is refined.residuals["best"]
