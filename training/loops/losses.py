"""Losses of inverters and refiners: pixels, identity and features.

Identity and features are those of dlib's face network. MobileFaceNet judges, so no loss may see it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from core.faces.alignment import model_file
from core.faces.dlib_network import DlibFaceNetwork, chips


@dataclass(frozen=True)
class Weights:
    """Weights of the reconstruction terms; zero leaves a term out."""

    pixel: float = 10.0
    squared: float = 20.0
    features: float = 2.0
    identity: float = 3.0


def load_face_network(device: torch.device) -> DlibFaceNetwork:
    """dlib's network, frozen, from the file that comes with its package."""
    network = DlibFaceNetwork.load(Path(model_file("dlib_face_recognition_resnet_model_v1.dat")))
    return network.to(device, memory_format=torch.channels_last)


def reconstruction_losses(
    image: Tensor, target: Tensor, theta: Tensor, network: DlibFaceNetwork
) -> dict[str, Tensor]:
    """Unweighted terms. image, target: (B, 3, S, S) in [-1, 1]; theta: (B, 2, 3) of `chip_grid`.

    identity: the squared distance of dlib's descriptors, .36 where it would no longer say the same person.
    """
    with torch.no_grad():
        wanted, wanted_features = network(chips(target, theta))
    found, found_features = network(chips(image, theta))
    features = [_normalised_distance(a, b) for a, b in zip(found_features, wanted_features, strict=True)]
    return {
        "pixel": F.l1_loss(image, target),
        "squared": F.mse_loss(image, target),
        "features": torch.stack(features).mean(),
        "identity": (found - wanted).square().sum(1).mean(),
    }


def _normalised_distance(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference in units of the target's own mean absolute value."""
    b = b.float()
    return (a.float() - b).abs().mean() / b.abs().mean()


def total(terms: Mapping[str, Tensor], weights: Weights) -> Tensor:
    """Weighted sum of the terms that `weights` names."""
    return torch.stack([getattr(weights, name) * value for name, value in terms.items()]).sum()
