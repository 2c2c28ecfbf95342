"""The faces that an evaluation edits, and what it does with them in batches: render, edit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from core.checkpoints import Bundle
from core.editing.label import directions, unit_codes
from core.generators.family import GeneratorFamily
from core.images import open_image, to_array
from training.data.codes import encode
from training.data.packs import Faces
from training.loops.loop import autocast
from training.loops.trained import classifier_of, inverter_of

BATCH = 32
Order = Literal["first", "second", "linear"]


@dataclass(frozen=True)
class Opened:
    """Aligned faces and their codes.

    crops: (N, R, R, 3) uint8; landmarks: (N, 68, 2) of the originals, in crop pixels; codes: (N, L, D);
    inversions: (N, R, R, 3) uint8, what the generator makes of the codes.
    """

    names: tuple[str, ...]
    crops: np.ndarray
    landmarks: np.ndarray
    codes: Tensor
    inversions: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def first(self, count: int) -> "Opened":
        """The first `count` of them."""
        return self.pick(range(min(count, len(self))))

    def pick(self, index: Sequence[int]) -> "Opened":
        """Those with these numbers."""
        i = np.fromiter(index, int)
        return Opened(
            tuple(self.names[k] for k in i),
            self.crops[i],
            self.landmarks[i],
            self.codes[torch.from_numpy(i)],
            self.inversions[i],
        )


def open_split(bundle: Bundle, faces: Faces, device: torch.device) -> Opened:
    """Invert the faces of a split."""
    codes = encode(bundle.generator, inverter_of(bundle), faces, device)
    return Opened(faces.files, faces.images, faces.landmarks, codes, render(bundle.generator, codes, device))


def open_photos(
    bundle: Bundle, files: Sequence[Path], device: torch.device, warn: Callable[[str], None]
) -> tuple[Opened, int]:
    """Open photos as a visitor would, the largest face of each; also returns in how many none was found.

    Unreadable files are named through `warn`. Raises ValueError if no face is left.
    """
    # Imported here: dlib is a need of evaluation alone.
    from core.engine import Engine
    from core.errors import BadImage, NoFaceFound
    from core.faces.alignment import to_crop

    engine, size = Engine(bundle, device), bundle.config.generator.resolution
    portraits, no_face = {}, 0
    for file in tqdm(files, desc="Opening", unit="photo", disable=None):
        try:
            portraits[file.name] = engine.open_portrait(open_image(file))
        except BadImage as error:
            warn(f"{file.name} is left out: {error}")
        except NoFaceFound:
            no_face += 1
    if not portraits:
        raise ValueError("No photo shows a face")
    codes = torch.stack([portrait.w_plus.cpu() for portrait in portraits.values()])
    opened = Opened(
        names=tuple(portraits),
        crops=np.stack([p.crop for p in portraits.values()]),
        landmarks=np.stack(
            [to_crop(p.faces[p.face].landmarks, p.transform, size) for p in portraits.values()]
        ),
        codes=codes,
        inversions=render(bundle.generator, codes, device),
    )
    return opened, no_face


@torch.no_grad()
def render(generator: GeneratorFamily, codes: Tensor, device: torch.device) -> np.ndarray:
    """Codes (N, L, D) -> pictures (N, R, R, 3) uint8, as a visitor would see them."""
    pictures = []
    for part in codes.split(BATCH):
        with autocast(device):
            pictures.append(to_array(generator.synthesis(part.to(device))))
    return np.concatenate(pictures)


def face_axes(bundle: Bundle, codes: Tensor, order: Order, device: torch.device) -> Tensor:
    """Editing directions of every face: (N, L, D) -> (N, A, L, D) on the CPU, A the classifier's."""
    if order == "linear":
        return unit_codes(bundle.linear_directions).cpu().expand(len(codes), -1, -1, -1)
    return torch.stack([directions(classifier_of(bundle), w.to(device), order).cpu() for w in codes])


def edit(bundle: Bundle, codes: Tensor, axes: Tensor, name: str, value: float) -> Tensor:
    """Codes (N, L, D) with one slider at `value`; axes: (N, A, L, D) of `face_axes`."""
    unit = next(a.unit for a in bundle.config.attributes if a.name == name)
    index = classifier_of(bundle).config.attributes.index(name)
    return codes + value * unit * axes[:, index]
