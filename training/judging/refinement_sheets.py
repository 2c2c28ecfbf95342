"""Refinement to look at: portraits under every setting, and strong edits with and without the fade."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from core.checkpoints import Bundle
from core.images import save_image, to_array
from core.rendering.renderer import Renderer
from training.judging.faces import Order, edit, face_axes
from training.judging.refined_faces import Refined, edited, render_each, subset
from training.judging.sheets import grid, spread

FACES, EDITED_FACES = 12, 6
# What ghosts most: mouths that open, heads that turn, what covers the eyes.
STRONG = (("mouth_open", 3.0), ("smile", 3.0), ("yaw", 3.0), ("yaw", -3.0), ("eyeglasses", 3.0))


def portrait_sheet(settings: Mapping[str, Refined], path: Path) -> None:
    """A column for each of a dozen faces: the original, then every setting in order."""
    opened = settings["off"].opened
    chosen = spread(len(opened), FACES)
    rows = [opened.crops[chosen], *(refined.opened.inversions[chosen] for refined in settings.values())]
    save_image(grid(rows), path)


def edit_sheets(
    bundle: Bundle,
    settings: Mapping[str, Refined],
    renderer: Renderer,
    order: Order,
    device: torch.device,
    out: Path,
) -> list[str]:
    """For each strong edit that the bundle has `refined-NAME+3.png`; returns what its columns show.

    A row for each face: original, the settings unedited, the settings edited, first faded, then not.
    """
    some = subset(settings, spread(len(settings["off"].opened), EDITED_FACES).tolist())
    opened = some["off"].opened
    axes = face_axes(bundle, opened.codes, order, device)
    reference = render_each(renderer, opened.codes, [None] * len(opened))
    known = {attribute.name for attribute in bundle.config.attributes}
    columns: list[str] = []
    for slider, value in STRONG:
        if slider not in known:
            continue
        codes = edit(bundle, opened.codes, axes, slider, value)
        variants = edited(renderer, some, codes, reference)
        shown = [
            opened.crops,
            *(r.opened.inversions for r in some.values()),
            *map(to_array, variants.values()),
        ]
        save_image(grid(list(np.stack(shown, 1))), out / f"refined-{slider}{value:+g}.png")
        columns = ["photo", *(f"{name}, unedited" for name in some), *variants]
    return columns
