"""Label-based editing directions (Style Transformer, Hu et al., CVPR 2022, section 4.2 and appendix B)."""

import copy
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from core.models.latent_classifier import LatentClassifier

STEP = 1e-3  # xi of equation 8


def directions(
    classifier: LatentClassifier, w: Tensor, order: Literal["first", "second"], seed: int = 0
) -> Tensor:
    """The step in W+ that raises each attribute of one face.

    With L(w) = BCE(C_l^k(w), 1) for attribute k:
    first order:  -g / |g|,  g = dL/dw;
    second order: g = H d by equation 8, (dL/dw at w + xi d  -  dL/dw at w) / xi, d a random unit vector in W+
    fixed by `seed`. H d points up or down with d, so its sign is chosen such that the logit rises.

    w: (L, D) -> (A, L, D), norm 1 for every code (dim=-1), in w's dtype.
    """
    # In float32 the difference of two gradients 1e-3 apart would be mostly rounding.
    classifier = _in_double(classifier)
    uphill = _logit_gradients(classifier, w.double())
    if order == "first":
        # dL/dw = (sigmoid(l) - 1) dl/dw, so -g / |g| is the logit's own direction; taking it from there
        # survives a logit so high that the loss and its gradient are zero.
        return unit_codes(uphill).to(w.dtype)
    noise = torch.randn(w.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    d = (noise / noise.norm()).to(w.device)
    ahead = _loss_gradients(classifier, w.double() + STEP * d)
    curved = unit_codes((ahead - _loss_gradients(classifier, w.double())) / STEP)
    falls = (curved * uphill).sum((1, 2), keepdim=True) < 0
    return torch.where(falls, -curved, curved).to(w.dtype)


def unit_codes(directions: Tensor) -> Tensor:
    """(..., L, D) scaled so that every code (dim=-1) has norm 1; a zero code stays zero."""
    norm = directions.norm(dim=-1, keepdim=True)
    return torch.where(norm > 0, directions / norm, 0)


def _in_double(classifier: LatentClassifier) -> LatentClassifier:
    if next(classifier.parameters()).dtype == torch.float64:
        return classifier
    return copy.deepcopy(classifier).double()


def _logit_gradients(classifier: LatentClassifier, w: Tensor) -> Tensor:
    """dC_l^k/dw for all k: (L, D) -> (A, L, D)."""
    return _gradients(classifier, w, lambda logits: logits)


def _loss_gradients(classifier: LatentClassifier, w: Tensor) -> Tensor:
    """dL/dw for all k with target 1: (L, D) -> (A, L, D)."""
    return _gradients(classifier, w, lambda logits: F.softplus(-logits))


def _gradients(classifier: LatentClassifier, w: Tensor, objective: Callable[[Tensor], Tensor]) -> Tensor:
    # One copy of w for each attribute, each with an objective of its own: one backward pass for all.
    count = len(classifier.config.attributes)
    copies = w.detach().expand(count, -1, -1).clone()
    with torch.enable_grad():
        copies.requires_grad_()
        own = classifier(copies).diagonal()
        (gradients,) = torch.autograd.grad(objective(own).sum(), copies)
    return gradients
