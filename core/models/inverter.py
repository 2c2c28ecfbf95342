"""The inverters that a bundle can have, and what is done with any of them."""

import torch.nn.functional as F
from torch import Tensor

from core.generators.family import GeneratorFamily
from core.models.gradual_encoder import GradualEncoder
from core.models.style_transformer import StyleTransformer
from core.network_config import GradualEncoderConfig, InverterConfig

# Both: image (B, 3, S, S) in [-1, 1] -> offsets (B, L, D) from the mean code, and a `trunk`.
Inverter = StyleTransformer | GradualEncoder


def build_inverter(config: InverterConfig | GradualEncoderConfig) -> Inverter:
    """The network that a config describes, with weights that say nothing yet."""
    return GradualEncoder(config) if isinstance(config, GradualEncoderConfig) else StyleTransformer(config)


def invert(generator: GeneratorFamily, inverter: Inverter, image: Tensor) -> Tensor:
    """Codes (B, L, D) of aligned faces.

    image: (B, 3, R, R) in [-1, 1] at any resolution; it is averaged down (or interpolated up) to the
    inverter's own.
    """
    size = inverter.config.input_resolution
    if image.shape[-1] > size:
        image = F.interpolate(image, size=(size, size), mode="area")
    elif image.shape[-1] < size:
        image = F.interpolate(image, size=(size, size), mode="bilinear", align_corners=False)
    return generator.w_mean + inverter(image).float()
