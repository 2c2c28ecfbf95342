"""Directions of gradients, gathered from descents."""

from dataclasses import dataclass, replace

import pytest
import torch

from core.inversion import descents as module
from core.inversion.descents import Descents
from core.inversion.gradient_basis import GradientBasis
from core.network_config import GradientBasisConfig
from training.data.aligned import AlignedFace
from training.loops import gradient_basis
from training.loops.gradient_basis import basis_of, gathered

from .conftest import SIDE, Faces


def test_the_leading_directions_are_the_ones_that_gradients_take() -> None:
    torch.manual_seed(0)
    axes, _ = torch.linalg.qr(torch.randn(2, 6, 6))
    sizes = torch.tensor([[0.5, 0.3, 0.15, 0.05, 0, 0], [0.6, 0.4, 0, 0, 0, 0]])

    class Steps:
        """A descent whose gradients come from these directions."""

        def gradients(self) -> tuple[float, torch.Tensor]:
            return 0.0, torch.einsum("gkr,gr->gk", axes, sizes.sqrt() * torch.randn(2, 6))

        def step(self) -> None:
            pass

    moments = gathered([Steps() for _ in range(60)])  # type: ignore[misc]
    basis = basis_of(moments, 3)

    torch.testing.assert_close(moments.diagonal(dim1=1, dim2=2).sum(1), torch.ones(2))
    for group, rank in ((0, 3), (1, 2)):
        along = (axes[group, :, :rank].T @ basis.vectors[group, :, :rank]).abs()
        torch.testing.assert_close(along, torch.eye(rank), atol=0.15, rtol=0)
    assert (basis.shares.diff() <= 0).all()
    assert float(basis.shares[1, :2].sum()) == pytest.approx(1, abs=1e-4)


def test_descents_of_training_photos_make_a_bundle_s_basis(
    descents: Descents, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclass(frozen=True)
    class Config:
        gradient_basis: GradientBasisConfig | None = None

    @dataclass(frozen=True)
    class Bundle:
        config: Config = Config()  # frozen
        gradient_basis: GradientBasis | None = None

    class Asked(Faces):
        def __getitem__(self, name: str) -> AlignedFace:
            asked.append(name)
            return super().__getitem__(name)

    asked: list[str] = []
    saved: list[Bundle] = []
    monkeypatch.setattr(module, "SIZE", SIDE)
    monkeypatch.setattr(gradient_basis, "STEPS", 4)
    monkeypatch.setattr(gradient_basis, "descending", lambda folder: (Bundle(), replace(descents, free=2)))
    monkeypatch.setattr(gradient_basis.AlignedFaces, "open", lambda path: Asked())
    monkeypatch.setattr(gradient_basis, "save_bundle", lambda folder, bundle: saved.append(bundle))

    gradient_basis.main(["--bundle", "b", "--faces", "f", "--photos", "2"])

    assert asked == ["f0", "f1"]  # of the training split
    (bundle,) = saved
    basis = bundle.gradient_basis
    assert basis is not None
    assert bundle.config.gradient_basis == basis.config
    assert basis.config.groups == 1 + 2
    product = basis.vectors.transpose(1, 2) @ basis.vectors
    torch.testing.assert_close(product, torch.eye(basis.config.rank).expand(3, -1, -1), atol=1e-4, rtol=0)
