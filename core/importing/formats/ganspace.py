"""GANSpace components (Härkönen et al., NeurIPS 2020), as e4e publishes them: PCA of a generator's w.

GANSpace edits set the coordinate of w along component k to a number of its standard deviations; as sliders
here they add that many: w + value * std_k * component_k.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from core.errors import BadCheckpoint
from core.importing.formats.interfacegan import slider_name
from core.importing.formats.parts import Direction, Parts, TensorTable

LICENCE = "Apache 2.0 (GANSpace); made with a generator that is for non-commercial use"
OFFERED = 10  # components that become sliders over all codes, those of the largest variance


class NamedEdit(NamedTuple):
    """An edit of GANSpace's: `strength` standard deviations of a component, on codes start to end - 1."""

    name: str
    label: str
    component: int
    start: int
    end: int
    strength: float
    low: str = ""
    high: str = ""


# GANSpace's figure_teaser notebook; e4e's demo shows these five with its ffhq_pca.pt.
EDITS = (
    NamedEdit("eye_openness", "Eyes open", 54, 7, 8, 20, "narrow", "wide"),
    NamedEdit("smile", "Smile", 46, 4, 5, -20, "serious", "smiling"),
    NamedEdit("trimmed_beard", "Trimmed beard", 58, 7, 9, 20),
    NamedEdit("white_hair", "White hair", 57, 7, 10, -24),
    NamedEdit("lipstick", "Lipstick", 34, 10, 11, 20, "without", "with"),
)
# The edits mean this one basis: another's 54th component is something else, and so is its sign.
FFHQ_DEVIATIONS = (2.8556, 2.6267, 2.5941, 2.4175)
FFHQ_CODES, FFHQ_WIDTH = 18, 512
# A slider ends at 3: there a named edit is as strong as published.
SLIDER_END = 3.0
MAX_PREFIX = 24  # with the longest edit's name, 40


def recognises(content: Any) -> bool:
    """Is this a dictionary of principal components?"""
    return isinstance(content, Mapping) and {"comp", "std"} <= content.keys()


def convert(content: Any, stem: str) -> Parts:
    """The first components as sliders, and of e4e's FFHQ file the five named edits.

    Raises: BadCheckpoint if components or deviations are missing, ill-shaped, or not finite.
    """
    table = TensorTable({key: content[key] for key in ("comp", "std")}, stem)
    components = table.take("comp", None, 1, None)[:, 0]  # (K, D)
    deviations = table.take("std", len(components))
    table.finish()
    lengths = torch.linalg.vector_norm(components, dim=1)
    if not (len(lengths) and all((t > 0).all() and t.isfinite().all() for t in (lengths, deviations))):
        raise BadCheckpoint(f"{stem} is no set of components: some are zero or not finite.")
    components, deviations = components / lengths[:, None], deviations * lengths
    prefix = slider_name(stem)[:MAX_PREFIX]
    directions = [
        Direction(
            f"{prefix}-{k + 1}", f"Component {k + 1}", components[k : k + 1].clone(), float(deviations[k])
        )
        for k in range(min(OFFERED, len(components)))
    ]
    named = [
        _named(edit, prefix, components, deviations) for edit in EDITS if _is_ffhq(components, deviations)
    ]
    return Parts(format="GANSpace components", licence=LICENCE, directions=(*named, *directions))


def _is_ffhq(components: Tensor, deviations: Tensor) -> bool:
    if len(components) <= max(edit.component for edit in EDITS) or components.shape[1] != FFHQ_WIDTH:
        return False
    known = torch.tensor(FFHQ_DEVIATIONS)
    return torch.allclose(deviations[: len(known)], known, rtol=0, atol=1e-3)


def _named(edit: NamedEdit, prefix: str, components: Tensor, deviations: Tensor) -> Direction:
    step = torch.zeros(FFHQ_CODES, FFHQ_WIDTH)
    step[edit.start : edit.end] = components[edit.component] * (1 if edit.strength > 0 else -1)
    unit = abs(edit.strength) * float(deviations[edit.component]) / SLIDER_END
    label = f"{edit.label} (GANSpace)"
    return Direction(f"{prefix}-{edit.name}", label, step, unit, edit.low, edit.high)
