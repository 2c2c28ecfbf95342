"""The faces of an evaluation under each setting of "Refine": residuals, pictures, seconds."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils import convert_conv2d_weight_memory_format
from tqdm import tqdm

from core.checkpoints import Bundle
from core.generators.residual import Residual
from core.images import to_array, to_tensor
from core.refinement.fade import fade
from core.refinement.fast import predict
from core.refinement.polish import polish
from core.rendering.renderer import Renderer
from training.judging.faces import Opened
from training.loops.trained import inverter_of

# Photo and inversion (1, 3, R, R), codes (L, D) -> what refinement finds out.
Solver = Callable[[Tensor, Tensor, Tensor], Residual | None]
# These take about a minute for each face.
SLOW = ("best", "pivotal")
PREDICTED = "_predicted"


@dataclass(frozen=True)
class Refined:
    """Faces under one setting. opened: as the setting shows them unedited, in `inversions`.

    residuals: one for each face, None where nothing is refined; seconds: of refining, mean over the faces.
    """

    opened: Opened
    residuals: tuple[Residual | None, ...]
    seconds: float


def solver(bundle: Bundle, renderer: Renderer, name: str) -> Solver:
    """How a setting refines: "off", the stage of one of the bundle's refiners, "best" or "pivotal".

    STAGE_predicted is a stage without the polish that follows its prediction.
    """
    if name == "off":
        return lambda image, inversion, codes: None
    if name in SLOW:
        return _tuning(bundle, name)
    refiner = bundle.refiners[name.removesuffix(PREDICTED)]
    steps = 0 if name.endswith(PREDICTED) else refiner.config.polish
    for network in (inverter_of(bundle), refiner):
        convert_conv2d_weight_memory_format(network, torch.channels_last)

    def fast(image: Tensor, inversion: Tensor, codes: Tensor) -> Residual:
        image = image.contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), renderer.autocast():
            predicted = predict(refiner, inverter_of(bundle), image, inversion)
        return polish(renderer.synthesis, inverter_of(bundle), predicted, image, codes, steps)

    return fast


def _tuning(bundle: Bundle, name: str) -> Solver:
    # Imported here, as in the engine: nothing else needs what belongs to optimising.
    from core.refinement.gradient_modules import GradientSettings, refine_weights
    from core.refinement.losses import picture_loss
    from core.refinement.optimise import TuningSettings
    from core.refinement.pivotal import tune_weights

    def tuned(image: Tensor, inversion: Tensor, codes: Tensor) -> Residual:
        settings = GradientSettings() if name == "best" else TuningSettings()
        likeness = picture_loss(inverter_of(bundle), image, settings.weights, bundle.lpips)
        if isinstance(settings, GradientSettings):
            return refine_weights(bundle.generator, likeness, codes.clone(), settings)
        return tune_weights(bundle.generator, likeness, codes.clone(), settings)

    return tuned


def refine_faces(opened: Opened, solver: Solver, renderer: Renderer, name: str) -> Refined:
    """Refine every face and render it unedited, one after the other, as it is done for a visitor."""
    device, residuals, pictures, seconds = renderer.device, [], [], 0.0
    for crop, codes in tqdm(zip(opened.crops, opened.codes, strict=True), name, len(opened), disable=None):
        codes = codes.to(device)
        image, inversion = to_tensor(crop, device), renderer.render(codes[None])
        start = time.perf_counter()
        residual = solver(image, inversion, codes)
        picture = inversion if residual is None else renderer.render(codes[None], residual)
        seconds += time.perf_counter() - start
        residuals.append(residual)
        pictures.append(picture.cpu())
    shown = dataclasses.replace(opened, inversions=to_array(torch.cat(pictures)))
    return Refined(shown, tuple(residuals), seconds / len(opened))


def render_each(renderer: Renderer, codes: Tensor, residuals: Sequence[Residual | None]) -> Tensor:
    """Codes (N, L, D), each with a residual of its own -> (N, 3, R, R) float32 on the CPU."""
    pictures = [renderer.render(w[None], r).cpu() for w, r in zip(codes, residuals, strict=True)]
    return torch.cat(pictures)


def edited(
    renderer: Renderer, settings: Mapping[str, Refined], codes: Tensor, reference: Tensor
) -> dict[str, Tensor]:
    """The same edit under every setting, with the fade and, as "NAME, not faded", without it.

    codes: (N, L, D), edited; reference: (N, 3, R, R), the unedited faces without refinement.
    """
    plain = render_each(renderer, codes, [None] * len(codes))
    found = {}
    for name, refined in settings.items():
        if name == "off":
            found[name] = plain
            continue
        pictures = render_each(renderer, codes, refined.residuals)
        found[name] = fade(plain, pictures, reference)
        found[f"{name}, not faded"] = pictures
    return found


def subset(settings: Mapping[str, Refined], index: Sequence[int]) -> dict[str, Refined]:
    """The same settings on some of the faces."""
    return {
        name: Refined(refined.opened.pick(index), tuple(refined.residuals[i] for i in index), refined.seconds)
        for name, refined in settings.items()
    }
