"""What the built-in generator's pictures cost on a device, and how far they are from its readable network's.

    python -m training.judging.synthesis --bundle BUNDLE --device cuda [--profile 30]

Milliseconds, medians: of a picture as it is served (on a GPU by graphs), of the same asked for step by step,
and of the way from codes to a JPEG. "From": the px at which the first code that changes acts. PSNR (peak 255)
is to the readable network in float32 on the CPU. Asked of an H100: a picture in 1 ms, its JPEG in 4.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from core.checkpoints import load_bundle
from core.errors import BadRequest
from core.generators.mobile.folded import FoldedMobile
from core.generators.mobile.grid import remove_grid
from core.generators.mobile.network import MobileGenerator
from core.images import encode_jpeg, to_array
from core.precision import compute_dtype, device_of
from core.rendering.allocator import tune_allocator
from training.judging.grid import psnr
from training.judging.tables import number, table

RUNS, WARM_UP = 50, 5
PSI, SEED = 0.7, 0
# How far the codes that change do so from run to run.
STEP = 1e-3
# Where codes act on fewer px there is little to gain from going on with what came before them.
RESTARTED_FROM = 128


class Cost(NamedTuple):
    """Milliseconds of a picture of so many px whose codes change from `side` px on; PSNR in dB of all new."""

    size: int
    side: int
    served: float
    stepwise: float
    jpeg: float
    psnr: float | None


def costs(generator: MobileGenerator, fast: FoldedMobile, device: torch.device, runs: int) -> list[Cost]:
    """Of all sizes, from each px on; generator: on the CPU, fast: the same on the device."""
    w = generator.sample(1, PSI, SEED)
    acts_at = generator.layout.acts_at
    found = []
    for size in generator.sizes:
        kept = psnr(to_array(_exact(generator, w, size)), to_array(fast.render(w, size=size)))
        for side in sorted({acts_at[0], *(side for side in acts_at if RESTARTED_FROM <= side <= size)}):
            served, stepwise, jpeg = (
                _median_ms(way, w.to(device), acts_at.index(side), runs) for way in _ways(fast, size)
            )
            found.append(Cost(size, side, served, stepwise, jpeg, kept if side == acts_at[0] else None))
    return found


def _ways(fast: FoldedMobile, size: int | None) -> tuple[Callable[[Tensor], object], ...]:
    """Codes (1, L, D) to a picture as it is served, step by step, and to its JPEG."""

    @torch.inference_mode()
    def stepwise(w: Tensor) -> Tensor:
        return remove_grid(fast.raw(w, size=size)).float()

    return (
        lambda w: fast.render(w, size=size),
        stepwise,
        lambda w: encode_jpeg(to_array(fast.render(w, size=size))[0]),
    )


@torch.inference_mode()
def _exact(generator: MobileGenerator, w: Tensor, size: int) -> Tensor:
    return remove_grid(generator.synthesis(w, size=size))


def _median_ms(way: Callable[[Tensor], object], w: Tensor, first: int, runs: int) -> float:
    """Of a way whose codes change from the first one on."""
    times = []
    for i in range(WARM_UP + runs):
        moved = w.clone()
        moved[:, first:] += STEP * (i + 1)
        _wait(w.device)
        start = time.perf_counter()
        way(moved)
        _wait(w.device)
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times[WARM_UP:])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def profiled(fast: FoldedMobile, w: Tensor, rows: int) -> str:
    """What takes the time of a full picture, asked for step by step: a table of so many kernels."""
    _, stepwise, _ = _ways(fast, None)
    on_gpu = w.device.type == "cuda"
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    stepwise(w)
    with profile(activities=kinds) as seen:
        stepwise(w + STEP)
        _wait(w.device)
    by = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    return str(seen.key_averages().table(sort_by=by, row_limit=rows))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.judging.synthesis", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--bundle", type=Path, required=True, help="of the built-in model's family")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--runs", type=int, default=RUNS, help="of each figure")
    parser.add_argument("--profile", type=int, metavar="N", help="also the N kernels that take longest")
    args = parser.parse_args(argv)
    tune_allocator()
    device = device_of(args.device)
    generator = load_bundle(args.bundle).generator
    if not isinstance(generator, MobileGenerator):
        raise BadRequest("This measures MobileStyleGAN's pictures; the bundle has another generator.")
    fast = FoldedMobile(copy.deepcopy(generator).to(device), compute_dtype(device))
    print(f"{device}, {compute_dtype(device)}; graphs: {fast.graphs}\n")
    header = ("px", "from", "served", "step by step", "to a JPEG", "PSNR")
    rows = [
        (f"{cost.size}", f"{cost.side} px", *(number(ms, 2) for ms in cost[2:5]), number(cost.psnr, 1))
        for cost in costs(generator, fast, device, args.runs)
    ]
    print(table(header, rows))
    if args.profile:
        print(profiled(fast, generator.sample(1, PSI, SEED).to(device), args.profile))


if __name__ == "__main__":
    main()
