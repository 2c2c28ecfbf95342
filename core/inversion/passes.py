"""From a photo to its code in a few passes of an `IterativeInverter`, each of which compares."""

from collections.abc import Iterator

import torch
from torch import Tensor

from core.faces.dlib_network import DlibFaceNetwork
from core.inversion.descent import Synthesis
from core.inversion.start import fixed_chips
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
        free: int | None = None,
    ) -> None:
        """synthesis: makes pictures of the side that the inverter sees; free: as for `Descent`."""
        self.inverter, self._face_network = inverter, face_network
        self._synthesis, self._whitening, self._free = synthesis, whitening, free

    def __call__(self, photos: Tensor) -> Tensor:
        """(B, 3, S, S) in [-1, 1], aligned -> coordinates (B, L, K), of as many passes as the config says."""
        *_, last = self.steps(photos, self.inverter.config.passes)
        return last

    def steps(self, photos: Tensor, passes: int) -> Iterator[Tensor]:
        """The coordinates (B, L, K) after each pass; gradients stay within a pass.

        The first pass compares with the mean face, whose code is all zeros.
        """
        photo = self.look(photos)
        v = photos.new_zeros(len(photos), *self._whitening.mean.shape[:1], len(self._whitening.basis))
        for i in range(passes):
            v = v.detach()
            # As descent has it: codes and styles are never narrower than float32.
            with torch.no_grad(), torch.autocast(photos.device.type, enabled=False):
                picture = self._synthesis(self._whitening.codes((v if i else v[:1]).float()))
            v = self._followed(self.inverter(photo, self.look(picture).expand(len(photos)), v))
            yield v

    def _followed(self, v: Tensor) -> Tensor:
        """(B, L, K), the codes that are not free at what the free ones share."""
        if self._free is None:
            return v
        free = v[:, : self._free]
        return torch.cat([free, free.mean(1, keepdim=True).expand_as(v[:, self._free :])], 1)

    def look(self, pictures: Tensor) -> Seen:
        """(B, 3, S, S) in [-1, 1] -> what the inverter is given of them."""
        pictures = pictures.float()  # chips are not cut out of anything narrower
        with torch.no_grad():
            descriptors = [self._face_network(chips)[0] for chips in fixed_chips(pictures)]
        return self.inverter.look(pictures, torch.cat(descriptors, 1).float())
