"""Modules against a plain formula, what their layers share, and a small portrait refined from end to end."""

import contextlib
import dataclasses

import pytest
import torch
from torch import Tensor

from core.checkpoints import Bundle
from core.generators.residual import WeightShift
from core.generators.stylegan2.network import Generator
from core.models.inverter import invert
from core.models.style_transformer import StyleTransformer
from core.refinement import gradient_modules, losses, optimise
from core.refinement.gradient_modules import (
    GradientModules,
    GradientSettings,
    ModifiedGradients,
    refine_weights,
)
from core.refinement.losses import LossWeights, picture_loss
from core.refinement.optimise import KernelAdam
from core.rendering.renderer import Renderer

SHAPES = [torch.Size(s) for s in ((6, 6, 3, 3), (6, 6, 3, 3), (4, 6, 3, 3), (4, 4, 3, 3))]
QUICK = GradientSettings(iterations=12, preview_every=5)


def refine(
    generator: Generator,
    inverter: StyleTransformer,
    photo: Tensor,
    w_plus: Tensor,
    settings: GradientSettings = QUICK,
) -> WeightShift:
    likeness = picture_loss(inverter, photo, settings.weights, None)
    return refine_weights(generator, likeness, w_plus, settings)


def random_tensors(seed: int, size: float = 1.0) -> list[Tensor]:
    random = torch.Generator().manual_seed(seed)
    return [size * torch.randn(shape, generator=random) for shape in SHAPES]


def plain_module(modules: GradientModules, index: int, gradient: Tensor) -> Tensor:
    """One convolution's correction, position by position, in float64."""
    x = gradient.double()
    o, i = (str(n) for n in gradient.shape[:2])
    for block in modules.blocks:
        size = x.square().mean().sqrt()
        hidden = torch.einsum("ji,oihw->ojhw", block.first[i].double(), x / size)
        hidden = hidden + block.bias[i].double()[None, :, None, None]
        hidden = torch.where(hidden > 0, hidden, 0.2 * hidden)
        y = x / size + torch.einsum("po,oihw->pihw", block.second[o].double(), hidden)
        x = size * block.scale[index].double() * y / y.square().mean().sqrt()
    return x


@pytest.mark.parametrize("blocks", [1, 3])
def test_modules_are_those_of_the_formula(blocks: int) -> None:
    modules = GradientModules(SHAPES, GradientSettings(blocks=blocks, start=0.7))
    for block in modules.blocks:
        for index, scale in enumerate(block.scale):
            scale.data.fill_(1.5 - 0.1 * index)
    gradients = random_tensors(1, 0.01)
    for index, (gradient, found) in enumerate(zip(gradients, modules(gradients), strict=True)):
        assert found.shape == gradient.shape
        torch.testing.assert_close(
            found.double(), plain_module(modules, index, gradient), rtol=1e-3, atol=1e-6
        )


def test_untrained_modules_hand_the_gradient_on() -> None:
    gradients = random_tensors(1)
    for gradient, found in zip(
        gradients, GradientModules(SHAPES, GradientSettings())(gradients), strict=True
    ):
        assert 0 < (found - gradient).norm() < 0.1 * gradient.norm()


def test_operators_are_shared_by_width_and_drawn_from_the_seed_alone() -> None:
    state = torch.random.get_rng_state()
    modules, again = (GradientModules(SHAPES, GradientSettings(blocks=2)) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), state)
    # Input widths 6 and 4, output widths 6 and 4: an operator and a bias each, an operator each.
    one_block = (36 + 6 + 16 + 4) + (36 + 16) + len(SHAPES)
    assert sum(p.numel() for p in modules.parameters()) == 2 * one_block
    assert all(torch.equal(a, b) for a, b in zip(modules.parameters(), again.parameters(), strict=True))


def test_one_step_teaches_modules_and_accumulates_the_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradient_modules, "half_precision", lambda device: contextlib.nullcontext())
    kernels, settings = random_tensors(0), GradientSettings(rate=0.01, module_rate=0.02)
    correction, plain = ModifiedGradients(kernels, settings), KernelAdam(kernels, 0.01)
    # Nothing accumulated, nothing corrected, but for what keeps lengths from being zero.
    assert all(shift.abs().max() < 1e-9 for shift in correction.shifts())
    modules = GradientModules(SHAPES, settings)
    for seed in (3, 4):
        gradients = random_tensors(seed)
        made = modules(plain.values)
        wanted = torch.autograd.grad(
            sum((m * g).sum() for m, g in zip(made, gradients, strict=True)), list(modules.parameters())
        )
        correction.shifts()
        correction.learn(gradients, pace=0.5)
        plain.step(gradients, 0.5)
        if seed == 3:
            # Whatever the modules are, they are given zeros: no gradient, so Adam leaves them alone.
            assert all(w.abs().max() < 1e-9 for w in wanted)
    # The first real step of Adam: a sign's worth (its average began with a step of zeros).
    before = {name: p.detach().clone() for name, p in modules.named_parameters()}
    moved = 0
    for (name, parameter), gradient in zip(correction.modules.named_parameters(), wanted, strict=True):
        step = parameter.detach() - before[name]
        moved += int((step * gradient < 0).sum())
        assert ((step * gradient) <= 0).all(), name
    assert moved > 0
    made = modules.requires_grad_(False)
    made.load_state_dict(correction.modules.state_dict())
    for found, expected in zip(correction.shifts(), made(plain.values), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.usefixtures("precision")
def test_a_refined_portrait_is_nearer_to_the_photo_and_the_networks_are_as_before(
    tiny_bundle: Bundle,
) -> None:
    generator, inverter = tiny_bundle.generator, tiny_bundle.inverter
    before = {k: v.clone() for net in (generator, inverter) for k, v in net.state_dict().items()}
    photo = generator.synthesis(generator.sample(1, seed=4)) + 0.3
    w_plus = invert(generator, inverter, photo)[0]
    found = refine(generator, inverter, photo, w_plus)
    assert [s.shape for s in found.shifts] == [c.weight.shape for c in generator.convolutions()]
    renderer = Renderer(generator, torch.device("cpu"))
    off, best = (
        float((renderer.render(w_plus[None], residual) - photo).square().mean()) for residual in (None, found)
    )
    assert best < 0.8 * off
    now = {k: v for net in (generator, inverter) for k, v in net.state_dict().items()}
    assert all(torch.equal(now[k], v) for k, v in before.items())
    assert all(p.grad is None for net in (generator, inverter) for p in net.parameters())


@pytest.mark.usefixtures("precision")
def test_equal_arguments_give_equal_bits_and_chance_stays_ours(tiny_bundle: Bundle) -> None:
    generator, inverter = tiny_bundle.generator, tiny_bundle.inverter
    with torch.inference_mode():  # as the engine makes them
        w_plus = generator.sample(1, seed=5)[0]
        photo = generator.synthesis(generator.sample(1, seed=6))
    state, found = torch.random.get_rng_state(), []
    for _ in range(2):
        residual = refine(generator, inverter, photo, w_plus)
        found.append(residual.shifts)
        torch.manual_seed(len(found))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    torch.random.set_rng_state(state)
    refine(generator, inverter, photo, w_plus, dataclasses.replace(QUICK, iterations=2))
    assert torch.equal(torch.random.get_rng_state(), state)
    other = refine(generator, inverter, photo, w_plus, dataclasses.replace(QUICK, seed=1))
    assert not torch.equal(other.shifts[-1], found[0][-1])


@pytest.mark.usefixtures("precision")
def test_locality_keeps_other_faces_where_they_were(tiny_bundle: Bundle) -> None:
    generator, inverter = tiny_bundle.generator, tiny_bundle.inverter
    photo = generator.synthesis(generator.sample(1, seed=4)) + 0.3
    w_plus = generator.sample(1, seed=5)[0]
    others = generator.sample(8, seed=99)
    renderer = Renderer(generator, torch.device("cpu"))
    drifts = []
    for locality in (0.0, 20.0):
        settings = dataclasses.replace(QUICK, weights=LossWeights(locality=locality))
        residual = refine(generator, inverter, photo, w_plus, settings)
        change = renderer.render(others, residual) - renderer.render(others)
        drifts.append(float(change.square().mean()))
    assert drifts[1] < 0.7 * drifts[0]


def test_the_objective_works_without_half_precision(
    tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (optimise, losses):
        monkeypatch.setattr(module, "gradient_dtype", lambda device: torch.float32)
    monkeypatch.setattr(gradient_modules, "half_precision", lambda device: contextlib.nullcontext())
    generator = tiny_bundle.generator
    photo = generator.synthesis(generator.sample(1, seed=4))
    settings = dataclasses.replace(QUICK, iterations=2)
    found = refine(generator, tiny_bundle.inverter, photo, generator.w_mean, settings)
    assert all(shift.dtype == torch.float16 for shift in found.shifts)
