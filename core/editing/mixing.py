"""Style mixing: codes of another face by the resolution where they act (Karras et al. 2019, section 3.1)."""

from collections.abc import Iterable

import torch
from torch import Tensor

from core.references import MIXES

# The papers' borders: coarse acts on 4 and 8 px, middle on 16 and 32, fine from 64 on; two codes for each.
_RANGES = {"coarse": (0, 4), "middle": (4, 8), "fine": (8, None)}


def mixed_codes(name: str, num_codes: int) -> tuple[int, ...]:
    """The codes that a mix takes, of a generator with this many; none where it has no such blocks.

    name: one of MIXES.
    """
    codes = range(num_codes)
    if name == "colour":
        return tuple(codes[-2:])
    start, end = _RANGES[name]
    return tuple(codes[start:end])


def available_mixes(num_codes: int) -> tuple[str, ...]:
    """Those of MIXES that a generator with this many codes can do."""
    return tuple(name for name in MIXES if mixed_codes(name, num_codes))


def mix(w: Tensor, reference: Tensor, names: Iterable[str], amount: float) -> Tensor:
    """w + amount * (w_r - w) on the codes of the named mixes; a code that two of them name moves once.

    At amount 1 these codes are the reference's bit for bit, and a face mixed with itself stays as it is.
    w, reference: w and w_r, (L, D) -> (L, D).
    """
    codes = sorted({code for name in names for code in mixed_codes(name, len(w))})
    mixed = w.clone()
    mixed[codes] = torch.lerp(w[codes], reference[codes], amount)
    return mixed
