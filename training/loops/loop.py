"""What every training loop shares: device, precision, log, checkpoints, averaged weights, sheets."""

import copy
import csv
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


class Log:
    """A CSV with one row per report; appended to when a run is resumed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, row: Mapping[str, Any]) -> None:
        new = not self.path.exists()
        with open(self.path, "a", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            if new:
                writer.writeheader()
            writer.writerow({k: f"{v:.5f}" if isinstance(v, float) else v for k, v in row.items()})
        shown = (f"{k} {v:.4f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items())
        print("  ".join(shown), flush=True)


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


def sheet(path: Path, rows: list[Tensor], size: int = 128) -> None:
    """Write pictures as a grid. rows: tensors (N, 3, S, S) in [-1, 1], one for each row of the sheet."""
    lines = []
    for row in rows:
        pictures = row.detach().float().clamp(-1, 1).add(1).mul(127.5).permute(0, 2, 3, 1).cpu().numpy()
        lines.append(np.hstack([cv2.resize(picture, (size, size)) for picture in pictures]))
    rgb = np.vstack(lines).round().astype(np.uint8)
    cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 92])
