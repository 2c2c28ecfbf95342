"""Pictures to look at before any claim: inversions beside their sources, every slider in seven steps."""

from pathlib import Path

import numpy as np
import torch

from core.checkpoints import Bundle
from core.images import save_image
from training.judging.faces import Opened, Order, edit, face_axes, render

INVERSIONS, COLUMNS = 16, 8
STRIP_FACES = 8
STEPS = (-3, -2, -1, 0, 1, 2, 3)


def spread(total: int, count: int) -> np.ndarray:
    """At most `count` different numbers below `total`, evenly spread from the first to the last."""
    return np.unique(np.linspace(0, total - 1, count).round().astype(int))


def grid(rows: list[np.ndarray]) -> np.ndarray:
    """Rows (n, R, R, 3) uint8 to one picture; shorter rows end in white."""
    longest = max(len(row) for row in rows)
    full = [np.pad(r, ((0, longest - len(r)), *[(0, 0)] * 3), constant_values=255) for r in rows]
    return np.vstack([np.hstack(list(row)) for row in full])


def inversion_sheet(opened: Opened, path: Path) -> None:
    """Originals above their inversions, in two bands of eight."""
    chosen = spread(len(opened), INVERSIONS)
    rows = []
    for start in range(0, len(chosen), COLUMNS):
        band = chosen[start : start + COLUMNS]
        rows += [opened.crops[band], opened.inversions[band]]
    save_image(grid(rows), path)


def slider_sheets(bundle: Bundle, opened: Opened, order: Order, device: torch.device, out: Path) -> None:
    """For each slider `sliders-NAME.png`: a row for each face, from -3 to 3."""
    chosen = spread(len(opened), STRIP_FACES)
    codes = opened.codes[torch.from_numpy(chosen)]
    axes = face_axes(bundle, codes, order, device)
    for attribute in bundle.config.attributes:
        steps = torch.stack([edit(bundle, codes, axes, attribute.name, value) for value in STEPS], 1)
        pictures = render(bundle.generator, steps.flatten(0, 1), device)  # faces * steps
        rows = list(pictures.reshape(len(chosen), len(STEPS), *pictures.shape[1:]))
        save_image(grid(rows), out / f"sliders-{attribute.name}.png")
