"""InterFaceGAN directions (Shen et al., CVPR 2020), as e4e publishes them: one bare tensor a file.

The direction is the normal of a linear boundary in W, so it says which way an attribute grows, not how far.
"""

import re
from typing import Any

import torch
from torch import Tensor

from core.errors import BadCheckpoint
from core.importing.formats.parts import Direction, Parts

LICENCE = "MIT (e4e); made with a generator that is for non-commercial use"
# What grows along the published ones; of pose nothing says to which side.
ENDS = {"age": ("younger", "older"), "smile": ("serious", "smiling")}


def recognises(content: Any) -> bool:
    """Is this a tensor that can be one code, or one for each layer?"""
    return isinstance(content, Tensor) and content.is_floating_point() and 1 <= content.ndim <= 3


def convert(content: Any, stem: str) -> Parts:
    """The direction, named after the file: (D,) or (1, D) for every code alike, (L, D) or (1, L, D) for each.

    Raises: BadCheckpoint if the tensor is of another shape, not finite, or zero.
    """
    name = slider_name(stem)
    low, high = ENDS.get(name, ("", ""))
    label = re.sub(r"[-_]+", " ", name).strip().capitalize()
    direction = Direction(name, label, unit_step(content, stem), None, low, high)
    return Parts(format="InterFaceGAN direction", licence=LICENCE, directions=(direction,))


def slider_name(stem: str) -> str:
    """The file's name in letters, digits, hyphens and underscores.

    Raises: BadCheckpoint if nothing is left of it.
    """
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_")[:40]
    if not name:
        raise BadCheckpoint(
            f"The slider gets the file's name, but {stem:.60} has no letter or digit; rename it."
        )
    return name


def unit_step(tensor: Tensor, what: str) -> Tensor:
    """(L, D) or (1, D), the longest code of norm 1.

    Raises: BadCheckpoint if the tensor is of another shape, not finite, or zero.
    """
    step = tensor.detach().float()
    step = step[None] if step.ndim == 1 else step
    if step.ndim == 3 and len(step) == 1:
        step = step[0]
    if step.ndim != 2 or not step.numel():
        raise BadCheckpoint(
            f"{what} is no direction: its shape is {tuple(tensor.shape)}, not (codes, width)."
        )
    longest = torch.linalg.vector_norm(step, dim=1).amax()
    if not (longest.isfinite() and longest > 0):
        raise BadCheckpoint(f"{what} is no direction: it is zero or holds numbers that are not finite.")
    return (step / longest).contiguous()
