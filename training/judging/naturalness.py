"""How far opened faces are from real ones, as pictures: Frechet distances of a network's features.

    python -m training.judging.naturalness --bundle checkpoints/portrait1024 --faces faces256.tar \\
        --opened DIR --trunk squeezenet11.safetensors

DIR: what `training.judging.opened --pictures` wrote of test faces. What it is held against are the test faces
of the same sources that were not opened; beside it stand as many samples of the generator (psi .7 and 1), and
as many of those real faces, drawn at random, which is what so few pictures cannot fall below. SqueezeNet is
in no loss here and not the judge of any slider. Its means over the picture are compared in their first
COMPONENTS principal components over the real faces: of so few pictures more cannot be told.
"""

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from core.checkpoints import load_bundle
from core.engine import Engine
from core.images import open_image
from training.data.aligned import AlignedFaces
from training.data.trunks import grid_features, load_trunk
from training.judging.opened import LINES, PORTRAITS, file_name, known_lines
from training.judging.sliders import SIDE, engine_render

COMPONENTS = 48


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """|mean difference|^2 + tr(A + B - 2 (A B)^(1/2)), of sets (N, F), (M, F) (Heusel et al. 2017, Eq. 6)."""
    (mean_a, first), (mean_b, second) = ((x.mean(0), np.cov(x.T)) for x in (a, b))
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    # (A B)^(1/2) has the trace of (A^(1/2) B A^(1/2))^(1/2), which is symmetric.
    between = np.sqrt(np.linalg.eigvalsh(root @ second @ root).clip(0)).sum()
    return float(np.square(mean_a - mean_b).sum() + np.trace(first) + np.trace(second) - 2 * between)


def components(real: np.ndarray, count: int) -> Callable[[np.ndarray], np.ndarray]:
    """Onto the leading principal components of real faces' features (N, F)."""
    mean = real.mean(0)
    _, _, axes = np.linalg.svd(real - mean, full_matrices=False)
    return lambda x: (x - mean) @ axes[:count].T


def distances(real: np.ndarray, others: dict[str, np.ndarray], seed: int = 0) -> dict[str, float]:
    """Of each set to the half of the real faces that none is drawn from; "real": of a draw from the rest."""
    order = np.random.default_rng(seed).permutation(len(real))
    held, rest = real[order[: len(real) // 2]], real[order[len(real) // 2 :]]
    project = components(held, min(COMPONENTS, len(held) - 1))
    count = min(len(x) for x in others.values())
    sets = {**others, "real": rest}
    return {name: frechet(project(x[:count]), project(held)) for name, x in sets.items()}


def _small(pictures: Iterable[np.ndarray]) -> np.ndarray:
    """(N, 256, 256, 3) uint8 of HWC uint8 pictures of any size."""
    return np.stack([cv2.resize(p, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for p in pictures])


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.judging.naturalness", description=__doc__.splitlines()[0]
    )
    for name in ("bundle", "faces", "opened", "trunk"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    args = parser.parse_args(argv)
    trunk, faces = load_trunk("squeezenet", args.trunk), AlignedFaces.open(args.faces)
    bundle = load_bundle(args.bundle)
    render = engine_render(Engine(bundle))
    entries = [e for e in known_lines(args.opened / LINES) if "at" in e and e["source"] != PORTRAITS]
    opened = {entry["name"] for entry in entries}
    sources = {entry["source"] for entry in entries}
    names = [
        row["name"]
        for row in faces.rows
        if row["split"] == "test" and row["source"] in sources and row["name"] not in opened
    ]
    pictures = {
        "opened": _small(open_image(args.opened / "inversions" / f"{file_name(e)}.png") for e in entries)
    }
    for psi in (0.7, 1.0):
        codes = torch.cat([bundle.generator.sample(1, psi, seed=i) for i in range(len(entries))])
        pictures[f"samples, psi {psi:g}"] = render(codes.numpy())
    # Means over the picture, without places.
    look: Callable[[np.ndarray], np.ndarray] = lambda x: grid_features(trunk, x, cells=1).astype(np.float64)  # noqa: E731
    found = distances(
        look(_small(faces[name].crop for name in names)), {name: look(x) for name, x in pictures.items()}
    )
    for name, distance in found.items():
        print(f"{name:16} {distance:8.4f}   over samples at psi 1: {distance / found['samples, psi 1']:.2f}")


if __name__ == "__main__":
    main()
