"""What a bundle opens photos by descent with: its start, its LPIPS, dlib's network, its generator."""

from pathlib import Path

import torch
from torch.nn.utils import convert_conv2d_weight_memory_format

from core.checkpoints import Bundle
from core.errors import BadCheckpoint
from core.faces.alignment import model_file
from core.faces.dlib_network import DlibFaceNetwork
from core.inversion.descents import SIZE, Descents
from core.inversion.passes import Passes
from core.inversion.start import group_sizes
from core.inversion.whitening import Whitening
from core.network_config import GradientBasisConfig, IterativeInverterConfig, StartConfig


def descents_of(bundle: Bundle, dtype: torch.dtype) -> Descents | None:
    """What makes this bundle's descents, where its generator is; None without a start or iterative inverter.

    dtype: what networks compute in.
    Raises: BadCheckpoint if it has no LPIPS, the generator makes no picture of SIZE px, or start, iterative
    inverter or gradient basis are of other features, pictures, coordinates or codes.
    """
    start, iterative = bundle.start, bundle.iterative_inverter
    if start is None and iterative is None:
        return None
    if bundle.lpips is None or SIZE not in bundle.generator.sizes:
        raise BadCheckpoint(
            f"The model {bundle.config.title} cannot open photos by descent: that takes LPIPS and pictures "
            f"of {SIZE} px."
        )
    whitening = Whitening.of(bundle.generator)
    device = whitening.mean.device
    face_network = DlibFaceNetwork.load(Path(model_file("dlib_face_recognition_resnet_model_v1.dat")))
    if start is not None:
        _check_start(bundle, start.config, face_network, len(whitening.basis))
        start = start.to(device)
    if iterative is not None:
        _check_iterative(bundle, iterative.config, len(whitening.basis))
    for network in (face_network, bundle.lpips, *(() if iterative is None else (iterative,))):
        convert_conv2d_weight_memory_format(network, torch.channels_last)
    face_network, synthesis = face_network.to(device), bundle.generator.descended(SIZE, dtype)
    free, basis = bundle.generator.followed(SIZE), bundle.gradient_basis
    if basis is not None:
        _check_basis(bundle, basis.config, 1 + free, len(whitening.basis))
        basis = basis.to(device)
    passes = None
    if iterative is not None:
        passes = Passes(iterative.to(device), face_network, synthesis, whitening, start, free)
    return Descents(
        synthesis,
        whitening,
        face_network,
        bundle.lpips.to(device),
        start,
        passes,
        free,
        basis,
        dtype,
    )


def _check_start(bundle: Bundle, start: StartConfig, network: DlibFaceNetwork, coordinates: int) -> None:
    features = sum(group_sizes(network))
    if (start.features, start.coordinates) != (features, coordinates):
        raise BadCheckpoint(
            f"The model {bundle.config.title} cannot open photos by descent: its start makes "
            f"{start.coordinates} coordinates of {start.features} features, not {coordinates} of {features}."
        )


def _check_basis(bundle: Bundle, config: GradientBasisConfig, groups: int, coordinates: int) -> None:
    if (config.groups, config.coordinates) != (groups, coordinates):
        raise BadCheckpoint(
            f"The model {bundle.config.title} cannot open photos by descent: its gradient basis has "
            f"{config.groups} groups of {config.coordinates} coordinates, not {groups} of {coordinates}."
        )


def _check_iterative(bundle: Bundle, config: IterativeInverterConfig, coordinates: int) -> None:
    if (config.input_resolution, config.w_dim) != (SIZE, coordinates):
        raise BadCheckpoint(
            f"The model {bundle.config.title} cannot open photos by descent: its iterative inverter sees "
            f"{config.input_resolution} px and gives {config.w_dim} coordinates, not {SIZE} px and "
            f"{coordinates}."
        )
