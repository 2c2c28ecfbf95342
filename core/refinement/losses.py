"""What a refined picture is compared by while a visitor waits: only what ships, or what the machine has.

Of GANI's four terms (2023, Equation 1) three have a counterpart here: pixels; perception (LPIPS
where the model or the machine has it, else the features of the inverter's trunk); identity (the codes of the
picture, inverted again; ArcFace does not ship, and dlib's network gives no gradient). The fourth, the
features of a face-parsing network, has none and is left out: nothing that ships has learned to parse a face.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from core.models.inverter import Inverter
from core.models.refine_style import resize
from core.precision import gradient_dtype

# Where torchvision keeps the AlexNet below LPIPS, in the folder of torch.hub.
ALEXNET_FILE = "alexnet-owt-7be5be79.pth"

# A trunk sees pictures of at most this many times its own resolution: beyond that it takes too long.
ENLARGEMENT = 2

Lpips = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms; a term of weight zero is not computed.

    identity: off, since on a validation face it took a fifth more time and moved neither identity measure
    by more than .006. locality: of the mean squared change that the correction makes to pictures of other
    codes.
    """

    pixel: float = 10.0
    perceptual: float = 3.0
    identity: float = 0.0
    locality: float = 5.0


def find_lpips(device: torch.device) -> Lpips | None:
    """LPIPS (Zhang et al. 2018) if package and weights are on this machine; nothing is ever downloaded."""
    weights = Path(torch.hub.get_dir()) / "checkpoints" / ALEXNET_FILE
    if not weights.is_file():
        return None
    try:
        import lpips

        network = lpips.LPIPS(net="alex", verbose=False)
    # RuntimeError: a torchvision built for another torch. OSError: weights that cannot be read.
    except (ImportError, RuntimeError, OSError):
        return None
    return network.eval().requires_grad_(False).to(device)


def picture_loss(
    inverter: Inverter, photo: Tensor, weights: LossWeights, lpips: Lpips | None
) -> "PictureLoss":
    """The loss of "best", in half precision where the hardware multiplies in it.

    photo: (1, 3, R, R) in [-1, 1]; lpips: the model's own; None: what `find_lpips` finds.
    """
    if lpips is None and weights.perceptual:
        lpips = find_lpips(photo.device)
    return PictureLoss(inverter, photo, weights, lpips, dtype=gradient_dtype(photo.device))


class PictureLoss:
    """How far a picture is from the photo; what depends on the photo alone is computed once."""

    def __init__(
        self,
        inverter: Inverter,
        photo: Tensor,
        weights: LossWeights,
        lpips: Lpips | None = None,
        enlargement: float = ENLARGEMENT,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """photo: (1, 3, R, R) in [-1, 1]; lpips: takes the place of the trunk's features.

        enlargement: of the pictures that the trunk is shown, in units of its input, if they have as much.
        dtype: networks compute in it.
        """
        self._inverter, self._weights, self._lpips, self._dtype = inverter, weights, lpips, dtype
        self._photo = photo.detach().clone()  # made in inference mode, it could have no part in a gradient
        self._side = min(photo.shape[-1], round(enlargement * inverter.config.input_resolution))
        with torch.no_grad(), self._precision():
            if weights.perceptual and lpips is None:
                self._features = [_unit(f) for f in self._trunk(self._photo)]
            if weights.identity:
                self._codes = inverter(self._small(self._photo)).float()

    def __call__(self, picture: Tensor) -> dict[str, Tensor]:
        """Weighted terms, scalars. picture: (1, 3, R, R) float32."""
        weights, terms = self._weights, {}
        if weights.pixel:
            terms["pixel"] = weights.pixel * F.mse_loss(picture, self._photo)
        with self._precision():
            if weights.perceptual:
                terms["perceptual"] = weights.perceptual * self._perceptual(picture)
            if weights.identity:
                codes = self._inverter(self._small(picture)).float()
                similarity = F.cosine_similarity(codes, self._codes, dim=2)  # (1, L)
                terms["identity"] = weights.identity * (1 - similarity.mean())
        return terms

    def _precision(self) -> contextlib.AbstractContextManager[None]:
        if self._dtype == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self._photo.device.type, self._dtype)

    def _perceptual(self, picture: Tensor) -> Tensor:
        if self._lpips is not None:
            return self._lpips(picture, self._photo).mean()
        pairs = zip(self._trunk(picture), self._features, strict=True)
        return torch.stack([feature_distance(_unit(a), b) for a, b in pairs]).mean()

    def _small(self, picture: Tensor) -> Tensor:
        return resize(picture, self._inverter.config.input_resolution)

    def _trunk(self, picture: Tensor) -> list[Tensor]:
        """Features after the stem and each stage of the inverter's trunk, before the pyramid mixes them.

        The picture is larger than those that the trunk was trained on, which convolutions allow: averaged
        down, it loses what tells faces apart.
        """
        trunk = self._inverter.trunk
        features = [trunk.stem(resize(picture, self._side))]
        for stage in trunk.stages:
            features.append(stage(features[-1]))
        return features


def feature_distance(a: Tensor, b: Tensor) -> Tensor:
    """LPIPS without its learned channel weights: squared distance of unit columns, (B, C, h, w) each."""
    return (a - b).square().sum(1).mean()


def _unit(features: Tensor) -> Tensor:
    """(B, C, h, w) float32 with every column of length one."""
    features = features.float()
    return features * torch.rsqrt(features.square().sum(1, keepdim=True) + 1e-8)
