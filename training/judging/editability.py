"""Both ends of an inverter's trade, distortion against editability, without a judge from outside.

Good for comparing inverters of one generator; the figures of a model card come from an independent judge.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from core.editing.label import unit_codes
from core.faces.dlib_network import DlibFaceNetwork
from core.generators.stylegan2.network import Generator
from core.models.inverter import invert
from core.models.style_transformer import StyleTransformer
from core.network_config import ClassifierConfig
from training.data.batches import Batches
from training.data.codes import encode, fit_gaussian
from training.data.known_codes import STATISTICS_DRAWS, KnownCodes
from training.data.offsets import offset_penalty
from training.data.packs import Faces
from training.loops.classifier import fit_classifier, fit_linear, targets
from training.loops.loop import autocast
from training.loops.losses import reconstruction_losses
from training.loops.presets import CLASSIFIER_HIDDEN

BATCH = 64
FIT_FACES, EDITED_FACES = 4000, 64
DEVIATIONS = 2.0  # how far an edit goes, in the attribute's deviations between faces


@torch.no_grad()
def distortion(
    generator: Generator, inverter: StyleTransformer, faces: Batches, network: DlibFaceNetwork
) -> dict[str, float]:
    """MSE on [-1, 1] and the squared distance of dlib's descriptors, over all faces, unmirrored."""
    sums = {"mse": 0.0, "identity": 0.0}
    count = len(faces.images)
    for start in range(0, count, BATCH):
        index = np.arange(start, min(start + BATCH, count))
        images, theta = faces.take(index, np.zeros(len(index), bool))
        with autocast(images.device):
            output = generator.synthesis(invert(generator, inverter, images))
            terms = reconstruction_losses(output, images, theta, network)
        sums["mse"] += terms["squared"].item() * len(index)
        sums["identity"] += terms["identity"].item() * len(index)
    return {name: value / count for name, value in sums.items()}


def spread(faces: Faces, count: int) -> Faces:
    """At most `count` faces, evenly over the table: its order is the file names', that is, by age."""
    index = np.linspace(0, len(faces) - 1, min(count, len(faces))).round().astype(int)
    return replace(
        faces,
        files=tuple(faces.files[i] for i in index),
        images=faces.images[index],
        landmarks=faces.landmarks[index],
        scores=faces.scores[index],
    )


def edit_steps(codes: Tensor, wanted: Tensor) -> Tensor:
    """(A, L, D): linear directions, each so long that its own score moves by DEVIATIONS of its deviations.

    codes: (N, L, D); wanted: (N, A) of `targets`.
    """
    linear = fit_linear(codes, wanted)
    axes = unit_codes(linear)
    deviation = (codes.flatten(1) @ linear.flatten(1).T).std(0)  # (A,)
    length = DEVIATIONS * deviation / (linear * axes).sum((1, 2))
    return axes * length[:, None, None]


@torch.no_grad()
def moved(
    generator: Generator, inverter: StyleTransformer, judge: nn.Module, codes: Tensor, steps: Tensor
) -> Tensor:
    """(A,): share of edits whose logit, of the re-inverted picture, moves the way the edit goes.

    Each face is edited up and down and held against its own unedited inversion. codes: (N, L, D);
    steps: (A, L, D); judge: codes -> logits (N, A).
    """

    def logits(w: Tensor) -> Tensor:
        with autocast(w.device):
            again = invert(generator, inverter, generator.synthesis(w).clamp(-1, 1))
        return judge(again.float())

    base, shares = logits(codes), []
    for a, step in enumerate(steps):
        up, down = logits(codes + step)[:, a], logits(codes - step)[:, a]
        shares.append(((up > base[:, a]).float() + (down < base[:, a]).float()).mean() / 2)
    return torch.stack(shares)


def mahalanobis(codes: Tensor, mean: Tensor, basis: Tensor) -> Tensor:
    """(N,): root mean square over the Gaussian's components; 1 is the typical distance of its own samples.

    codes: (N, L, D); mean, basis: as `training.data.codes.fit_gaussian` gives them. What lies outside of the
    basis does not count.
    """
    lengths = basis.norm(dim=1)
    kept = lengths > 1e-4 * lengths.max()
    components = (codes - mean).flatten(1) @ basis[kept].T / lengths[kept].square()
    return components.square().mean(1).sqrt()


def trade(
    generator: Generator,
    inverter: StyleTransformer,
    train: Faces,
    validation: Faces,
    network: DlibFaceNetwork,
) -> dict[str, float]:
    """`distortion`, then the mean and the least of `moved`, then how far codes lie from the generator's own.

    Directions and judge are fitted here, to at most FIT_FACES codes of this inverter: only the picture stands
    between an edit and its judgement. offset: `offset_penalty` over a code's typical norm, 0 in W.
    """
    known = KnownCodes(generator)
    device = known.mean.device
    figures = distortion(generator, inverter, Batches(validation, BATCH, device, 0), network)
    fit, edited = spread(train, FIT_FACES), spread(validation, EDITED_FACES)
    # In a rehearsal's few faces an attribute may not vary at all.
    names = tuple(name for name in fit.attributes if np.ptp(fit.score(name)) > 0)
    codes = encode(generator, inverter, fit, device)
    wanted = targets(fit, names, fit)
    config = ClassifierConfig(codes.shape[1], names, codes.shape[2], CLASSIFIER_HIDDEN)
    judge = fit_classifier(codes, wanted, config, epochs=10, noise=0.5, seed=0).to(device)
    held_out = encode(generator, inverter, validation, device).to(device)
    steps = edit_steps(codes, wanted).to(device)
    shares = moved(generator, inverter, judge, encode(generator, inverter, edited, device).to(device), steps)
    if known.fitted:
        mean, basis = generator.code_mean, generator.code_basis
    else:
        mean, basis = fit_gaussian(known.draw(STATISTICS_DRAWS), generator.config.code_rank)
    return {
        **figures,
        "moved": shares.mean().item(),
        "moved_least": shares.min().item(),
        "offset": offset_penalty(held_out, known.mean).item() / known.length,
        "mahalanobis": mahalanobis(held_out, mean, basis).mean().item(),
    }
