"""What a face's code says of it: labels of samples, their hair's outline among them, and who tells them.

The classifier is Style Transformer's (`core.models.latent_classifier`); what it tells are deviations, half
its logit. It needs no verdict: the target of a label is the logistic of twice its deviation.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.models.latent_classifier import LatentClassifier
from core.network_config import ClassifierConfig
from training.data.hair_shapes import SHAPE, SQUARES, TEXTURES
from training.data.label_table import LabelTable, load_faces
from training.loops.direction_fit import principal
from training.loops.directions import held_labels
from training.loops.reference_groups import OUTLINES
from training.loops.sampled_classifier import ACTIVATION, EMBEDDING, HIDDEN, correlations, fit


@dataclass(frozen=True)
class Told:
    """Codes (N, L, D) and what is known of them: `wanted` (N, A) in deviations from the mean, NaN where a
    label could not be taken; `shares`: (A,), 1, or less where a label is a component of something and says
    less of it than the others do."""

    codes: Tensor
    names: tuple[str, ...]
    wanted: Tensor
    shares: Tensor

    def __getitem__(self, rows: slice) -> "Told":
        return Told(self.codes[rows], self.names, self.wanted[rows], self.shares)


def load_told(faces: Path, labels: Path, shapes: Path, last: int) -> Told:
    """Of the shards before `last`: all labels, the components that sliders hold, and the hair's shape."""
    codes, table = load_faces(faces, labels, 0, last)
    values, names = held_labels(table)
    values[np.isnan(table.values).all(1)] = np.nan
    hair = _hair(shapes, labels, last)
    outline = principal(hair[:, : SQUARES**2], len(OUTLINES))
    every = np.concatenate([values, outline, hair[:, SQUARES**2 :]], 1)
    names = (*names, *OUTLINES, *TEXTURES)
    deviation = np.nanstd(every, 0)
    component = np.array([" " in name for name in names])
    known = (every - np.nanmean(every, 0)) / deviation
    shares = np.where(component, np.minimum(1.0, deviation**2), 1.0)
    as_tensor = (torch.from_numpy(array).float() for array in (codes, known, shares))
    w, wanted, share = as_tensor
    return Told(w, names, wanted, share)


def _hair(shapes: Path, labels: Path, last: int) -> np.ndarray:
    """(N, SHAPE) float64 of the shards before `last`; NaN of one whose shapes were not measured."""
    found = []
    for k in range(last):
        count, path = len(LabelTable.load(labels / f"{k:03d}.npz")), shapes / f"{k:03d}.npy"
        found.append(np.load(path) if path.exists() else np.full((count, SHAPE), np.nan))
    return np.concatenate(found).astype(np.float64)


def fit_tellers(told: Told, count: int, epochs: int, noise: float) -> list[LatentClassifier]:
    """So many classifiers, which differ by their seeds."""
    config = ClassifierConfig(
        told.codes.shape[1],
        told.names,
        told.codes.shape[2],
        hidden=HIDDEN,
        embedding=EMBEDDING,
        activation=ACTIVATION,
    )
    found = ~told.wanted.isnan().all(1)
    return [fit(told.codes[found], told.wanted[found], config, epochs, noise, seed) for seed in range(count)]


def report(teller: LatentClassifier, told: Told) -> str:
    """Correlation of each label with what is told of faces that were not learned from.

    Components are left out: those of other faces are other components.
    """
    pairs = zip(told.names, correlations(teller(told.codes), told.wanted), strict=True)
    return "\n".join(f"{name:16} {r:.3f}" for name, r in pairs if " " not in name)
