"""Tokens found by descent: Adam's formula, a photo that comes nearer, and when it ends early."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from core.errors import Cancelled
from core.generators.mobile.config import MobileConfig
from core.generators.mobile.network import MobileGenerator
from core.generators.residual import LowRank, WeightShift
from core.refinement.tokens import DampedAdam, TokenSettings, find_tokens

CONFIG = MobileConfig(32, (8, 8, 4), w_dim=6, z_dim=6, mapping_layers=1)
KERNELS = ((8, 8), (8, 2), (8, 8), (4, 2), (4, 4))
SETTINGS = TokenSettings(steps=12, tokens=3, rate=0.02)


class Scene:
    """A tiny generator, a code, and a photo that the generator makes of it with other kernels."""

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.generator = MobileGenerator(CONFIG).eval().requires_grad_(False)
        with torch.inference_mode():
            self.code = torch.randn(CONFIG.num_codes, 6)
        kernels = self.generator.kernels().values()
        others = WeightShift(tuple(0.3 * torch.randn_like(kernel) for kernel in kernels))
        self.photo = self.generator.synthesis(self.code[None].clone(), residual=others)

    def likeness(self, picture: Tensor) -> dict[str, Tensor]:
        return {"squared": (picture - self.photo).square().mean()}

    def find(self, likeness: Callable[[Tensor], dict[str, Tensor]] | None = None, **more) -> LowRank:
        picture = self.generator.tuned(CONFIG.resolution, torch.float32)
        kernels, wanted = self.generator.low_rank, likeness or self.likeness
        return find_tokens(picture, kernels, wanted, self.code, SETTINGS, **more)

    def error(self, residual: LowRank | None) -> float:
        picture = self.generator.synthesis(self.code[None].clone(), residual=residual)
        return float((picture - self.photo).square().mean())


def test_steps_are_adams_with_damped_squares() -> None:
    torch.manual_seed(0)
    settings = TokenSettings(rate=0.1, betas=(0.7, 0.9), damping=0.3)
    leaf, gradients = torch.randn(4, 5), torch.randn(3, 4, 5)
    expected, mean, square = leaf.double(), torch.zeros(4, 5).double(), torch.zeros(4, 5).double()
    adam = DampedAdam([leaf], settings)

    for t, gradient in enumerate(gradients, start=1):
        adam.step([gradient], pace=0.5)
        mean = 0.7 * mean + 0.3 * gradient.double()
        square = 0.9 * square + 0.1 * gradient.double() ** 2
        unbiased = square / (1 - 0.9**t)
        size = (unbiased + 0.3 * unbiased.mean()).sqrt()
        expected = expected - 0.1 * 0.5 * mean / (1 - 0.7**t) / size

    torch.testing.assert_close(leaf.double(), expected, rtol=1e-5, atol=1e-6)


def test_the_pace_grows_and_then_falls() -> None:
    settings = TokenSettings(steps=20, warm_up=4)
    paces = [settings.pace(step) for step in range(20)]
    assert paces[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert paces[10:] == pytest.approx([(20 - step) / 10 for step in range(10, 20)])


def test_the_photo_comes_nearer_and_equal_arguments_give_equal_bits() -> None:
    scene = Scene()
    before = {name: value.clone() for name, value in scene.generator.state_dict().items()}
    found, again = scene.find(), scene.find()

    assert scene.error(found) < 0.8 * scene.error(None)
    assert [(p.shape, q.shape) for p, q in found.tokens] == [((3, o), (3, i)) for o, i in KERNELS]
    for pair, other in zip(found.tokens, again.tokens, strict=True):
        assert all(torch.equal(a, b) and not a.requires_grad for a, b in zip(pair, other, strict=True))
    assert all(torch.equal(value, before[name]) for name, value in scene.generator.state_dict().items())


def test_a_loss_that_is_no_number_ends_it_with_what_was_reached() -> None:
    scene, calls = Scene(), []

    def broken(picture: Tensor) -> dict[str, Tensor]:
        calls.append(scene.likeness(picture))
        return {"squared": calls[-1]["squared"] * (float("nan") if len(calls) == 7 else 1.0)}

    found = scene.find(broken)

    assert len(calls) == 7
    errors = [float(call["squared"].detach()) for call in calls]
    assert scene.error(found) == pytest.approx(errors[5], rel=1e-4)
    assert errors[5] < errors[0]


def test_progress_is_told_and_cancelling_ends_it() -> None:
    scene, told = Scene(), []
    scene.find(progress=lambda done, total: told.append((done, total)))
    assert told == [(step, 12) for step in range(1, 13)]

    steps: list[int] = []
    with pytest.raises(Cancelled):
        scene.find(progress=lambda done, total: steps.append(done), cancelled=lambda: len(steps) == 3)
    assert steps == [1, 2, 3]


def test_every_step_runs_where_it_is_told_to_and_nobody_is_told_there() -> None:
    scene, inside, ran, told = Scene(), [], [], []

    def run(job):
        inside.append(True)
        found = job()
        ran.append(inside.pop())
        return found

    found = scene.find(progress=lambda *_: told.append((len(ran), len(inside))), run=run)
    assert told == [(step + 1, 0) for step in range(1, 13)]  # one job before the steps
    for pair, other in zip(found.tokens, scene.find().tokens, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(pair, other, strict=True))
