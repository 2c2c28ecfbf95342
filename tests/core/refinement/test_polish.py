"""Direct optimisation of tokens: it helps, it stops in time, it leaves everything else alone."""

import pytest
import torch
from torch import Tensor

from core.config import GeneratorConfig
from core.generators.residual import LowRank
from core.generators.stylegan2.network import Generator
from core.models.style_transformer import StyleTransformer
from core.network_config import InverterConfig
from core.refinement import polish as module
from core.refinement.losses import LossWeights
from core.refinement.polish import polish
from core.rendering.renderer import Renderer

pytestmark = pytest.mark.usefixtures("precision")

CONFIG = GeneratorConfig(resolution=16, channels=(8, 8, 4), w_dim=8, z_dim=8, mapping_layers=1)
INVERTER = InverterConfig(
    num_codes=CONFIG.num_codes,
    w_dim=8,
    input_resolution=16,
    stem_width=16,
    widths=(16, 16, 16, 16),
    units=(1, 1, 1, 1),
    heads=1,
    feedforward=8,
    mapping_layers=1,
)


class Scene:
    """A tiny generator and a photo that some other code makes."""

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.generator = Generator(CONFIG).eval().requires_grad_(False)
        self.inverter = StyleTransformer(INVERTER).eval().requires_grad_(False)
        self.renderer = Renderer(self.generator, torch.device("cpu"))
        with torch.inference_mode():
            self.code = torch.randn(CONFIG.num_codes, 8)
            self.image = self.renderer.render(torch.randn(1, CONFIG.num_codes, 8)).clamp(-1, 1)
        self.start = LowRank(
            (None, *((torch.zeros(2, o), torch.randn(2, i) * 0.1) for o, i in CONFIG.low_rank[1:]))
        )

    def polish(self, steps: int) -> LowRank:
        return polish(self.renderer.synthesis, self.inverter, self.start, self.image, self.code, steps)

    def error(self, residual: LowRank) -> float:
        picture = self.renderer.render(self.code[None], residual)
        return float((picture - self.image).square().mean())


def tensors(residual: LowRank) -> list[Tensor]:
    return [token for pair in residual.tokens if pair is not None for token in pair]


def test_more_steps_come_nearer() -> None:
    scene = Scene()
    errors = [scene.error(scene.polish(steps)) for steps in (0, 5, 25)]
    assert errors[2] < 0.9 * errors[1] < 0.9 * errors[0]


def test_no_steps_change_nothing() -> None:
    scene = Scene()
    assert scene.polish(0) is scene.start


def test_the_start_stays_and_equal_arguments_give_equal_bits() -> None:
    scene = Scene()
    before = [token.clone() for token in tensors(scene.start)]
    first, second = scene.polish(3), scene.polish(3)
    assert all(torch.equal(a, b) for a, b in zip(before, tensors(scene.start), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(tensors(first), tensors(second), strict=True))
    assert first.tokens[0] is None
    assert not any(token.requires_grad for token in tensors(first))


def test_further_tokens_join_those_that_were_there() -> None:
    scene = Scene()
    for before, found in zip(scene.start.tokens[1:], scene.polish(2).tokens[1:], strict=True):
        assert before is not None
        assert found is not None
        for old, new in zip(before, found, strict=True):
            assert torch.equal(new[: len(old)], old)
            assert len(new) == len(old) + module.FRESH
            assert new[len(old) :].abs().sum() > 0


def test_one_step_is_adams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adam's first step is rate * sign(gradient), the gradient taken here from the squared error alone.

    It moves P only: of Q there is no gradient while P is zero.
    """
    scene = Scene()
    monkeypatch.setattr(module, "WEIGHTS", LossWeights(pixel=1.0, perceptual=0.0))
    random = torch.Generator().manual_seed(module.SEED)
    pairs, leaves = [None], []
    for before in scene.start.tokens[1:]:
        assert before is not None
        p = torch.zeros(module.FRESH, before[0].shape[1], requires_grad=True)
        q = torch.randn(module.FRESH, before[1].shape[1], generator=random) * module.SPREAD
        pairs.append((torch.cat([before[0], p])[None], torch.cat([before[1], q])[None]))
        leaves.append((p, q))
    error = (scene.renderer.synthesis(scene.code.clone()[None], pairs) - scene.image.clone()).square().mean()
    error.backward()
    for (p, q), found in zip(leaves, scene.polish(1).tokens[1:], strict=True):
        assert found is not None
        moved, kept = found[0][-module.FRESH :], found[1][-module.FRESH :]
        clear = p.grad.abs() > 1e-2 * p.grad.abs().max()  # elsewhere rounding decides the sign
        assert clear.float().mean() > 0.5
        torch.testing.assert_close(moved[clear], -module.RATE * p.grad.sign()[clear], atol=1e-4, rtol=0)
        assert torch.equal(kept, q)


@pytest.mark.parametrize("broken", [1, 3])
def test_numbers_that_are_none_give_back_what_was_there(broken: int) -> None:
    """The synthesis breaks at its first call, or after two steps."""
    scene, calls = Scene(), 0

    def synthesis(w: Tensor, pairs: object) -> Tensor:
        nonlocal calls
        calls += 1
        picture = scene.renderer.synthesis(w, pairs)
        return picture * float("nan") if calls >= broken else picture

    found = polish(synthesis, scene.inverter, scene.start, scene.image, scene.code, 5)
    assert all(token.isfinite().all() for token in tensors(found))
    if broken == 1:
        assert found is scene.start
    else:
        assert scene.error(found) < scene.error(scene.start)
