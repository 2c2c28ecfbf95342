"""How near a generator's samples come to real faces, and whether they are copies of them.

    python -m training.judging.generator --data DIR --identity mobilefacenet.safetensors \
        --bundle checkpoints/portrait128 --out FOLDER

Measured in MobileFaceNet: its last map averaged over positions (512 channels) for Frechet distance,
precision and recall, its embedding for memorisation. Every figure stands beside its floor, the same figure
of real faces that the test split has never seen, by as many of them: training faces for distance,
precision and recall, the test faces themselves for memorisation (UTKFace shows some people twice).

Small sets bias the Frechet distance upward: 388 test faces cannot fill 512 dimensions. Samples and floor
carry about the same bias, so their ratio is nearer to 1 than that of the true distances; compare it with
ratios against the same split only.

FOLDER then holds `generator.json` and two sheets of 64 samples, `samples-psi0.7.png` and
`samples-psi1.0.png`.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.checkpoints import load_bundle
from core.faces.judge import IdentityJudge
from core.generators.family import GeneratorFamily
from core.images import save_image, to_array
from training.data.packs import load
from training.loops.loop import autocast, pick_device

BATCH = 64
NEIGHBOURS = 3
# MobileFaceNet's cosine above which two pictures count as one person.
SAME_PERSON = 0.6
MEMORISATION_SAMPLES = 1000
SHEET_SIDE = 8
SHEET_PSI = (0.7, 1.0)


@dataclass(frozen=True)
class Described:
    """What MobileFaceNet says of N pictures. identity: (N, 128) unit rows; pooled: (N, 512)."""

    identity: Tensor
    pooled: Tensor


def face_box(landmarks: np.ndarray, size: int) -> np.ndarray:
    """(4,) left, top, right, bottom of the median landmarks (N, 68, 2), in parts of the crop's side."""
    median = np.median(landmarks, axis=0)
    return np.concatenate([median.min(0), median.max(0)]) / size


def find_anew(images: np.ndarray, box: np.ndarray) -> np.ndarray:
    """(N, 68, 2) landmarks of aligned crops (N, S, S, 3) uint8, found in the same box in each.

    Samples have none of their own; real faces get theirs in the same way, so that only pictures differ.
    """
    # Imported here: the machines that train have no dlib.
    from core.faces.alignment import find_landmarks

    left, top, right, bottom = (round(float(side)) for side in box * images.shape[1])
    return np.stack([find_landmarks(image, (left, top, right, bottom)) for image in images])


def describe(network: IdentityJudge, images: np.ndarray, box: np.ndarray) -> Described:
    """images: (N, S, S, 3) uint8 RGB, aligned crops; box: from `face_box`. The result is on the CPU."""
    identity, pooled = network.described(images, find_anew(images, box))
    return Described(torch.from_numpy(identity), torch.from_numpy(pooled))


@torch.no_grad()
def draw(generator: GeneratorFamily, count: int, psi: float, seed: int) -> np.ndarray:
    """(count, R, R, 3) uint8 samples from the Gaussian of codes that the bundle carries."""
    pictures = []
    for codes in generator.sample(count, psi, seed).split(BATCH):
        with autocast(codes.device):
            pictures.append(to_array(generator.synthesis(codes)))
    return np.concatenate(pictures)


def frechet(a: Tensor, b: Tensor) -> float:
    """Squared Frechet distance of Gaussians fitted to the rows (Dowson, Landau 1982; Heusel et al. 2017).

    |mean_a - mean_b|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2), a: (N, D), b: (M, D), at least two rows each.
    The product is symmetric, so eigenvalues give its root, also where fewer rows than dimensions leave A
    or B singular; those that rounding made negative are zero.
    """
    a, b = a.double(), b.double()
    cov_a, cov_b = torch.cov(a.T), torch.cov(b.T)
    values, vectors = torch.linalg.eigh(cov_a)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    product = torch.linalg.eigvalsh(root @ cov_b @ root).clamp(min=0)
    means = (a.mean(0) - b.mean(0)).square().sum()
    return float(means + cov_a.trace() + cov_b.trace() - 2 * product.sqrt().sum())


def covered(points: Tensor, manifold: Tensor, k: int = NEIGHBOURS) -> float:
    """Share of points in the manifold of others (Kynkaanniemi et al. 2019, Equation 1).

    points: (N, D); manifold: (M, D), M > k: balls around its points, each reaching its k-th nearest other.
    Precision is covered(samples, real), recall covered(real, samples).
    """
    # The fast form by products leaves a point at some distance from itself.
    exact = "donot_use_mm_for_euclid_dist"
    points, manifold = points.double(), manifold.double()
    # The nearest of all is the point itself.
    radius = torch.cdist(manifold, manifold, compute_mode=exact).kthvalue(k + 1, dim=1).values  # (M,)
    inside = torch.cdist(points, manifold, compute_mode=exact) <= radius  # (N, M)
    return inside.any(1).double().mean().item()


def memorised(identity: Tensor, known: Tensor) -> dict[str, float]:
    """Cosine of each row of (N, D) to the nearest of (M, D), all unit: share > SAME_PERSON, mean, max."""
    nearest = (identity @ known.T).amax(1)
    return {
        "share": (nearest > SAME_PERSON).double().mean().item(),
        "mean": nearest.mean().item(),
        "max": nearest.max().item(),
    }


def measure(samples: Described, train: Described, test: Described, seed: int) -> dict[str, dict[str, float]]:
    """Every figure for the samples and, under "floor", for real faces; see the module's docstring.

    Needs as many training faces as samples; those compared with the test split are drawn by `seed`.
    """
    order = torch.randperm(len(train.pooled), generator=torch.Generator().manual_seed(seed))
    real = train.pooled[order[: len(samples.pooled)]]
    few = min(len(test.pooled), len(samples.pooled))
    target = test.pooled[:few]
    distance, floor = frechet(samples.pooled, test.pooled), frechet(real, test.pooled)
    figures = {
        "frechet": {"samples": distance, "floor": floor, "ratio": distance / floor},
        "precision": {
            "samples": covered(samples.pooled[:few], target),
            "floor": covered(real[:few], target),
        },
        "recall": {"samples": covered(target, samples.pooled[:few]), "floor": covered(target, real[:few])},
    }
    copies = memorised(samples.identity[:MEMORISATION_SAMPLES], train.identity)
    again = memorised(test.identity, train.identity)
    for name, value in copies.items():
        figures[f"nearest_training_face_{name}"] = {"samples": value, "floor": again[name]}
    return figures


def table(figures: Mapping[str, Mapping[str, float]]) -> str:
    """Markdown: a row for each figure."""
    lines = ["| | samples | floor | ratio |", "|---|---|---|---|"]
    for name, row in figures.items():
        ratio = f"{row['ratio']:.2f}" if "ratio" in row else ""
        lines.append(f"| {name.replace('_', ' ')} | {row['samples']:.4f} | {row['floor']:.4f} | {ratio} |")
    return "\n".join(lines)


def write_sheets(generator: GeneratorFamily, seed: int, out: Path) -> None:
    """64 samples at each of SHEET_PSI, at their own size."""
    for psi in SHEET_PSI:
        pictures = draw(generator, SHEET_SIDE**2, psi, seed)
        rows = [np.hstack(list(row)) for row in np.split(pictures, SHEET_SIDE)]
        save_image(np.vstack(rows), out / f"samples-psi{psi}.png")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.judging.generator", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--identity", type=Path, required=True, help="MobileFaceNet's weights")
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--samples", type=int, default=5000, help="at most as many as there are training faces"
    )
    parser.add_argument("--psi", type=float, default=1.0, help="truncation of the measured samples")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="faces per split (a rehearsal)")
    args = parser.parse_args(argv)
    device = pick_device()
    args.out.mkdir(parents=True, exist_ok=True)
    bundle = load_bundle(args.bundle, device)
    write_sheets(bundle.generator, args.seed, args.out)
    network = IdentityJudge.load(args.identity, device)
    train, test = load(args.data, "train", args.limit), load(args.data, "test", args.limit)
    box = face_box(train.landmarks, train.images.shape[1])
    # Never more than the floor has: their biases would differ.
    samples = draw(bundle.generator, min(args.samples, len(train)), args.psi, args.seed)
    made, known, held_out = (
        describe(network, images, box) for images in (samples, train.images, test.images)
    )
    figures = measure(made, known, held_out, args.seed)
    report = {
        "bundle": f"{bundle.config.name} {bundle.config.version}",
        "psi": args.psi,
        "seed": args.seed,
        "samples": len(samples),
        "train_faces": len(train),
        "test_faces": len(test),
        "figures": figures,
    }
    (args.out / "generator.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(table(figures))


if __name__ == "__main__":
    main()
