"""What a stack of references gives a face, one after the other."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from core.editing.mixing import mix
from core.generators.family import CodeLayout
from core.models.reference_editor import ReferenceEditor
from core.references import MIXES, Take


def take_all(
    w: Tensor, takes: Iterable[Take], editors: Mapping[str, ReferenceEditor], layout: CodeLayout
) -> Tensor:
    """The code after every Take, in order: its mixes, then w + amount * (sum of its attributes' delta w).

    All attributes of one Take look at the same w, the next Take at what came out. A face that takes from
    itself stays as it is, bit for bit.

    w: (L, D) float32; editors: by attribute, at least those that the takes name; layout: of the codes.
    -> (2, L, D), first the convolutions' codes, which the editors look at, then toRGB's, which move along.
    """
    w = w.expand(2, -1, -1)
    for take in takes:
        reference = torch.tensor(take.reference.w_plus, device=w.device)
        w = mix(w, reference, [name for name in take.what if name in MIXES], take.amount, layout)
        step = torch.zeros_like(reference)
        for name in take.what:
            if name not in MIXES:
                step = step + editors[name](w[:1], reference[None])[0]
        w = w + take.amount * step
    return w
