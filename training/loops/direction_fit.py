"""Directions in W from labelled samples: ridge regression in whitened W, and steps that move one label and
hold others.

The mathematics of `training.loops.directions`, in numpy float64. v = whitened code, (w - mean) U / sqrt(e),
its first K components. A label's gradient b is what ridge regression says of it: standardised label = b . v
+ noise. Where codes differ (W+), a label follows the mean of the codes' v with weights of its own, its
profile: it says at which codes the label is made.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Whitening:
    """`mean`: (D,) of w; `basis`: (D, K) principal directions; `deviation`: (K,) standard deviations along
    them."""

    mean: np.ndarray
    basis: np.ndarray
    deviation: np.ndarray

    @classmethod
    def fit(cls, w: np.ndarray, components: int) -> "Whitening":
        """w: (N, D) samples of W."""
        mean = w.mean(0)
        values, vectors = np.linalg.eigh(np.cov(w.T))
        order = np.argsort(-values)[:components]
        return cls(mean, vectors[:, order], np.sqrt(values[order]))

    def __call__(self, w: np.ndarray) -> np.ndarray:
        """(..., D) -> (..., K)."""
        return (w - self.mean) @ self.basis / self.deviation

    def step(self, direction: np.ndarray) -> np.ndarray:
        """A step (..., K) of v as a step (..., D) of w."""
        return (direction * self.deviation) @ self.basis.T


@dataclass(frozen=True)
class LinearLabels:
    """What regression says of A labels. `gradients`: (A, K), standard deviations of the label for one of v;
    `profiles`: (A, L), how much of it each code makes, summing to 1; `mean`, `deviation`: (A,) of the
    labels."""

    names: tuple[str, ...]
    gradients: np.ndarray
    profiles: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray

    def index(self, name: str) -> int:
        return self.names.index(name)

    def effects(self, codes: slice) -> np.ndarray:
        """(A, K): the change of every label for a step of one along v's axes, made in these codes alone."""
        return self.gradients * self.profiles[:, codes].sum(1, keepdims=True)

    def predict(self, v: np.ndarray) -> np.ndarray:
        """(N, L, K) -> (N, A) standardised labels."""
        return np.einsum("nlk,al,ak->na", v, self.profiles, self.gradients, optimize=True)


def ridge(x: np.ndarray, y: np.ndarray, strength: float) -> np.ndarray:
    """(N, K), (N,) -> (K,): (x^T x + strength N I)^-1 x^T y, of centred x and y."""
    x, y = x - x.mean(0), y - y.mean()
    return np.linalg.solve(x.T @ x + strength * len(x) * np.eye(x.shape[1]), x.T @ y)


def fit_labels(
    v: np.ndarray, values: np.ndarray, names: tuple[str, ...], strength: float, smoothness: float = 0.3
) -> LinearLabels:
    """Gradients from faces whose codes are all equal, profiles from all others, then gradients from all.

    v: (N, L, K) whitened codes; values: (N, A), NaN where a label could not be taken.
    smoothness: pulls a profile towards even weights, as a share of the regression's own mean square.
    """
    mean, deviation = np.nanmean(values, 0), np.nanstd(values, 0)
    y = (values - mean) / deviation
    even = np.full(v.shape[1], 1 / v.shape[1])
    equal = np.abs(v - v[:, :1]).max((1, 2)) < 1e-6
    gradients, profiles = [], []
    for column in y.T:
        known = ~np.isnan(column)
        first, crossed = known & equal, known & ~equal
        gradient = ridge(v[first, 0], column[first], strength)
        profile = even
        if crossed.any():
            profile = _profile(v[crossed] @ gradient, column[crossed], smoothness)
            mixed = np.einsum("nlk,l->nk", v[known], profile)
            gradient = ridge(mixed, column[known], strength)
        gradients.append(gradient)
        profiles.append(profile)
    return LinearLabels(names, np.array(gradients), np.array(profiles), mean, deviation)


def _profile(said: np.ndarray, label: np.ndarray, smoothness: float) -> np.ndarray:
    """(L,) weights >= 0 of the codes' own predictions `said` (N, L) that together tell `label` (N,), summing
    to 1.

    Non-negative least squares by dropping: each negative weight is set to zero and the rest
    solved again, which ends after at most L rounds.
    """
    centred, target = said - said.mean(0), label - label.mean()
    gram = centred.T @ centred / len(said)
    pull = smoothness * np.trace(gram) / len(gram)
    right = centred.T @ target / len(said) + pull / len(gram)
    left = gram + pull * np.eye(len(gram))
    kept = np.arange(len(gram))
    while True:
        weights = np.linalg.solve(left[np.ix_(kept, kept)], right[kept])
        if (weights > 0).all() or len(kept) == 1:
            break
        kept = kept[weights > 0] if (weights > 0).any() else kept[[int(weights.argmax())]]
    profile = np.zeros(len(gram))
    profile[kept] = weights
    return profile / profile.sum()


def holding_step(target: np.ndarray, held: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The shortest step d with target . d = 1 that hardly moves what is held: a (K,) step of v.

    It minimises |d|^2 + sum_h weights_h (held_h . d)^2, so d is proportional to M^-1 target with
    M = I + held^T diag(weights) held. target: (K,); held: (H, K); weights: (H,) >= 0.
    """
    m = np.eye(len(target)) + (held * weights[:, None]).T @ held
    d = np.linalg.solve(m, target)
    return d / (target @ d)


def principal(values: np.ndarray, count: int) -> np.ndarray:
    """(N, count) leading principal components of (N, F), rows with NaN left NaN; together of mean square
    `count`.

    Their own proportions are kept: what varies most of a descriptor is what one sees most.
    """
    known = ~np.isnan(values).any(1)
    centred = values - values[known].mean(0)
    _, vectors = np.linalg.eigh(np.cov(centred[known].T))
    scores = centred @ vectors[:, ::-1][:, :count]
    return scores / np.sqrt(np.square(scores[known]).mean())
