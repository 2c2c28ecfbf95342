"""Mean attribute dependency: how much of everything else moves when one slider moves its attribute.

Style Transformer (Hu et al., CVPR 2022), section 5.3, after StyleSpace (Wu et al., CVPR 2021): for a target
k, mean-AD is the mean over other attributes i of |dl_i| / sigma(l_i), read off at a degree dl_k / sigma(l_k)
of target change. l are the judge network's outputs, sigma their deviation over unedited inversions.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from core.checkpoints import Bundle
from training.judging.faces import Opened, Order, edit, face_axes, render
from training.judging.judge import Judge, judge_pictures

ORDERS: tuple[Order, ...] = ("first", "second", "linear")
# Slider values; between them figures are interpolated.
STRENGTHS = (0.5, 1.0, 2.0, 3.0)
# A slider that cannot move its attribute so far, in deviations, has no dependency to speak of.
LEAST_MOVE = 0.2


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


def compare(curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, float] | None:
    """mean-AD of several orders at the same target move: one deviation, or as far as all of them come.

    curves: order -> `curve`. Returns `move`, and for each order mean-AD divided by that move (so, at a move
    of one deviation, mean-AD itself). None where some order comes less far than LEAST_MOVE.
    """
    common = min(1.0, *(float(moves.max()) for moves, _ in curves.values()))
    if common < LEAST_MOVE:
        return None
    row = {"move": common}
    for order, (moves, dependencies) in curves.items():
        found = at_move(moves, dependencies, common)
        assert found is not None  # common is no more than any curve's largest move
        row[order] = found / common
    return row


def measure_dependency(
    bundle: Bundle, opened: Opened, judge: Judge, sigma: np.ndarray, device: torch.device
) -> dict[str, Any]:
    """`compare` of all orders for every slider the judge knows, and the mean over those that were compared.

    sigma: (A,), deviation of the judge's outputs over inversions. Returns {"sliders": {name: row or None},
    "mean": {order: number} or None, "strengths", "curves"}: one set of sliders for all orders, so that the
    means compare, and at every strength each order's move and mean-AD.
    """
    names = [a.name for a in bundle.config.attributes if a.name in judge.attributes]
    start = judge_pictures(judge, opened.inversions, device)
    curves: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]] = {name: {} for name in names}
    for order in ORDERS:
        axes = face_axes(bundle, opened.codes, order, device)
        for name in tqdm(names, desc=f"Dependency, {order}", disable=None):
            edited = []
            for value in STRENGTHS:
                pictures = render(bundle.generator, edit(bundle, opened.codes, axes, name, value), device)
                edited.append(judge_pictures(judge, pictures, device))
            curves[name][order] = curve(start, np.stack(edited), judge.attributes.index(name), sigma)
    rows = {name: compare(by_order) for name, by_order in curves.items()}
    compared = [row for row in rows.values() if row is not None]
    means = {order: float(np.mean([row[order] for row in compared])) for order in ORDERS if compared}
    plain = {
        name: {order: {"move": m.tolist(), "dependency": d.tolist()} for order, (m, d) in by_order.items()}
        for name, by_order in curves.items()
    }
    return {"sliders": rows, "mean": means or None, "strengths": STRENGTHS, "curves": plain}
