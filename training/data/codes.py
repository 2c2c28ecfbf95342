"""Encode whole splits into W+."""

import numpy as np
import torch
from torch import Tensor

from core.generators.family import GeneratorFamily
from core.models.inverter import invert
from core.models.style_transformer import StyleTransformer
from training.data.batches import Batches
from training.data.packs import Faces
from training.loops.loop import autocast


@torch.no_grad()
def encode(
    generator: GeneratorFamily, inverter: StyleTransformer, faces: Faces, device: torch.device
) -> Tensor:
    """(N, L, D) float32 codes of all faces, in order, on the CPU."""
    batches, codes = Batches(faces, 64, device, 0), []
    for start in range(0, len(faces), 64):
        index = np.arange(start, min(start + 64, len(faces)))
        images, _ = batches.take(index, np.zeros(len(index), bool))
        with autocast(device):
            codes.append(invert(generator, inverter, images).float().cpu())
    return torch.cat(codes)


def fit_gaussian(codes: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Mean (L, D) and basis (rank, L*D) with codes ~ mean + randn(rank) @ basis.

    codes: (N, L, D). The rows are principal components times their standard deviations.
    """
    flat = codes.flatten(1)  # (N, L*D)
    mean = flat.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov(flat.T))
    deviations = values[-rank:].clamp(min=0).sqrt()
    return mean.view(codes.shape[1:]), (vectors[:, -rank:] * deviations).T.contiguous()
