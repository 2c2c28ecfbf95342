"""What a bundle opens photos by descent with: its start, its LPIPS, dlib's network, its generator."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from core.checkpoints import Bundle
from core.errors import BadCheckpoint
from core.faces.alignment import model_file
from core.faces.dlib_network import DlibFaceNetwork
from core.inversion.descents import SIZE, Descents
from core.inversion.start import Start, StartShape
from core.inversion.whitening import Whitening
from core.models.lpips import Lpips

# The tensors of a bundle's start that are LPIPS's begin so; all others are the regression's.
LPIPS = "lpips."


def lpips_of(tensors: Mapping[str, Tensor]) -> Lpips | None:
    """The LPIPS among a bundle's tensors, frozen, where they are; None if there is none.

    Raises: BadCheckpoint if they are another network's.
    """
    state = {name.removeprefix(LPIPS): t for name, t in tensors.items() if name.startswith(LPIPS)}
    if not state:
        return None
    network = Lpips()
    _load(network, state, "LPIPS")
    return network.to(next(iter(state.values())).device)


def descents_of(bundle: Bundle, lpips: Lpips | None, dtype: torch.dtype) -> Descents | None:
    """What makes this bundle's descents, where its generator is; None for a bundle without a start.

    lpips: the bundle's own. dtype: what networks compute in.
    Raises: BadCheckpoint if the start is no start, or the generator makes no picture of SIZE px.
    """
    state = {name: t for name, t in bundle.start.items() if not name.startswith(LPIPS)}
    if not state:
        return None
    if lpips is None or SIZE not in bundle.generator.sizes or "reduce" not in state:
        raise BadCheckpoint(
            f"The model {bundle.config.title} cannot open photos by descent: that takes a start, LPIPS and "
            f"pictures of {SIZE} px."
        )
    whitening = Whitening.of(bundle.generator)
    device = whitening.mean.device
    features, rank = state["reduce"].shape
    start = Start(StartShape(features, rank, len(whitening.basis)))
    _load(start, state, "start")
    return Descents(
        bundle.generator.descended(SIZE, dtype),
        whitening,
        DlibFaceNetwork.load(Path(model_file("dlib_face_recognition_resnet_model_v1.dat"))).to(device),
        lpips,
        start.to(device),
        dtype,
    )


def _load(network: torch.nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    try:
        network.load_state_dict(dict(state))
    except RuntimeError as error:
        raise BadCheckpoint(f"The start of this model holds no {what} that fits it.") from error
    network.eval().requires_grad_(False)
