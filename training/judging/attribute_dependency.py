"""Mean attribute dependency: how much of everything else moves when one slider moves its attribute.

Style Transformer (Hu et al., CVPR 2022), section 5.3, after StyleSpace (Wu et al., CVPR 2021): for a target
k, mean-AD is the mean over other attributes i of |dl_i| / sigma(l_i), read off at a degree dl_k / sigma(l_k)
of target change. l are the judge network's outputs, sigma their deviation over unedited inversions.
"""

import numpy as np


def curve(
    start: np.ndarray, edited: np.ndarray, target: int, sigma: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean target move and mean-AD at each strength, (S,) each, both in deviations.

    start: (N, A) judge outputs of inversions; edited: (S, N, A) of edits; sigma: (A,).
    """
    change = (edited - start) / sigma
    others = np.abs(np.delete(change, target, axis=2))
    return change[:, :, target].mean(1), others.mean((1, 2))


def at_move(moves: np.ndarray, dependencies: np.ndarray, wanted: float) -> float | None:
    """mean-AD where the target has moved by `wanted` > 0, linear between strengths and from (0, 0).

    Where a curve turns back, its first passage counts. None if it never comes so far.
    """
    previous_move, previous = 0.0, 0.0
    for move, dependency in zip(moves, dependencies, strict=True):
        if move >= wanted:
            share = (wanted - previous_move) / (move - previous_move)
            return float(previous + share * (dependency - previous))
        previous_move, previous = move, dependency
    return None
