"""From a photo to its code in a few passes of an `IterativeInverter`, each of which compares."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from core.faces.dlib_network import DlibFaceNetwork
from core.inversion.descent import Synthesis
from core.inversion.start import Start, chip_outputs, start_features
from core.inversion.whitening import Whitening
from core.models.iterative_inverter import IterativeInverter, Seen


class Passes:
    """The inverter with all that its passes need. Its networks may be trained meanwhile, but not moved."""

    def __init__(
        self,
        inverter: IterativeInverter,
        face_network: DlibFaceNetwork,
        synthesis: Synthesis,
        whitening: Whitening,
        start: Start | None = None,
        free: int | None = None,
    ) -> None:
        """synthesis: makes pictures of the side that the inverter sees; start: says what the first pass
        compares with, None: the mean face; free: as for `Descent`.
        """
        self.inverter, self._face_network, self._start = inverter, face_network, start
        self._synthesis, self._whitening, self._free = synthesis, whitening, free

    def __call__(self, photos: Tensor) -> Tensor:
        """(B, 3, S, S) in [-1, 1], aligned -> coordinates (B, L, K), of as many passes as the config says."""
        *_, last = self.steps(photos, self.inverter.config.passes)
        return last

    def steps(self, photos: Tensor, passes: int) -> Iterator[Tensor]:
        """The coordinates (B, L, K) after each pass; gradients stay within a pass."""
        photo, v = self.begin(photos)
        for _ in range(passes):
            v = v.detach()
            v = self._followed(self.inverter(photo, self.look(self.pictures(v)), v))
            yield v

    def begin(self, photos: Tensor) -> tuple[Seen, Tensor]:
        """What is seen of photos, and the coordinates (B, L, K) to begin with."""
        photos = photos.float()  # chips are not cut out of anything narrower
        with torch.no_grad():
            outputs = chip_outputs(self._face_network, photos)
        seen = self.inverter.look(photos, _descriptors(outputs))
        v = photos.new_zeros(len(photos), len(self._whitening.basis))
        if self._start is not None:
            # As descent has it: codes and styles are never narrower than float32.
            with torch.no_grad(), torch.autocast(photos.device.type, enabled=False):
                v = self._start(start_features(photos, outputs).float())
        return seen, v[:, None].expand(-1, len(self._whitening.mean), -1)

    @torch.no_grad()
    def pictures(self, v: Tensor) -> Tensor:
        """Coordinates (B, L, K) -> (B, 3, S, S), nominally [-1, 1]."""
        with torch.autocast(v.device.type, enabled=False):
            return self._synthesis(self._whitening.codes(v.float()))

    def look(self, pictures: Tensor) -> Seen:
        """(B, 3, S, S) in [-1, 1] -> what the inverter is given of them."""
        pictures = pictures.float()
        with torch.no_grad():
            outputs = chip_outputs(self._face_network, pictures)
        return self.inverter.look(pictures, _descriptors(outputs))

    def _followed(self, v: Tensor) -> Tensor:
        """(B, L, K), the codes that are not free at what the free ones share."""
        if self._free is None:
            return v
        free = v[:, : self._free]
        return torch.cat([free, free.mean(1, keepdim=True).expand_as(v[:, self._free :])], 1)


def _descriptors(outputs: Sequence[tuple[Tensor, Sequence[Tensor]]]) -> Tensor:
    """Those of all chips, (B, DESCRIPTORS)."""
    return torch.cat([descriptor for descriptor, _ in outputs], 1).float()
