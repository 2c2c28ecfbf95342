"""Whether a bundle works at all: finite pictures of the right size, codes, logits, and sliders that move."""

import torch
from torch import Tensor

from core.checkpoints import Bundle
from core.editing.label import directions, unit_codes
from core.errors import BadCheckpoint
from core.models.inverter import invert
from core.rendering.renderer import Renderer


@torch.no_grad()
def self_check(bundle: Bundle) -> tuple[str, ...]:
    """What was found to work, in sentences.

    bundle: as `load_bundle` gives it.
    Raises: BadCheckpoint with the first thing that does not.
    """
    generator, config = bundle.generator, bundle.config
    # The way that edits go, in the precision that they have on this machine.
    renderer = Renderer(generator, torch.device("cpu"))
    said = []
    mean = generator.w_mean
    sample = generator.sample(1, seed=0)[0]
    size = config.generator.resolution
    for what, code in (("the mean code", mean), ("a random code", sample)):
        picture = renderer.render(code[None])  # (1, 3, R, R)
        _check(f"The picture of {what}", picture, (1, 3, size, size))
    said.append(f"The mean face and a random one are finite pictures of {size} x {size} px.")
    if bundle.inverter is not None:
        with renderer.autocast():
            codes = invert(generator, bundle.inverter, picture.clamp(-1, 1))
        _check("What the encoder makes of a picture", codes, (1, *mean.shape))
        said.append(f"The encoder gives {mean.shape[0]} finite codes of {mean.shape[1]} for that picture.")
    if bundle.classifier is not None:
        logits = bundle.classifier(sample[None])
        _check("What the classifier says of a code", logits, (1, len(bundle.classifier.config.attributes)))
        said.append(f"The classifier gives {logits.shape[1]} finite logits.")
    if config.attributes:
        _check_sliders(bundle, sample)
        many = len(config.attributes)
        said.append(
            f"Each of the {many} sliders moves the code." if many > 1 else "The slider moves the code."
        )
    return tuple(said)


def _check(what: str, numbers: Tensor, shape: tuple[int, ...]) -> None:
    if numbers.shape != shape:
        raise BadCheckpoint(f"{what} has the shape {tuple(numbers.shape)} instead of {shape}.")
    if not numbers.isfinite().all():
        raise BadCheckpoint(f"{what} holds numbers that are not finite, so this model cannot work.")


def _check_sliders(bundle: Bundle, sample: Tensor) -> None:
    kinds = [torch.cat([unit_codes(bundle.linear_directions), bundle.directions])]
    if bundle.classifier is not None:
        own = directions(bundle.classifier, sample, "first")
        kinds.append(torch.cat([own, bundle.directions]))
    axes = bundle.config.axes
    for attribute in bundle.config.attributes:
        for steps in kinds:
            step = attribute.unit * steps[axes.index(attribute.name)]  # (L, D)
            if not (step.isfinite().all() and step.any()):
                raise BadCheckpoint(
                    f"The slider {attribute.name} does not move the code, or not finitely far."
                )
