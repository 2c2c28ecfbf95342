"""Triton's kernels against plain formulas and their readable twins: by its interpreter, or on a GPU's own.

The formulas are in float64 on the CPU. Where there is no GPU, that the kernels compile for one is tested too.
"""

import dataclasses
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from core.generators.mobile import folded
from core.generators.mobile.config import MobileConfig
from core.generators.mobile.folded import FoldedMobile
from core.generators.mobile.passes import PLAIN, Passes, Rows

from .conftest import TINY, randomised

pytest.importorskip("triton", reason="Triton is not installed, which there is for Linux alone")

ROOT = Path(__file__).resolve().parents[4]
MODULE = "core.generators.mobile.fused"
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
# One rounding, and what a sum in float32 leaves.
ROUNDING = {torch.float32: 2.0**-20, torch.float16: 2.0**-10, torch.bfloat16: 2.0**-7}


@pytest.fixture(scope="module")
def fused() -> Iterator[Passes]:
    """The kernels, read anew: Triton asks whether to interpret them when it sees their source."""
    with pytest.MonkeyPatch.context() as patch:
        if DEVICE.type == "cpu":
            patch.setenv("TRITON_INTERPRET", "1")
        patch.delitem(sys.modules, MODULE, raising=False)
        yield importlib.import_module(MODULE).Fused()
        sys.modules.pop(MODULE)


def draw(seed: int, *shape: int) -> Tensor:
    """Normal, float64, on the CPU; maps of four dimensions channels last."""
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return drawn.contiguous(memory_format=torch.channels_last) if drawn.ndim == 4 else drawn


def spread_plainly(x: Tensor, style: Tensor, taps: Tensor) -> Tensor:
    """Pixel by pixel, float64: (1, 4C, H, W), (4C,), (C, 1, 3, 3) -> (1, C, 2H, 2W)."""
    channels, height, width = x.shape[1] // 4, x.shape[2], x.shape[3]
    a, h, v, d = (x[0] * style[:, None, None]).unflatten(0, (4, channels))
    haar = torch.zeros(channels, 2 * height + 2, 2 * width + 2, dtype=torch.float64)
    for r in range(2 * height):
        for c in range(2 * width):
            of = ..., r // 2, c // 2
            across, along = (-1) ** r, (-1) ** c
            haar[:, r + 1, c + 1] = a[of] + across * h[of] + along * v[of] + across * along * d[of]
    out = torch.zeros(1, channels, 2 * height, 2 * width, dtype=torch.float64)
    for r in range(2 * height):
        for c in range(2 * width):
            out[0, :, r, c] = (haar[:, r : r + 3, c : c + 3] * taps[:, 0]).sum((1, 2))
    return out


def near(found: Tensor, exact: Tensor, dtype: torch.dtype) -> None:
    assert found.dtype == dtype
    assert found.is_contiguous(memory_format=torch.channels_last)
    step = ROUNDING[dtype]
    torch.testing.assert_close(found.cpu().double(), exact, rtol=step, atol=step * float(exact.abs().max()))


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize(
    ("channels", "height", "width"), [(1, 1, 1), (3, 5, 7), (8, 4, 4), (33, 2, 3), (40, 9, 6), (64, 3, 11)]
)
def test_spread(fused: Passes, channels: int, height: int, width: int, dtype: torch.dtype) -> None:
    # Rounded first, so that all start from the same numbers.
    x = draw(1, 1, 4 * channels, height, width).to(dtype)
    style, taps = draw(2, 4 * channels).float(), draw(3, channels, 1, 3, 3).float()
    exact = spread_plainly(x.double(), style.double(), taps.double())
    whole = Rows(0, 2 * height, 2 * height)
    torch.testing.assert_close(PLAIN.spread(x.double(), style.double(), taps.double(), whole), exact)
    near(fused.spread(x.to(DEVICE), style.to(DEVICE), taps.to(DEVICE), whole), exact, dtype)


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize(("first", "last"), [(0, 9), (7, 13), (11, 20), (0, 1), (19, 20)])
def test_spread_of_some_rows(fused: Passes, first: int, last: int, dtype: torch.dtype) -> None:
    """Zeros lie around the picture, and not around rows in the middle of it."""
    x, style, taps = draw(4, 1, 20, 10, 3).to(dtype), draw(5, 20).float(), draw(6, 5, 1, 3, 3).float()
    exact = spread_plainly(x.double(), style.double(), taps.double())[:, :, first:last]
    rows = Rows(first, last, 20)
    seen = rows.wider(1)
    assert seen.first % 2 == seen.last % 2 == 0  # whole cells
    part = x[:, :, seen.first // 2 : seen.last // 2]
    torch.testing.assert_close(PLAIN.spread(part.double(), style.double(), taps.double(), rows), exact)
    near(fused.spread(part.to(DEVICE), style.to(DEVICE), taps.to(DEVICE), rows), exact, dtype)


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("side", [1, 3])
@pytest.mark.parametrize(("channels", "height", "width"), [(1, 1, 1), (5, 3, 7), (33, 4, 2), (96, 5, 5)])
def test_mixed(fused: Passes, channels: int, height: int, width: int, side: int, dtype: torch.dtype) -> None:
    x, kernel = draw(7, 1, 6, height, width).to(dtype), draw(8, channels, 6, side, side).to(dtype)
    bias, noise = draw(9, channels).to(dtype), draw(10, 1, 1, height, width).to(dtype)
    total = torch.nn.functional.conv2d(x.double(), kernel.double(), padding=side // 2)
    total = total + noise.double() + bias.double()[:, None, None]
    exact = torch.where(total >= 0, total, 0.2 * total)
    torch.testing.assert_close(PLAIN.mixed(*(t.double() for t in (x, kernel, bias, noise))), exact)
    with torch.backends.cudnn.flags(allow_tf32=False):
        found = fused.mixed(*(t.to(DEVICE) for t in (x, kernel, bias, noise)))
    near(found, exact, dtype)


@pytest.mark.parametrize("strips", [True, False])
@pytest.mark.parametrize("size", [16, 32, 64])
def test_the_whole_synthesizer(
    fused: Passes, monkeypatch: pytest.MonkeyPatch, size: int, strips: bool
) -> None:
    monkeypatch.setattr(folded, "STRIP", 8)
    monkeypatch.setattr(folded, "STRIPS_FROM", 16 if strips else 1024)
    generator = randomised(dataclasses.replace(TINY, previews=(16,)))
    w = draw(11, 2, generator.config.num_codes, generator.config.w_dim)
    wanted = generator.synthesis(w, size=size)
    fast = FoldedMobile(generator.float().to(DEVICE), torch.float32, fused)
    found = fast.raw(w, size=size).cpu()
    assert (found - wanted).abs().mean() <= 1e-5 * wanted.abs().mean().clamp(min=1)


def test_the_whole_synthesizer_in_half_precision(fused: Passes) -> None:
    generator = randomised(MobileConfig(128, (8, 8, 8, 8, 6), w_dim=10, z_dim=7), torch.float32)
    w = draw(12, 1, 10, 10).float()
    wanted = generator.synthesis(w)
    found = FoldedMobile(generator.to(DEVICE), torch.float16, fused).raw(w).cpu()
    assert (found - wanted).abs().mean() <= 0.01 * wanted.abs().mean()


COMPILED = """
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile
from core.generators.mobile import fused

def compiled(kernel, numbers, sizes, constants):
    kinds = numbers | {size: "i32" for size in sizes} | {name: "constexpr" for name in constants}
    source = ASTSource(fn=kernel, signature=kinds, constexprs=constants)
    print(len(compile(source, target=GPUTarget("cuda", 90, 32)).asm["cubin"]))

for kind in ("*fp32", "*fp16"):
    maps = {"x": kind, "style": "*fp32", "taps": "*fp32", "out": kind}
    compiled(fused._spread, maps, ("height", "width", "channels", "above", "made"), {"cells": 16, "side": 32})
    maps = {"x": kind, "noise": kind, "bias": kind}
    compiled(fused._finish, maps, ("pixels", "channels"), {"slope": 0.2, "cells": 64, "side": 32})
"""


def test_they_compile_for_a_gpu_that_is_not_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """For an H100; in a process of its own, where they are not interpreted."""
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    ran = subprocess.run([sys.executable, "-c", COMPILED], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert len(ran.stdout.split()) == 4
    assert all(int(size) > 1000 for size in ran.stdout.split())
