"""Fit the start of a photo's descent: ridge regression from what dlib's network sees to whitened codes.

    python -m training.loops.start --bundle checkpoints/portrait1024 --samples 5000

Pictures of sampled codes, changed as photos differ (`training.data.photo_variation`), are all it is fitted
on. The bundle is written again with it. Half an hour on two cores.
"""

import argparse
import dataclasses
from pathlib import Path

import torch
from torch import Tensor

from core.checkpoints import load_bundle, save_bundle
from core.faces.alignment import model_file
from core.faces.dlib_network import DlibFaceNetwork
from core.generators.family import GeneratorFamily
from core.inversion.start import Start, chip_outputs, group_sizes, start_features
from core.inversion.whitening import Whitening
from core.network_config import StartConfig
from training.data.photo_variation import photo_variation

BATCH = 25
# Of the samples' codes: neither all average nor broken.
PSI = (0.6, 0.95)
RIDGE, RANK = 0.2, 128
PREVIEW = 256


@torch.no_grad()
def sampled_pairs(
    generator: GeneratorFamily, network: DlibFaceNetwork, count: int, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Features (N, F) of pictures of one code each, and the codes' coordinates (N, K)."""
    whitening = Whitening.of(generator)
    random = torch.Generator().manual_seed(seed)
    features, coordinates = [], []
    for first in range(0, count, BATCH):
        w = generator.sample(min(BATCH, count - first), seed=seed + first)
        psi = torch.rand(len(w), 1, 1, generator=random) * (PSI[1] - PSI[0]) + PSI[0]
        w = generator.w_mean + psi * (w - generator.w_mean)
        pictures = torch.cat([generator.synthesis(code[None], size=PREVIEW) for code in w])
        varied = photo_variation(pictures, seed + first)
        features.append(start_features(varied, chip_outputs(network, varied)))
        coordinates.append(whitening.coordinates(w).mean(1))
        print(f"{first + len(w)} of {count}", flush=True)
    return torch.cat(features), torch.cat(coordinates)


def fit_start(
    features: Tensor, coordinates: Tensor, groups: list[int], counts: Tensor, ridge: float, rank: int
) -> Start:
    """Ridge regression in its dual form, N x N, as N is smaller than F; its leading components are kept.

    features: (N, F), in groups of these sizes that are to count alike, whatever their size and scale;
    coordinates: (N, K). counts: (K,), what an error of each counts when components are left out. ridge: added
    to the kernel's diagonal, in units of its mean.
    """
    mean, scale = features.mean(0), torch.empty(features.shape[1])
    for part, target in zip((features - mean).split(groups, 1), scale.split(groups), strict=True):
        target.fill_(float(part.square().mean().sqrt()) * part.shape[1] ** 0.5)
    x, bias = ((features - mean) / scale).double(), coordinates.mean(0)
    kernel = x @ x.T  # (N, N)
    kernel.diagonal().add_(ridge * float(kernel.diagonal().mean()))
    weights = x.T @ torch.linalg.solve(kernel, (coordinates - bias).double())  # (F, K)
    # Of the predictions' variance, what the first components carry (reduced rank regression).
    _, _, components = torch.linalg.svd(x @ weights * counts, full_matrices=False)
    components = components[:rank].float()  # (rank, K)
    rank = len(components)
    start = Start(StartConfig(features.shape[1], rank, coordinates.shape[1]))
    # About 1, where half precision is at home.
    reduce = (weights * counts).float() @ components.T
    size = float(reduce.square().mean().sqrt())
    state = {
        "mean": mean,
        "scale": scale / size,
        "reduce": reduce / size,
        "expand": components / counts,
        "bias": bias,
    }
    start.load_state_dict(state)
    return start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=5000)
    args = parser.parse_args()
    network = DlibFaceNetwork.load(Path(model_file("dlib_face_recognition_resnet_model_v1.dat")))
    bundle = load_bundle(args.bundle)
    generator = bundle.generator
    pairs = sampled_pairs(generator, network, args.samples)
    # A direction that moves the code further moves the picture further.
    counts = Whitening.of(generator).basis[:, 0].norm(dim=1).clamp(min=1e-3).sqrt()
    start = fit_start(*pairs, group_sizes(network), counts, RIDGE, RANK)
    config = dataclasses.replace(bundle.config, start=start.config)
    save_bundle(args.bundle, dataclasses.replace(bundle, config=config, start=start))


if __name__ == "__main__":
    main()
