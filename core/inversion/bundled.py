"""What a bundle opens photos by descent with: its start, its LPIPS, dlib's network, its generator."""

from pathlib import Path

import torch
from torch.nn.utils import convert_conv2d_weight_memory_format

from core.checkpoints import Bundle
from core.errors import BadCheckpoint
from core.faces.alignment import model_file
from core.faces.dlib_network import DlibFaceNetwork
from core.inversion.descent import Synthesis
from core.inversion.descents import SIZE, Descents
from core.inversion.start import group_sizes
from core.inversion.whitening import Whitening


def descents_of(bundle: Bundle, dtype: torch.dtype, shown: Synthesis | None = None) -> Descents | None:
    """What makes this bundle's descents, where its generator is; None for a bundle without a start.

    dtype: what networks compute in. shown: what makes the pictures of codes that people see.
    Raises: BadCheckpoint if it has no LPIPS, the generator makes no picture of SIZE px, or the start is of
    other features or coordinates.
    """
    if bundle.start is None:
        return None
    if bundle.lpips is None or SIZE not in bundle.generator.sizes:
        raise BadCheckpoint(
            f"The model {bundle.config.title} cannot open photos by descent: that takes a start, LPIPS and "
            f"pictures of {SIZE} px."
        )
    whitening = Whitening.of(bundle.generator)
    device = whitening.mean.device
    face_network = DlibFaceNetwork.load(Path(model_file("dlib_face_recognition_resnet_model_v1.dat")))
    start = bundle.start.config
    features, coordinates = sum(group_sizes(face_network)), len(whitening.basis)
    if (start.features, start.coordinates) != (features, coordinates):
        raise BadCheckpoint(
            f"The model {bundle.config.title} cannot open photos by descent: its start makes "
            f"{start.coordinates} coordinates of {start.features} features, not {coordinates} of {features}."
        )
    for network in (face_network, bundle.lpips):
        convert_conv2d_weight_memory_format(network, torch.channels_last)
    return Descents(
        bundle.generator.descended(SIZE, dtype),
        whitening,
        face_network.to(device),
        bundle.lpips.to(device),
        bundle.start.to(device),
        shown,
        dtype,
    )
