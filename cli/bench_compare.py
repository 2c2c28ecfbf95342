"""Our generator and a published one's own code, in turn, on the same codes: ratios, from one run."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from core.engine import Engine
from core.errors import BadRequest

# What tells a checkout: files that the others do not have.
CHECKOUTS = {
    "nvidia": ("training/networks.py", "torch_utils/ops/bias_act.py"),
    "rosinality": ("model.py", "op/upfirdn2d.py"),
    "mobilestylegan": ("core/models/mobile_synthesis_network.py",),
}
NAMES = {
    "nvidia": "NVIDIA's StyleGAN2-ADA",
    "rosinality": "rosinality's StyleGAN2",
    "mobilestylegan": "the authors' MobileStyleGAN",
}
TURNS, WARM_UP = 12, 2
# Of a network that is slow there are fewer.
MOST_SECONDS = 60.0


def kind_of(folder: Path) -> str:
    """Which of CHECKOUTS a folder is.

    Raises: BadRequest.
    """
    for kind, files in CHECKOUTS.items():
        if all((folder / file).is_file() for file in files):
            return kind
    raise BadRequest(
        f"{folder} is no checkout of {', '.join([*NAMES.values()][:-1])} or {NAMES['mobilestylegan']}."
    )


def compare(engine: Engine, folder: Path) -> dict[str, Any]:
    """Pictures of the engine's resolution by both, one after the other, each of a code that is new to it.

    Runs the code in `folder`, in another process and with whatever memory allocator it comes with.
    Returns {"compared": its name, "side", "ours_ms", "theirs_ms": medians, "times_faster", "turns",
    "device", "precision": ours, theirs being float32}.
    Raises: BadRequest where it is no known checkout, or does not run here.
    """
    kind, generator, config = kind_of(folder), engine.generator, engine.config.generator
    random = torch.Generator().manual_seed(0)
    z = torch.randn(TURNS + WARM_UP, config.z_dim, generator=random).to(engine.device)
    codes = engine.run(lambda: generator.mapping(z)).detach().cpu()  # (N, D)
    side = config.resolution

    def ours(turn: int) -> float:
        w = codes[turn][None, None].expand(1, config.num_codes, -1)  # (1, L, D)

        def run() -> float:
            start = time.perf_counter()
            engine.renderer.render(w)
            if engine.device.type == "cuda":
                torch.cuda.synchronize(engine.device)
            return time.perf_counter() - start

        return engine.run(run)

    with tempfile.TemporaryDirectory(prefix="visagist-bench-") as work:
        np.save(Path(work, "codes.npy"), codes.numpy())
        command = [kind, str(folder.resolve()), str(Path(work, "codes.npy")), str(side), str(engine.device)]
        with _their_turns(command, folder) as theirs:
            times = in_turn(ours, theirs)
    ours_ms, theirs_ms = (1000 * statistics.median(column) for column in zip(*times, strict=True))
    return {
        "compared": NAMES[kind],
        "side": side,
        "ours_ms": ours_ms,
        "theirs_ms": theirs_ms,
        "times_faster": theirs_ms / ours_ms,
        "turns": len(times),
        "device": str(engine.device),
        "precision": str(engine.renderer.dtype).removeprefix("torch."),
    }


def in_turn(ours: Callable[[int], float], theirs: Callable[[int], float]) -> list[tuple[float, float]]:
    """Seconds of both, in pairs; the first WARM_UP pairs are not among them."""
    times: list[tuple[float, float]] = []
    while len(times) < WARM_UP + TURNS and (len(times) <= WARM_UP or sum(map(sum, times)) < MOST_SECONDS):
        times.append((ours(len(times)), theirs(len(times))))
    return times[WARM_UP:]


def describe(result: dict[str, Any]) -> str:
    """The same for people."""
    return (
        f"{'ours':18}{result['ours_ms']:9.1f} ms\n{result['compared']:18}  {result['theirs_ms']:.1f} ms\n"
        f"{'times faster':18}{result['times_faster']:9.1f}, {result['side']} px, on {result['device']}, "
        f"ours in {result['precision']}, theirs in float32"
    )


@contextmanager
def _their_turns(command: list[str], folder: Path) -> Iterator[Callable[[int], float]]:
    script = str(Path(__file__).parent / "compared.py")
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, script, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said
        )
        asked, answered = process.stdin, process.stdout
        assert asked is not None
        assert answered is not None

        def turn(number: int) -> float:
            try:
                asked.write(f"{number}\n".encode())
                asked.flush()
                return float(answered.readline())
            except (OSError, ValueError):
                raise BadRequest(_failure(folder, said)) from None

        try:
            if answered.readline().strip() != b"ready":
                process.wait()
                raise BadRequest(_failure(folder, said))
            yield turn
        finally:
            process.kill()
            process.wait()
            asked.close()
            answered.close()


def _failure(folder: Path, said: IO[bytes]) -> str:
    said.seek(0)
    lines = said.read().decode(errors="replace").strip().splitlines()
    return f"The checkout {folder} does not run here: {lines[-1] if lines else 'it ended without a word'}"
