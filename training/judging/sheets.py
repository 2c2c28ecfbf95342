"""Sheets to look at before any claim: which faces, and how they stand."""

import numpy as np


def spread(total: int, count: int) -> np.ndarray:
    """At most `count` different numbers below `total`, evenly spread from the first to the last."""
    return np.unique(np.linspace(0, total - 1, count).round().astype(int))


def grid(rows: list[np.ndarray]) -> np.ndarray:
    """Rows (n, R, R, 3) uint8 to one picture; shorter rows end in white."""
    longest = max(len(row) for row in rows)
    full = [np.pad(r, ((0, longest - len(r)), *[(0, 0)] * 3), constant_values=255) for r in rows]
    return np.vstack([np.hstack(list(row)) for row in full])
