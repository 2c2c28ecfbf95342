"""What every bundle that was trained here has, unlike those that were imported."""

from core.checkpoints import Bundle
from core.models.latent_classifier import LatentClassifier
from core.models.style_transformer import StyleTransformer


def inverter_of(bundle: Bundle) -> StyleTransformer:
    """Raises: ValueError if it has another inverter, or none."""
    if not isinstance(bundle.inverter, StyleTransformer):
        raise ValueError(f"The bundle {bundle.config.name} has no Style Transformer inverter")
    return bundle.inverter


def classifier_of(bundle: Bundle) -> LatentClassifier:
    """Raises: ValueError if it has none."""
    if bundle.classifier is None:
        raise ValueError(f"The bundle {bundle.config.name} has no latent classifier")
    return bundle.classifier
