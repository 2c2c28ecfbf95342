"""Directions that need no labels, found in the generator itself: what its sliders do, a visitor finds out.

GANSpace (Härkönen et al., NeurIPS 2020): the principal components of the generator's own codes. SeFa (Shen
and Zhou, CVPR 2021): the eigenvectors of the weights that turn codes into styles.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from core.editing.mixing import mixed_codes
from core.generators.family import CodeLayout, GeneratorFamily

COMPONENTS = 8  # of GANSpace, over all codes
EIGENVECTORS = 4  # of SeFa, for each group of codes

# SeFa's groups: the codes of style mixing, and what acts at those resolutions in a face.
_GROUPS = {"coarse": "pose, face shape", "middle": "features, hair", "fine": "skin, light, detail"}


@dataclass(frozen=True)
class Exploration:
    """One unnamed slider. hint: what to expect of it and of those beside it, which share the hint."""

    name: str
    label: str
    hint: str


def explorations(layout: CodeLayout) -> tuple[Exploration, ...]:
    """The sliders of a generator with these codes: GANSpace's, then SeFa's for each group it has."""
    found = [(f"explore-overall-{i}", "what varies most") for i in range(1, COMPONENTS + 1)]
    for group, hint in _GROUPS.items():
        if mixed_codes(group, layout):
            found += [(f"explore-{group}-{i}", hint) for i in range(1, EIGENVECTORS + 1)]
    return tuple(
        Exploration(name, f"Direction {number}", hint) for number, (name, hint) in enumerate(found, start=1)
    )


@torch.no_grad()
def explore_steps(generator: GeneratorFamily) -> Tensor:
    """The step in W+ of each of `explorations` at slider value 1: (E, L, D) float32, where the generator is.

    GANSpace's are as long as one standard deviation of the generator's samples along them. SeFa's, which the
    samples have no part in, are as long as the samples' greatest standard deviation in the codes they move:
    along most of them codes vary so little that nothing would be seen, while this is one principal component
    against another. Of each the largest entry is positive. A generator with fewer directions than sliders has
    steps of zero for the rest.
    """
    layout = generator.layout
    spread = generator.principal().double()
    groups = [codes for group in _GROUPS if (codes := mixed_codes(group, layout))]
    grams = [_gram(spread[:, codes]) for codes in groups]  # the groups share out all codes
    steps = [_principal(spread, sum(grams[1:], start=grams[0]))]
    for codes, gram in zip(groups, grams, strict=True):
        length = torch.linalg.eigvalsh(gram)[-1].sqrt()
        steps.append(length * _on_codes(_eigenvectors(generator, codes), codes, layout.num_codes))
    found = torch.cat(steps)  # (E, L, D)
    flat = found.flatten(1)
    largest = flat.gather(1, flat.abs().argmax(1, keepdim=True))  # (E, 1)
    return torch.where(largest[..., None] < 0, -found, found).float()


def _gram(spread: Tensor) -> Tensor:
    """(K, C, D) -> (K, K); its eigenvalues are the variances of the C codes' principal components."""
    rows = spread.flatten(1)
    return rows @ rows.T


def _principal(spread: Tensor, gram: Tensor) -> Tensor:
    """Principal components times their standard deviations (GANSpace, section 2.1): (COMPONENTS, L, D).

    With spread = U s V^T, a row of s V^T is one component at the length wanted, and U^T spread the same
    without having to decompose L * D columns: U are the eigenvectors of spread's gram.
    """
    _, u = torch.linalg.eigh(gram)
    found = u.T.flip(0)[:COMPONENTS] @ spread.flatten(1)
    return _padded(found.view(-1, *spread.shape[1:]), COMPONENTS)


def _eigenvectors(generator: GeneratorFamily, codes: Sequence[int]) -> Tensor:
    """The n that A n changes most (SeFa, equation 6), A the style weights of the layers driven by `codes`.

    As in the authors' code: each row of A, one channel's, has norm 1, so that the layers' gains do not count.

    -> (EIGENVECTORS, D), norm 1.
    """
    weights = [weight.double() for code, weight in generator.affines() if code in codes]
    a = torch.cat(weights)  # (channels, D)
    a = normalize(a)  # a channel that ignores its code stays zero
    _, vectors = torch.linalg.eigh(a.T @ a)
    return _padded(vectors.T.flip(0)[:EIGENVECTORS], EIGENVECTORS)


def _on_codes(vectors: Tensor, codes: Sequence[int], num_codes: int) -> Tensor:
    """(E, D) -> (E, L, D): the vector for each of `codes`, zero for the others; of norm 1 as a whole."""
    steps = vectors.new_zeros(len(vectors), num_codes, vectors.shape[1])
    steps[:, codes] = vectors[:, None] / len(codes) ** 0.5
    return steps


def _padded(found: Tensor, count: int) -> Tensor:
    return torch.cat([found, found.new_zeros(count - len(found), *found.shape[1:])])
