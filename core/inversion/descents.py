"""From a face to its descent: start, loss and the generator's way to a small picture, put together."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core.faces.dlib_network import DlibFaceNetwork
from core.images import to_tensor
from core.inversion.descent import Descent, DescentSettings, Synthesis
from core.inversion.gradient_basis import GradientBasis
from core.inversion.losses import OpeningLoss, OpeningWeights
from core.inversion.passes import Passes
from core.inversion.start import Start, chip_outputs, start_features
from core.inversion.whitening import Whitening
from core.models.lpips import Lpips

# Side in px of the pictures that are compared.
SIZE = 256


@dataclass(frozen=True, eq=False)
class Descents:
    """Makes the descents of one model. Its networks are frozen, on one device; any thread may call.

    synthesis: makes pictures of SIZE px. start, passes: say where to begin, the mean if there is neither;
    passes begin from a start of their own. dtype: networks compute in it. free, basis: as for `Descent`.
    """

    synthesis: Synthesis
    whitening: Whitening
    face_network: DlibFaceNetwork
    lpips: Lpips
    start: Start | None = None
    passes: Passes | None = None
    free: int | None = None
    basis: GradientBasis | None = None
    dtype: torch.dtype = torch.float32
    weights: OpeningWeights = OpeningWeights()  # noqa: RUF009  # frozen
    settings: DescentSettings = DescentSettings()  # noqa: RUF009  # frozen

    def __call__(self, crop: np.ndarray, landmarks: np.ndarray, code: Tensor | None = None) -> Descent:
        """crop: (S, S, 3) uint8, aligned; landmarks: (68, 2) in its pixels; code: (L, D) to begin with."""
        photo = self._photo(crop)
        loss = self._loss(photo, crop, landmarks, self.weights)
        first = self._first(photo, code)
        return Descent(self.synthesis, self.whitening, loss, first, self.settings, self.free, self.basis)

    def loss(
        self, crop: np.ndarray, landmarks: np.ndarray, weights: OpeningWeights | None = None
    ) -> OpeningLoss:
        """Of pictures of SIZE px to a photo. crop, landmarks: as above; weights: None: those of opening."""
        return self._loss(self._photo(crop), crop, landmarks, weights or self.weights)

    def _photo(self, crop: np.ndarray) -> Tensor:
        """(1, 3, SIZE, SIZE) in [-1, 1]."""
        photo = F.interpolate(to_tensor(crop).to(self.whitening.mean.device), size=(SIZE, SIZE), mode="area")
        return photo.contiguous(memory_format=torch.channels_last)

    def _loss(
        self, photo: Tensor, crop: np.ndarray, landmarks: np.ndarray, weights: OpeningWeights
    ) -> OpeningLoss:
        # Pixel centres lie at integers in both pictures.
        points = (landmarks + 0.5) * (SIZE / crop.shape[0]) - 0.5
        return OpeningLoss(photo, points, self.face_network, self.lpips, weights, self.dtype)

    def warm_up(self) -> None:
        """One step on a picture of nothing: the first chooses kernels, which no visitor should wait for."""
        turn = np.linspace(0, 2 * np.pi, 68)
        points = SIZE / 2 * (1 + np.stack([np.cos(turn), np.sin(turn)], 1) / 2)  # (68, 2)
        self(np.zeros((SIZE, SIZE, 3), np.uint8), points).step()

    @torch.no_grad()
    def _first(self, photo: Tensor, code: Tensor | None) -> Tensor:
        """Coordinates (K,) or (L, K)."""
        if code is not None:
            return self.whitening.coordinates(code[None])[0]
        if self.start is None and self.passes is None:
            return self.whitening.mean.new_zeros(len(self.whitening.basis))
        half = self.dtype != torch.float32
        with torch.autocast(photo.device.type, self.dtype, enabled=half):
            if self.passes is not None:
                return self.passes(photo)[0].float()
            assert self.start is not None
            features = start_features(photo, chip_outputs(self.face_network, photo))
        return self.start(features.float())[0]
