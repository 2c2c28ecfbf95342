import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from core.checkpoints import Bundle
from core.generators.family import CodeLayout
from core.generators.residual import WeightShift
from core.rendering import renderer as render
from core.rendering.renderer import Renderer

CPU = torch.device("cpu")


@dataclasses.dataclass
class Family:
    """A generator of which it is written down how it is called; every picture is white."""

    layout: CodeLayout
    sizes: tuple[int, ...] = (8, 16)
    w_mean: Tensor = dataclasses.field(default_factory=lambda: torch.ones(3, 4))
    calls: list[tuple[Any, ...]] = dataclasses.field(default_factory=list)
    dtype: torch.dtype | None = None

    def folded(self, dtype: torch.dtype) -> "Family":
        self.dtype = dtype
        return self

    def render(self, *arguments: Any) -> Tensor:
        assert torch.is_inference_mode_enabled()
        self.calls.append(arguments)
        return torch.ones(len(arguments[0]), 3, 16, 16)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_family_folds_itself_in_the_devices_precision(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render, "compute_dtype", lambda device: dtype)
    family = Family(CodeLayout((4, 4, 8)))
    renderer = Renderer(family, CPU)
    assert family.dtype == renderer.dtype == dtype
    # Every size is warm before anybody waits for it.
    assert {size for *_, size in family.calls} == {8, 16}
    assert all(torch.equal(w, torch.ones(1, 3, 4)) for w, *_ in family.calls)


@pytest.mark.parametrize("colour", [(), (1,)])
def test_colour_codes_reach_only_a_family_that_has_them(colour: tuple[int, ...]) -> None:
    family = Family(CodeLayout((4, 4, 8), colour))
    renderer = Renderer(family, CPU)
    w, w_rgb = torch.randn(2, 2, 3, 4, dtype=torch.float64)
    residual = WeightShift(())
    renderer.render(w, residual, 0.5, w_rgb, 8)
    given, given_rgb, *rest = family.calls[-1]
    assert given.dtype == torch.float32
    assert torch.equal(given, w.float())
    assert rest == [residual, 0.5, 8]
    assert torch.equal(given_rgb, w_rgb.float()) if colour else given_rgb is None


def test_the_same_code_gives_the_same_bits_whatever_came_between(tiny_bundle: Bundle) -> None:
    codes = tiny_bundle.generator.sample(3, 1.0, seed=5)
    renderer = Renderer(tiny_bundle.generator, CPU)
    first = renderer.render(codes[:1])
    kept = first.clone()
    renderer.render(codes[1:])
    assert torch.equal(renderer.render(codes[:1]), kept)
    assert torch.equal(first, kept)  # no buffer is handed out twice


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_both_pictures_are_those_of_two_calls(device: str) -> None:
    """Side by side on a CPU, one after the other elsewhere."""
    family = Family(CodeLayout((4, 4, 8), (1,)))
    renderer = Renderer(family, torch.device(device))
    w, w_rgb, residual = torch.zeros(1, 3, 4), torch.zeros(1, 3, 4), WeightShift(())
    family.calls.clear()
    pictures = renderer.both(w, residual, 0.5, w_rgb, 8)
    assert len(pictures) == 2
    calls = sorted((given[2:] for given in family.calls), key=lambda rest: rest[0] is not None)
    assert calls == [(None, 1.0, 8), (residual, 0.5, 8)]
