"""Style mixing: another face's codes where they do one thing (Karras et al. 2019, section 3.1).

Coarse, middle and fine are codes by the resolution at which they act. Colour is no set of codes: each drives
convolutions too, and toRGB at 4 and 8 px gives half of a face's colour. On photos opened with an earlier
model of 128 px, 16 pairs, amount 1, the last two of its 12 codes went 1 % of the way to the reference's
colours (a* and b* on a 4 x 4 grid); the last four, which are fine by another name, 35 %; the last six 46 %,
with other eyes and brows (correlation of luminance edges with the source's: 0.94); toRGB alone 92 %, with the
source's features (0.98). So a face has two rows of codes while it is edited: what the convolutions take, and
toRGB.
"""

import math
from collections.abc import Collection

import torch
from torch import Tensor

from core.generators.family import CodeLayout
from core.references import MIXES

COLOUR = "colour"
# The papers' borders, in px: coarse acts on 4 and 8, middle on 16 and 32, fine from 64 on.
_RANGES = {"coarse": (0, 8), "middle": (16, 32), "fine": (64, math.inf)}


def mixed_codes(name: str, layout: CodeLayout) -> list[int]:
    """The codes that coarse, middle or fine takes; none where the generator ends before."""
    smallest, largest = _RANGES[name]
    return [code for code, side in enumerate(layout.acts_at) if smallest <= side <= largest]


def available_mixes(layout: CodeLayout) -> tuple[str, ...]:
    """Those of MIXES that a generator with these codes can do."""
    return tuple(name for name in MIXES if (layout.colour if name == COLOUR else mixed_codes(name, layout)))


def mix(w: Tensor, reference: Tensor, names: Collection[str], amount: float, layout: CodeLayout) -> Tensor:
    """w + amount * (w_r - w) where the named mixes act; what two of them name moves once.

    At amount 1 these codes are the reference's bit for bit, and a face mixed with itself stays as it is.

    w: (2, L, D), first the convolutions' codes, then toRGB's; reference: w_r, (L, D) -> (2, L, D).
    """
    mixed = w.clone()
    codes = sorted({code for name in names if name != COLOUR for code in mixed_codes(name, layout)})
    mixed[:, codes] = torch.lerp(w[:, codes], reference[codes], amount)
    if COLOUR in names:
        colour = list(layout.colour)
        mixed[1, colour] = torch.lerp(w[1, colour], reference[colour], amount)
    return mixed
