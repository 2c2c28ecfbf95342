"""Refining what descent opened: no network predicts anything, and the code is found well enough first."""

import dataclasses

import numpy as np
import pytest
import torch

from core import opening
from core.checkpoints import Bundle
from core.config import FFHQ_TEMPLATE, BundleConfig, MobileConfig
from core.engine import Engine
from core.errors import Cancelled
from core.faces.dlib_network import DlibFaceNetwork
from core.generators.registry import build_generator
from core.generators.residual import LowRank, WeightShift
from core.images import to_tensor
from core.inversion import descents
from core.inversion.descents import Descents
from core.inversion.whitening import Whitening
from core.models.lpips import Lpips
from core.refinement.gradient_modules import GradientSettings
from core.refinement.running import Progress
from core.session import EditRequest, Portrait, View

SIDE, SETTLED = 64, 6
FACE = EditRequest(view=View("inversion", "face"))


@pytest.fixture
def bundle() -> Bundle:
    torch.manual_seed(0)
    generator = build_generator(MobileConfig(128, (8, 8, 8, 8, 4), w_dim=10, z_dim=10, mapping_layers=1))
    for name, parameter in generator.named_parameters():
        if name.endswith(("affine.bias", "up.bias")):  # else the fixed noise is nearly all of the picture
            parameter.data.fill_(1.0 if "up" in name else 6.0)
    generator.w_basis.copy_(torch.randn(10, 10) / 3)
    config = BundleConfig(
        name="mobile",
        title="Mobile",
        version="1",
        generator=generator.config,
        inverter=None,
        classifier=None,
        template=FFHQ_TEMPLATE,
        attributes=(),
    )
    return Bundle.of(config, generator.eval().requires_grad_(False))


@pytest.fixture
def engine(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> Engine:
    networks = DlibFaceNetwork(4, ((4, 1, False), (6, 1, True), (7, 1, True)), 8), Lpips((3, 4, 4, 4, 4))
    for network in networks:
        network.requires_grad_(False).eval()
    monkeypatch.setattr(descents, "SIZE", SIDE)
    monkeypatch.setattr(opening, "SETTLED_STEPS", {"fast": SETTLED, "best": SETTLED})
    synthesis = bundle.generator.descended(SIDE, torch.float32)
    made = Descents(synthesis, Whitening.of(bundle.generator), *networks)
    monkeypatch.setattr(Engine, "_descents", lambda self, bundle: made)
    engine = Engine(bundle, tuning=GradientSettings(iterations=40, preview_every=20))
    engine._precedence._quiet = 0.0
    return engine


@pytest.fixture
def portrait(engine: Engine, photo: np.ndarray) -> Portrait:
    return engine.open_portrait(photo, steps=2)


def steps(engine: Engine, portrait: Portrait) -> int:
    """Of the portrait's descent, all in all."""
    return engine._opener._seeker._pursuits.get(portrait.key).steps


@pytest.mark.parametrize(("mode", "kind"), [("fast", LowRank), ("best", WeightShift)])
def test_both_ways_bring_the_picture_nearer(
    engine: Engine, portrait: Portrait, mode: str, kind: type
) -> None:
    assert dict(engine.refinements) == {"fast": None, "best": None}

    refined = engine.refine(portrait, mode)

    assert isinstance(refined.residuals[mode], kind)
    off, on = (
        to_tensor(engine.edit(refined, dataclasses.replace(FACE, refine=way))) for way in ("off", mode)
    )
    wanted = to_tensor(refined.crop)
    assert (on - wanted).square().mean() < 0.97 * (off - wanted).square().mean()


def test_the_code_is_found_first_and_only_once(engine: Engine, portrait: Portrait) -> None:
    assert steps(engine, portrait) == 2

    fast = engine.refine(portrait, "fast")
    assert steps(engine, portrait) == SETTLED
    assert not torch.equal(fast.w_plus, portrait.w_plus)

    best = engine.refine(fast, "best")
    assert steps(engine, portrait) == SETTLED
    assert best.w_plus is fast.w_plus

    # Whoever refines another way first has nothing to wait for.
    engine._precedence._quiet = 1e6
    again = dataclasses.replace(fast, residuals={}, bases={})
    assert engine.refine(again, "fast").w_plus is fast.w_plus
    assert set(best.residuals) == {"fast", "best"}


def test_progress_says_what_goes_on_and_cancelling_leaves_the_portrait(
    engine: Engine, portrait: Portrait
) -> None:
    told: list[Progress] = []
    for stop in ("Finding the face", "Refining"):
        told.clear()
        with pytest.raises(Cancelled):
            engine.refine(portrait, "best", told.append, lambda: told[-1].step == stop)  # noqa: B023
        assert told[-1].step == stop
    assert dict(portrait.residuals) == {}

    told.clear()
    engine.refine(engine.open_portrait(portrait.photo[:, ::-1].copy(), steps=2), "fast", told.append)
    assert list(dict.fromkeys(progress.step for progress in told)) == ["Finding the face", "Refining"]
    assert told[-1].done == 1.0


def test_fast_on_the_way_to_best_tells_nothing_of_its_own(
    engine: Engine, portrait: Portrait, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its seconds left would be none while best has not begun."""
    fast, told = engine.refine(portrait, "fast"), list[Progress]()
    monkeypatch.setattr(opening, "SETTLED_STEPS", {"fast": SETTLED, "best": SETTLED + 2})
    best = engine.refine(fast, "best", told.append)
    assert not torch.equal(best.w_plus, fast.w_plus)
    assert set(best.residuals) == {"fast", "best"}
    done = [progress.done for progress in told if progress.step == "Refining"]
    assert done == sorted(done)
    assert len(set(done)) == len(done) > 1
