"""Refinement "fast": a RefineStyle network looks at the photo once (Xia et al. 2024)."""

from torch import Tensor

from core.generators.residual import LowRank
from core.models.refine_style import RefineStyle, resize
from core.models.style_transformer import StyleTransformer


def predict(refiner: RefineStyle, inverter: StyleTransformer, image: Tensor, inversion: Tensor) -> LowRank:
    """The residual for one face.

    image, inversion: (1, 3, R, R) in [-1, 1], the aligned photo and G(w_plus); only a one-stage refiner
    needs the inverter, whose finest features it reads, and only a two-stage one the inversion.
    """
    if refiner.config.stage == "one_stage":
        *_, finest = inverter.trunk(resize(image, inverter.config.input_resolution))
        pairs = refiner.one_stage(finest)
    else:
        pairs = refiner.two_stage(image, inversion)
    return LowRank(
        tuple(None if pair is None else (pair[0][0].float(), pair[1][0].float()) for pair in pairs)
    )
