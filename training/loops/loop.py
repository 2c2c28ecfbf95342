"""What every training loop shares: device, precision, log, checkpoints, averaged weights, sheets."""

import copy
import csv
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from core.rendering.allocator import tune_allocator


def pick_device(name: str = "auto") -> torch.device:
    """`auto` is CUDA where there is one. Call before the first tensor: on a CPU it tunes the allocator."""
    device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)
    if device.type == "cpu":
        tune_allocator()
    return device


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 where matrices are multiplied."""
    return torch.autocast(device.type, torch.bfloat16)


Averaged = TypeVar("Averaged", bound=nn.Module)


class Average(Generic[Averaged]):
    """Exponential moving average of a module's weights; buffers are copied."""

    def __init__(self, module: Averaged, decay: float = 0.999) -> None:
        self.module: Averaged = copy.deepcopy(module).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        for mean, value in zip(self.module.parameters(), module.parameters(), strict=True):
            mean.lerp_(value, 1 - decay)
        for kept, current in zip(self.module.buffers(), module.buffers(), strict=True):
            kept.copy_(current)


class Clock:
    """How long a run has trained, in seconds that outlive a restart, and what is due.

    spent: by the calls before; minutes: of this one.
    """

    def __init__(self, spent: float, minutes: float) -> None:
        self._began, self.end = time.monotonic() - spent, spent + 60 * minutes
        self._first, self._done = spent, dict[str, float]()

    @property
    def spent(self) -> float:
        return time.monotonic() - self._began

    @property
    def over(self) -> bool:
        return self.spent >= self.end

    def due(self, what: str, every: float) -> bool:
        """Whether so many seconds have passed since this was due last, or the run is over."""
        now = self.spent
        if now < self.end and now - self._done.get(what, self._first) < every:
            return False
        self._done[what] = now
        return True


class Log:
    """A CSV with one row per report; appended to when a run is resumed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, row: Mapping[str, Any]) -> None:
        """Raises: ValueError if the row's columns are not those of the file."""
        columns = list(row)
        if self.path.exists():
            with open(self.path, newline="") as file:
                columns = next(csv.reader(file), columns)
            if set(columns) != set(row):
                raise ValueError(f"{self.path} has the columns {columns}, the row has {list(row)}")
        new = not self.path.exists()
        with open(self.path, "a", newline="") as file:
            writer = csv.DictWriter(file, columns)
            if new:
                writer.writeheader()
            writer.writerow({k: f"{v:.5f}" if isinstance(v, float) else v for k, v in row.items()})
        shown = (f"{k} {v:.4f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items())
        print("  ".join(shown), flush=True)


class Sums:
    """Means of what steps report, each over the steps that reported it."""

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = {}

    def add(self, terms: Mapping[str, float]) -> None:
        for name, value in terms.items():
            self._values.setdefault(name, []).append(value)

    def means(self) -> dict[str, float]:
        """Of all since the last call; NaN where none of these steps reported what earlier ones did."""
        found = {
            name: sum(values) / len(values) if values else float("nan")
            for name, values in self._values.items()
        }
        self._values = {name: [] for name in self._values}
        return found


def save(path: Path, **parts: Any) -> None:
    """Write a resumable checkpoint; modules and optimisers as state dicts. Never leaves half a file."""
    state = {k: v.state_dict() if hasattr(v, "state_dict") else v for k, v in parts.items()}
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    temporary.replace(path)


def restore(path: Path, **parts: Any) -> dict[str, Any]:
    """Load the parts that are modules or optimisers in place; returns the plain values of the file."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return {k: v for k, v in state.items() if k not in parts}


class Run:
    """A training that a restart does not lose: OUT/last.pt holds its parts and how far they are."""

    def __init__(self, out: Path, parts: Mapping[str, Any], minutes: float, resume: bool) -> None:
        """parts: modules and optimisers; minutes: of this call; resume: go on where OUT stands."""
        out.mkdir(parents=True, exist_ok=True)
        self._path, self._parts = out / "last.pt", parts
        self.number, spent = 0, 0.0
        if resume and self._path.exists():
            plain = restore(self._path, **parts)
            self.number, spent = plain["number"], plain["spent"]
        self.clock = Clock(spent, minutes)
        self._log, self._sums = Log(out / "log.csv"), Sums()

    @property
    def left(self) -> float:
        """What share of the run, calls before counted, is left."""
        return 1 - self.clock.spent / self.clock.end

    def passed(self, terms: Mapping[str, float], report: int) -> None:
        """A step was made; every `report` steps their means go to OUT/log.csv."""
        self._sums.add(terms)
        self.number += 1
        if self.number % report == 0:
            self._log.write({"step": self.number, "seconds": self.clock.spent, **self._sums.means()})

    def save(self) -> None:
        save(self._path, number=self.number, spent=self.clock.spent, **self._parts)


def sheet(path: Path, rows: list[Tensor], size: int = 128) -> None:
    """Write pictures as a grid. rows: tensors (N, 3, S, S) in [-1, 1], one for each row of the sheet."""
    lines = []
    for row in rows:
        pictures = row.detach().float().clamp(-1, 1).add(1).mul(127.5).permute(0, 2, 3, 1).cpu().numpy()
        lines.append(np.hstack([cv2.resize(picture, (size, size)) for picture in pictures]))
    rgb = np.vstack(lines).round().astype(np.uint8)
    cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 92])
