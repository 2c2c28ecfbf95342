"""Gather the directions that gradients of descents take: `core.inversion.gradient_basis`.

    python -m training.loops.gradient_basis --bundle checkpoints/portrait1024 --faces faces256.tar

Photos of the training split are opened as the product does, and every few steps what each gradient says is
added up, all of them with the same weight. The bundle is written again with the basis. Five minutes on two
cores.
"""

import argparse
import dataclasses
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from core.checkpoints import save_bundle
from core.inversion.descent import Descent
from core.inversion.gradient_basis import GradientBasis
from core.network_config import GradientBasisConfig
from training.data.aligned import AlignedFaces
from training.loops.iterative_parts import descending
from training.loops.loop import pick_device

STEPS, EVERY, RANK = 36, 3, 64


def gathered(descents: Iterable[Descent]) -> Tensor:
    """(1 + F, K, K): mean of g g^T of each group, the first of trace one, all others together too."""
    total, count = torch.zeros(()), 0
    for descent in descents:
        for i in range(STEPS):
            if i % EVERY == 0:
                _, gradients = descent.gradients()
                shared, own = gradients[:1], gradients[1:]
                g = torch.cat([shared / shared.norm(), own / own.norm()])
                total = total + torch.einsum("gk,gl->gkl", g, g)
                count += 1
            descent.step()
    return total / count


def basis_of(moments: Tensor, rank: int) -> GradientBasis:
    """The leading eigenvectors of `gathered` moments."""
    values, vectors = torch.linalg.eigh(moments.double())  # ascending
    basis = GradientBasis(GradientBasisConfig(len(moments), moments.shape[1], rank))
    state = {"vectors": vectors[..., -rank:].flip(2), "shares": values[:, -rank:].flip(1).clamp(min=0)}
    basis.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    return basis


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.loops.gradient_basis", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--faces", type=Path, required=True, help="aligned faces of 256 px")
    parser.add_argument("--photos", type=int, default=24)
    args = parser.parse_args(argv)
    pick_device("cpu")
    bundle, descents = descending(args.bundle)
    faces = AlignedFaces.open(args.faces)
    names = [row["name"] for row in faces.rows if row["split"] == "train"]
    chosen = [faces[names[i * len(names) // args.photos]] for i in range(args.photos)]
    moments = gathered(descents(face.crop, face.landmarks) for face in chosen)
    basis = basis_of(moments, min(RANK, moments.shape[1]))
    config = dataclasses.replace(bundle.config, gradient_basis=basis.config)
    save_bundle(args.bundle, dataclasses.replace(bundle, config=config, gradient_basis=basis))


if __name__ == "__main__":
    main()
