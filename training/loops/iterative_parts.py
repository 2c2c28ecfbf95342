"""What the trainings of the iterative inverter share: where it begins, how it is judged and saved."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file

from core.checkpoints import Bundle, load_bundle
from core.files import replacing
from core.images import to_tensor
from core.inversion.bundled import descents_of
from core.inversion.descents import Descents
from core.inversion.passes import Passes
from core.models.iterative_inverter import IterativeInverter
from core.network_config import IterativeInverterConfig
from training.data.aligned import AlignedFace
from training.loops.loop import autocast, sheet


def descending(folder: Path, device: torch.device | str = "cpu") -> tuple[Bundle, Descents]:
    """A bundle, and its descents in bfloat16. Raises: SystemExit where it opens photos by other means."""
    bundle = load_bundle(folder, device)
    descents = descents_of(bundle, torch.bfloat16)
    if descents is None:
        raise SystemExit("That bundle does not open photos by descent, which inverters are taught for.")
    return bundle, descents


def passes_of(descents: Descents, inverter: IterativeInverter) -> Passes:
    """What runs the inverter between the networks of a bundle's descents."""
    d = descents
    return Passes(inverter, d.face_network, d.synthesis, d.whitening, d.start, d.free)


@torch.no_grad()
def validate(
    descents: Descents, inverter: IterativeInverter, faces: Sequence[AlignedFace], path: Path
) -> dict[str, float]:
    """Mean squared error and LPIPS of photos, rms and spread of their codes, after each pass; a sheet too."""
    looking = passes_of(descents, inverter)
    photos = torch.cat([to_tensor(face.crop) for face in faces]).to(descents.whitening.mean.device)
    rows, found = [photos], dict[str, float]()
    with autocast(photos.device):
        made = [v.float() for v in looking.steps(photos, inverter.config.passes)]
    for i, v in enumerate(made, start=1):
        pictures = descents.synthesis(descents.whitening.codes(v)).clamp(-1, 1)
        rows.append(pictures)
        found[f"mse_{i}"] = float((pictures - photos).square().mean())
        found[f"lpips_{i}"] = float(descents.lpips(pictures, photos).mean())
        found[f"rms_{i}"] = float(v.square().mean().sqrt())
        found[f"spread_{i}"] = float((v - v.mean(1, keepdim=True)).square().mean().sqrt())
    sheet(path, rows)
    return found


def save_weights(path: Path, inverter: IterativeInverter) -> None:
    """In half precision, with the config that it is built from."""
    state = {name: tensor.half().contiguous() for name, tensor in inverter.state_dict().items()}
    with replacing(path) as new:
        save_file(state, new, {"config": json.dumps(dataclasses.asdict(inverter.config))})


def first_inverter(bundle: Bundle, trunk: Path | None, passes: int | None) -> IterativeInverter:
    """The bundle's own if it has one, else a new one whose trunk is torchvision's; in so many passes.

    Raises: SystemExit without either.
    """
    length, width = bundle.generator.w_mean.shape
    known = bundle.iterative_inverter
    config = IterativeInverterConfig(length, width) if known is None else known.config
    inverter = IterativeInverter(dataclasses.replace(config, passes=passes or config.passes))
    if known is not None:
        inverter.load_state_dict(known.state_dict())
        return inverter
    if trunk is None:
        raise SystemExit("The bundle has no iterative inverter to go on with; give --trunk to begin one.")
    inverter.trunk.load_published(torch.load(trunk, map_location="cpu", weights_only=True))
    return inverter
