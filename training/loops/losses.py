"""Losses of the generator and the inverter: pixels, identity and features, adversary.

Identity and features are those of dlib's face network. MobileFaceNet judges, so no loss may see it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.faces.alignment import model_file
from core.faces.dlib_network import DlibFaceNetwork, chips


@dataclass(frozen=True)
class Weights:
    """Weights of the reconstruction terms; zero leaves a term out."""

    pixel: float = 10.0
    squared: float = 20.0
    features: float = 2.0
    identity: float = 3.0
    adversarial: float = 0.2


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


class PatchDiscriminator(nn.Module):
    """Strided convolutions with spectral norm, a logit per patch (Isola et al. 2017).

    (B, 3, S, S) -> (B, 1, S/16, S/16).
    """

    def __init__(self, widths: tuple[int, ...] = (48, 96, 192, 256)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for width in widths:
            conv = nn.Conv2d(inputs, width, 4, 2, 1)
            layers += [nn.utils.parametrizations.spectral_norm(conv), nn.LeakyReLU(0.2)]
            inputs = width
        layers.append(nn.utils.parametrizations.spectral_norm(nn.Conv2d(inputs, 1, 3, 1, 1)))
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(image).float()


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Hinge loss (Lim and Ye 2017) of the logits on real and generated pictures."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
