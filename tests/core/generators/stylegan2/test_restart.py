from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from core.config import GeneratorConfig
from core.generators.stylegan2.folded import RESTARTED_FROM
from core.generators.stylegan2.layers import run as run_layers
from core.generators.stylegan2.network import Generator
from core.generators.stylegan2.restart import KEPT, Restarts
from core.rendering.renderer import Renderer

pytestmark = pytest.mark.usefixtures("precision")

CONFIG = GeneratorConfig(resolution=256, channels=(8,) * 7, w_dim=16, z_dim=16, mapping_layers=2, code_rank=0)
CODES = CONFIG.num_codes
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def generator() -> Generator:
    torch.manual_seed(0)
    generator = Generator(CONFIG)
    for name, parameter in generator.named_parameters():
        if name.endswith(("noise_strength", "bias")):
            parameter.data += 0.2 * torch.randn_like(parameter)
    return generator


@pytest.fixture
def renderer(generator: Generator) -> Renderer:
    return Renderer(generator, CPU)


def codes(seed: int) -> Tensor:
    return torch.randn(1, CODES, 16, generator=torch.Generator().manual_seed(seed))


def changed(w: Tensor, code: int) -> Tensor:
    w = w.clone()
    w[0, code] += 1
    return w


def blocks_run(renderer: Renderer, render: Callable[[], Tensor]) -> list[int]:
    """Numbers of the blocks whose convolutions a call of `render` computes."""
    blocks = renderer._synthesizer._layers.blocks
    run: list[int] = []
    hooks = [
        block.register_forward_hook(lambda *_, n=number: run.append(n))
        for number, block in enumerate(blocks, start=1)
    ]
    render()
    for hook in hooks:
        hook.remove()
    return run


@pytest.mark.parametrize("code", range(CODES))
def test_a_changed_code_gives_the_bits_of_a_fresh_rendering(
    renderer: Renderer, generator: Generator, code: int
) -> None:
    w = codes(1)
    renderer.render(w)
    fresh = Renderer(generator, CPU)
    assert torch.equal(renderer.render(changed(w, code)), fresh.render(changed(w, code)))
    other = changed(w, code)
    assert torch.equal(renderer.render(w, w_rgb=other), fresh.render(w, w_rgb=other))
    seen_by_to_rgb = not torch.equal(renderer.render(w, w_rgb=other), renderer.render(w))
    assert seen_by_to_rgb == (code % 2 == 1)


@pytest.mark.parametrize(
    ("code", "first"),
    # 64 px is the smallest state that is kept: of block 5, which makes 128 px of it, and depends on w[:9].
    # Of code 9 on nothing before is computed, of code 11 on nothing before block 6.
    [(0, 1), (7, 1), (8, 1), (9, 5), (10, 5), (11, 6), (13, 6)],
)
def test_only_what_the_change_reaches_is_computed(renderer: Renderer, code: int, first: int) -> None:
    w = codes(2)
    renderer.render(w)
    run = blocks_run(renderer, lambda: renderer.render(changed(w, code)))
    assert run == list(range(first, CONFIG.num_blocks))


def test_colour_alone_computes_the_last_blocks(renderer: Renderer) -> None:
    w = codes(3)
    renderer.render(w)
    run = blocks_run(renderer, lambda: renderer.render(w, w_rgb=changed(w, CODES - 1)))
    assert run == [6]


def test_pictures_do_not_depend_on_what_came_before(renderer: Renderer, generator: Generator) -> None:
    fresh = Renderer(generator, CPU)
    w = codes(4)
    asked = [w, changed(w, 12), codes(5), changed(w, 13), codes(6), w, changed(codes(6), 9), changed(w, 12)]
    pictures = [renderer.render(each) for each in asked]
    for each, picture in zip(asked, pictures, strict=True):
        fresh._synthesizer._restarts = Restarts()
        assert torch.equal(fresh.render(each), picture)


def test_a_batch_and_a_small_generator_keep_nothing(renderer: Renderer) -> None:
    both = torch.cat([codes(7), codes(8)])
    apart = torch.cat([renderer.render(codes(7)), renderer.render(codes(8))])
    torch.testing.assert_close(renderer.render(both), apart, atol=0.1, rtol=0.1)
    small = GeneratorConfig(resolution=128, channels=(4,) * 6, w_dim=8, z_dim=8, mapping_layers=1)
    assert small.resolution < RESTARTED_FROM
    renderer = Renderer(Generator(small), CPU)
    w = torch.randn(1, small.num_codes, 8)
    renderer.render(w)
    assert blocks_run(renderer, lambda: renderer.render(w)) == [1, 2, 3, 4, 5]


def test_no_more_than_the_last_pictures_are_kept(generator: Generator) -> None:
    restarts = Restarts()
    all_codes = [codes(seed) for seed in range(KEPT + 1)]
    for w in all_codes:
        run_layers(generator.layers, w, seen=restarts.record(w, w))
    assert restarts.find(all_codes[0], all_codes[0]) is None
    for w in all_codes[1:]:
        state = restarts.find(w, w)
        assert state is not None
        assert state.block == CONFIG.num_blocks - 1
    assert restarts.find(codes(99), codes(99)) is None
