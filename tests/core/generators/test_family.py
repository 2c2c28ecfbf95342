"""What holds for every family, whatever its anatomy."""

import pytest
import torch
from torch import Tensor

from core.config import FAMILY_CONFIGS, FamilyConfig, GeneratorConfig, MobileConfig
from core.generators.family import GeneratorFamily
from core.generators.registry import FAMILIES, build_generator
from core.generators.residual import LowRank, WeightShift

CONFIGS: dict[str, FamilyConfig] = {
    "stylegan2": GeneratorConfig(32, (12, 8, 8, 4), w_dim=10, z_dim=7, mapping_layers=2, code_rank=0),
    "mobile": MobileConfig(64, (12, 8, 8, 4), w_dim=10, z_dim=7, mapping_layers=2, previews=(16,)),
}


@pytest.fixture(params=CONFIGS)
def family(request: pytest.FixtureRequest) -> GeneratorFamily:
    torch.manual_seed(0)
    generator = build_generator(CONFIGS[request.param])
    generator.w_mean.normal_()
    for name, parameter in generator.named_parameters():
        if name.endswith(("noise_strength", "bias")):  # zero at the start, and then no test sees them
            parameter.data += 0.2 * torch.randn_like(parameter)
    return generator.eval().requires_grad_(False)


def test_both_registries_list_the_same_families() -> None:
    assert set(FAMILIES) == set(FAMILY_CONFIGS) == set(CONFIGS)
    for name, config in CONFIGS.items():
        assert config.family == name
        assert isinstance(config, FAMILY_CONFIGS[name])
        assert build_generator(config).config is config


def test_the_layout_describes_the_codes(family: GeneratorFamily) -> None:
    layout = family.layout
    assert (layout.num_codes, family.w_dim) == tuple(family.w_mean.shape)
    assert list(layout.acts_at) == sorted(layout.acts_at)
    assert set(layout.colour) <= set(range(layout.num_codes))
    assert {code for code, _ in family.affines()} == set(range(layout.num_codes))
    assert all(weight.shape[1] == family.w_dim for _, weight in family.affines())
    assert family.principal().shape[1:] == family.w_mean.shape


def test_samples_are_mapped_and_pulled_to_the_mean(family: GeneratorFamily) -> None:
    z = torch.randn(4, 7, generator=torch.Generator().manual_seed(3))
    wanted = family.w_mean + 0.4 * (family.mapping(z)[:, None] - family.w_mean)
    torch.testing.assert_close(family.sample(4, 0.4, seed=3), wanted)
    torch.testing.assert_close(family.sample(2, 0.0), family.w_mean.expand(2, -1, -1))


def test_every_size_is_made_and_the_folded_one_is_as_large(family: GeneratorFamily) -> None:
    w, folded = family.sample(1, seed=1), family.folded(torch.float32)
    assert family.sizes[-1] == family.resolution
    for size in family.sizes:
        assert family.synthesis(w, size=size).shape == (1, 3, size, size)
        assert folded.render(w, size=size).shape == (1, 3, size, size)


def residuals(family: GeneratorFamily) -> tuple[LowRank, WeightShift]:
    assert family.low_rank is not None
    pairs = tuple((torch.randn(2, o), 0.1 * torch.randn(2, i)) for o, i in family.low_rank)
    return LowRank(pairs), WeightShift(tuple(0.3 * k.flip(0) for k in family.kernels().values()))


def test_each_kernel_is_moved_by_its_own_part_of_a_residual(family: GeneratorFamily) -> None:
    w = family.sample(1, seed=2)
    plain = family.synthesis(w)
    low_rank, shift = residuals(family)
    assert len(low_rank.tokens) == len(shift.shifts)
    for i in range(len(shift.shifts)):
        alone = WeightShift(tuple(s * (i == j) for j, s in enumerate(shift.shifts)))
        assert not torch.equal(family.synthesis(w, residual=alone), plain)
        pair = LowRank(tuple(p if i == j else None for j, p in enumerate(low_rank.tokens)))
        found = family.synthesis(w, residual=pair)
        assert not torch.equal(found, plain)
        # With a batch in front, it is the same.
        batched = LowRank(tuple(p and (p[0][None], p[1][None]) for p in pair.tokens))
        assert torch.equal(family.synthesis(w, residual=batched), found)


def test_gradients_reach_codes_and_residuals(family: GeneratorFamily) -> None:
    low_rank, shift = residuals(family)
    w = family.sample(1, seed=2).requires_grad_()

    def reached(leaves: list[Tensor], residual: LowRank | WeightShift | None) -> bool:
        loss = family.synthesis(w, residual=residual).square().mean()
        return all(bool(g.any()) for g in torch.autograd.grad(loss, leaves))

    assert reached([w], None)
    for shifts in (shift.shifts, [s[0] for s in low_rank.tokens if s is not None]):
        for tensor in shifts:
            tensor.requires_grad_()
    assert reached(list(shift.shifts), shift)
    assert reached([pair[0] for pair in low_rank.tokens if pair is not None], low_rank)


def test_only_residuals_of_its_own_kernels_fit(family: GeneratorFamily) -> None:
    low_rank, shift = residuals(family)
    assert family.fits(low_rank)
    assert family.fits(LowRank((None, *low_rank.tokens[1:])))
    assert family.fits(shift)
    p, q = low_rank.tokens[-1]
    others = (
        WeightShift(shift.shifts[1:]),
        WeightShift((*shift.shifts[:-1], shift.shifts[-1][:, 1:])),
        LowRank(low_rank.tokens[1:]),
        LowRank((*low_rank.tokens[:-1], (p[:, 1:], q))),
        LowRank((*low_rank.tokens[:-1], (p[1:], q))),
    )
    assert not any(family.fits(residual) for residual in others)


def test_tuned_pictures_are_those_of_synthesis_and_gradients_go_to_the_residual(
    family: GeneratorFamily,
) -> None:
    torch.manual_seed(1)
    shifts = [(torch.randn_like(kernel) / 10).requires_grad_() for kernel in family.kernels().values()]
    w, residual = family.sample(1, seed=1), WeightShift(tuple(shifts))

    for size in family.sizes:
        found = family.tuned(size, torch.float32)(w, residual)
        torch.testing.assert_close(
            found, family.synthesis(w, residual=residual, size=size), rtol=1e-4, atol=1e-4
        )
    gradients = torch.autograd.grad(found.square().sum(), shifts)
    assert all(bool(gradient.abs().sum() > 0) for gradient in gradients)
