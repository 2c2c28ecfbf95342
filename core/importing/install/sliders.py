"""Sliders for what was imported: their names, how long a step is, and a classifier's linear directions.

Lengths are measured on the generator's own samples: at slider value 1 a face has moved by one standard
deviation of them, so that sliders of different sources feel alike.
"""

import torch
from torch import Tensor

from core.config import AttributeConfig
from core.editing.label import unit_codes
from core.errors import BadCheckpoint
from core.generators.family import GeneratorFamily
from core.importing.formats.parts import Direction
from core.models.latent_classifier import LatentClassifier

SAMPLES = 2_000
BATCH = 250
# Of the codes' mean variance. W varies a thousand times less along its last axes than along its first; least
# squares alone would put the logits' curvature there.
RIDGE = 0.1
# Names that begin so are those of unnamed sliders (`core.editing.explore`).
RESERVED = "explore-"
# A fixed direction whose name an attribute of the classifier has too.
SUFFIX = "-direction"

_LABELS = {
    "5_o_clock_shadow": ("Stubble", "shaven", "five o'clock shadow"),
    "bags_under_eyes": ("Bags under the eyes", "", ""),
    "blond_hair": ("Blond hair", "", ""),
    "male": ("Gender", "feminine", "masculine"),
    "mouth_slightly_open": ("Mouth open", "closed", "open"),
    "no_beard": ("No beard", "bearded", "shaven"),
    "smiling": ("Smile", "serious", "smiling"),
    "eyeglasses": ("Glasses", "without", "with"),
    "wearing_earrings": ("Earrings", "without", "with"),
    "wearing_hat": ("Hat", "without", "with"),
    "wearing_lipstick": ("Lipstick", "without", "with"),
    "wearing_necklace": ("Necklace", "without", "with"),
    "wearing_necktie": ("Necktie", "without", "with"),
    "young": ("Young", "older", "younger"),
}


def attribute_slider(name: str, unit: float) -> AttributeConfig:
    """The slider of a classifier's attribute; CelebA's names become tidy labels."""
    plain = name.replace("_", " ")
    label, low, high = _LABELS.get(name.lower(), (plain[:1].upper() + plain[1:].lower(), "", ""))
    return AttributeConfig(name, label, unit, low, high)


def check_name(name: str) -> None:
    """Raises: BadCheckpoint if a slider cannot be called so, because the app's own are."""
    if name.startswith(RESERVED):
        raise BadCheckpoint(
            f"No slider can be called {name}: the app's own begin with {RESERVED}; rename the file."
        )


@torch.no_grad()
def sample_codes(generator: GeneratorFamily) -> Tensor:
    """(SAMPLES, L, D) codes, always the same ones."""
    batches = (generator.sample(BATCH, seed=seed) for seed in range(SAMPLES // BATCH))
    return torch.cat(list(batches))


def deviations(codes: Tensor, steps: Tensor) -> Tensor:
    """(A,): standard deviation of codes (N, L, D) along each step (A, L, D), in lengths of that step."""
    flat = steps.flatten(1).double()
    centred = codes.flatten(1).double()
    centred = centred - centred.mean(0)
    return (centred @ flat.T / flat.square().sum(1).clamp_min(torch.finfo().tiny)).std(0)


def placed(direction: Direction, generator: GeneratorFamily) -> Tensor:
    """The direction's step (L, D), as edits use it; one row is every code's."""
    return direction.step.float().expand(generator.layout.num_codes, -1).contiguous()


def direction_slider(direction: Direction, step: Tensor, codes: Tensor) -> AttributeConfig:
    """step: (L, D), `placed`; codes: (N, L, D), on which its unit is measured where the file gives none."""
    unit = direction.unit
    if unit is None:
        unit = float(deviations(codes, step[None])[0])
    return AttributeConfig(direction.name, direction.label, unit, direction.low, direction.high)


@torch.no_grad()
def linear_directions(classifier: LatentClassifier, codes: Tensor) -> Tensor:
    """(A, L, D) norm 1 for every code: along which each logit grows, by ridge regression on codes (N, L, D).

    The normal equations are solved in the space of the samples, which are fewer than L * D.
    """
    logits = torch.cat([classifier(batch) for batch in codes.split(BATCH)]).double()  # (N, A)
    centred = codes.flatten(1).double()
    centred -= centred.mean(0)
    kernel = centred @ centred.T  # (N, N)
    # The variance of a number of w, over all codes that have it: with one w in every code, L times its own.
    ridge = RIDGE * kernel.trace() / codes.shape[2]
    kernel.diagonal().add_(ridge)
    weights = torch.linalg.solve(kernel, logits - logits.mean(0))  # (N, A)
    found = (weights.T @ centred).view(-1, *codes.shape[1:])
    return unit_codes(found).float()
