"""The readable network against the same mathematics written out in numpy, from arXiv 2104.04767."""

import dataclasses

import numpy as np
import pytest
import torch

from core.generators.mobile.config import FFHQ_1024, MobileConfig
from core.generators.mobile.network import MobileGenerator, inverse_haar, statistics
from core.generators.residual import LowRank, WeightShift

Array = np.ndarray


def plain_haar(x: Array) -> Array:
    """(4C, H, W) -> (C, 2H, 2W), pixel by pixel."""
    channels, height, width = len(x) // 4, *x.shape[1:]
    out = np.empty((channels, 2 * height, 2 * width))
    for c in range(channels):
        a, (h, v, d) = x[c], x[channels + 3 * c : channels + 3 * c + 3]
        out[c, 0::2, 0::2] = (a + h + v + d) / 2
        out[c, 0::2, 1::2] = (a + h - v - d) / 2
        out[c, 1::2, 0::2] = (a - h + v - d) / 2
        out[c, 1::2, 1::2] = (a - h - v + d) / 2
    return out


def plain_3x3(x: Array, kernel: Array) -> Array:
    """(I, H, W) with (O, I, 3, 3) -> (O, H, W), zeros beyond the border."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    _, height, width = x.shape
    return sum(
        np.einsum("oi,ihw->ohw", kernel[:, :, r, c], padded[:, r : r + height, c : c + width])
        for r in range(3)
        for c in range(3)
    )


def plain_picture(generator: MobileGenerator, w: Array, added: list[Array]) -> Array:
    """w: (L, D) -> (3, R, R); added: to each kernel, (O, I, k, k)."""
    state = {name: tensor.numpy() for name, tensor in generator.state_dict().items()}

    def styled(x: Array, name: str, code: Array, gain: float) -> Array:
        return x * ((state[f"{name}.weight"] @ code + state[f"{name}.bias"]) * gain)[:, None, None]

    def finished(x: Array, name: str) -> Array:
        x = x + state[f"{name}.noise"] + state[f"{name}.bias"][:, None, None]
        return np.where(x < 0, 0.2 * x, x)

    x = state["constant"][0]
    x = styled(x, "first.affine", w[0], 1 / np.sqrt(9 * len(x)))
    x = finished(plain_3x3(x, state["first.weight"] + added[0]), "first")
    for i in range(generator.config.num_blocks):
        x = plain_haar(styled(x, f"blocks.{i}.up", w[2 * i + 1], 1))
        for k in (1, 2):
            name = f"blocks.{i}.conv{k}"
            x = styled(x, f"{name}.affine", w[2 * i + k], 1 / np.sqrt(9 * len(x)))
            each = state[f"{name}.depthwise"][:, 0]
            x = np.concatenate([plain_3x3(c[None], d[None, None]) for c, d in zip(x, each, strict=True)])
            kernel = state[f"{name}.weight"] + added[2 * i + k]
            x = finished(np.einsum("oi,ihw->ohw", kernel[:, :, 0, 0], x), name)
    x = styled(x, "to_image.affine", w[-1], 1 / np.sqrt(len(x)))
    x = np.einsum("oi,ihw->ohw", state["to_image.weight"][:, :, 0, 0], x)
    return plain_haar(x + state["to_image.bias"][:, None, None])


def codes(generator: MobileGenerator, count: int = 2) -> torch.Tensor:
    random = torch.Generator().manual_seed(1)
    shape = count, generator.config.num_codes, generator.config.w_dim
    return torch.randn(shape, generator=random, dtype=torch.float64)


def low_rank(generator: MobileGenerator, batch: tuple[int, ...] = ()) -> LowRank:
    """Pairs of rank 2, but for the second kernel, which has none."""
    random = torch.Generator().manual_seed(2)

    def draw(side: int) -> torch.Tensor:
        return torch.randn(*batch, 2, side, generator=random, dtype=torch.float64) / side**0.5

    pairs = [(draw(outputs), draw(inputs)) for outputs, inputs in generator.low_rank]
    return LowRank((pairs[0], None, *pairs[2:]))


def shift(generator: MobileGenerator) -> WeightShift:
    random = torch.Generator().manual_seed(3)
    kernels = generator.kernels().values()
    return WeightShift(
        tuple(0.3 * torch.randn(k.shape, generator=random, dtype=torch.float64) for k in kernels)
    )


def test_synthesis_against_a_plain_pass(tiny: MobileGenerator) -> None:
    w = codes(tiny)
    none = [np.zeros(1)] * len(tiny.kernels())
    wanted = np.stack([plain_picture(tiny, each, none) for each in w.numpy()])
    assert wanted.shape == (2, 3, 64, 64)
    np.testing.assert_allclose(tiny.synthesis(w).numpy(), wanted, rtol=1e-9, atol=1e-9)


def test_residuals_join_the_kernels(tiny: MobileGenerator) -> None:
    w = codes(tiny)
    residual = shift(tiny)
    wanted = [plain_picture(tiny, each, [s.numpy() for s in residual.shifts]) for each in w.numpy()]
    np.testing.assert_allclose(tiny.synthesis(w, residual=residual).numpy(), np.stack(wanted), atol=1e-9)
    pairs = low_rank(tiny, (2,))
    wanted = []
    for b in range(2):
        added = [
            np.zeros(1) if pair is None else (pair[0][b].numpy().T @ pair[1][b].numpy())[:, :, None, None]
            for pair in pairs.tokens
        ]
        wanted.append(plain_picture(tiny, w[b].numpy(), added))
        alone = LowRank(tuple(pair and (pair[0][b], pair[1][b]) for pair in pairs.tokens))
        picture = tiny.synthesis(w[b : b + 1], residual=alone)
        np.testing.assert_allclose(picture[0].numpy(), wanted[b], atol=1e-9)
    np.testing.assert_allclose(tiny.synthesis(w, residual=pairs).numpy(), np.stack(wanted), atol=1e-9)


def test_every_code_acts_from_its_size_on(tiny: MobileGenerator) -> None:
    """A code acts on features of the size that the layout says, and changes none before.

    An odd one acts on what a block begins with, and so is first seen in the features of twice the size.
    """
    seen: dict[int, torch.Tensor] = {}
    layers = {4: tiny.first, **{block.resolution: block for block in tiny.blocks}}
    for size, layer in layers.items():
        layer.register_forward_hook(lambda _, __, out, size=size: seen.__setitem__(size, out))
    w = codes(tiny, 1)
    picture = tiny.synthesis(w)
    before = dict(seen)
    assert tiny.layout.acts_at == (4, 4, 8, 8, 16, 16, 32, 32)
    for code, acts_at in enumerate(tiny.layout.acts_at):
        other = w.clone()
        other[0, code] += 1
        assert not torch.equal(tiny.synthesis(other), picture)
        changed = [size for size in layers if not torch.equal(seen[size], before[size])]
        last = code == tiny.config.num_codes - 1  # which the picture's bands alone see
        seen_from = 2 * acts_at if code % 2 else acts_at
        assert changed == ([] if last else [size for size in layers if size >= seen_from])


def test_half_the_size_is_the_mean_of_four_pixels(tiny: MobileGenerator) -> None:
    w = codes(tiny)
    mean = torch.nn.functional.avg_pool2d(tiny.synthesis(w), 2)
    torch.testing.assert_close(tiny.synthesis(w, size=32), mean, rtol=1e-9, atol=1e-9)
    with pytest.raises(ValueError, match=r"pictures of \(32, 64\) px"):
        tiny.synthesis(w, size=16)


def test_a_preview_sees_the_features_of_its_size() -> None:
    config = MobileConfig(resolution=64, channels=(8, 8, 12, 6), w_dim=10, z_dim=7, previews=(16,))
    generator = MobileGenerator(config).double().requires_grad_(False)
    assert generator.sizes == (16, 32, 64)
    features: list[torch.Tensor] = []
    generator.blocks[1].register_forward_hook(lambda _, __, out: features.append(out))
    w = codes(generator)
    picture = generator.synthesis(w, size=16)
    assert picture.shape == (2, 3, 16, 16)
    assert torch.equal(picture, generator.previews["16"](features[0], w))
    with pytest.raises(ValueError, match="previews"):
        MobileGenerator(config, {})


def test_codes_that_a_preview_follows_are_those_of_its_features() -> None:
    config = MobileConfig(resolution=64, channels=(8, 8, 12, 6), w_dim=10, z_dim=7, previews=(16,))
    generator = MobileGenerator(config).double().requires_grad_(False)
    features: list[torch.Tensor] = []
    generator.blocks[1].register_forward_hook(lambda _, __, out: features.append(out))
    w = codes(generator)[:1]
    generator.synthesis(w, size=16)
    reaching = []
    for code in range(generator.layout.num_codes):
        changed = w.clone()
        changed[:, code] += 1
        generator.synthesis(changed, size=16)
        reaching.append(not torch.equal(features[-1], features[0]))
    followed = generator.followed(16)
    assert reaching == [True] * followed + [False] * (generator.layout.num_codes - followed)
    assert generator.followed(32) == generator.layout.num_codes


def test_the_inverse_haar_transform_keeps_lengths() -> None:
    x = torch.randn(2, 8, 3, 5, dtype=torch.float64)
    torch.testing.assert_close(inverse_haar(x).square().sum(), x.square().sum())
    np.testing.assert_allclose(inverse_haar(x)[0].numpy(), plain_haar(x[0].numpy()), atol=1e-12)


def test_the_published_networks_counts() -> None:
    with torch.device("meta"):
        generator = MobileGenerator(FFHQ_1024)
    assert generator.layout.acts_at == (4, 4, 8, 8, 16, 16, 32, 32, 64, 64, 128, 128, 256, 256, 512, 512)
    assert sum(sum(pair) for pair in generator.low_rank) == 9248
    assert sum(sum(pair) for pair in generator.low_rank[-10:]) == 4896
    assert [tuple(k.shape[2:]) for k in generator.kernels().values()] == [(3, 3)] + [(1, 1)] * 14
    assert len(generator.affines()) == 1 + 3 * 7 + 1


def test_affines_are_styles_steepness(tiny: MobileGenerator) -> None:
    """A style's change for a step in its code, seen at the inputs of the layers."""
    w, step = codes(tiny, 1), torch.randn(10, dtype=torch.float64)
    _, weight = tiny.affines()[0]
    seen: list[torch.Tensor] = []
    tiny.first.affine.register_forward_hook(lambda _, __, out: seen.append(out[0] * tiny.first.gain))
    tiny.synthesis(w)
    w[0, 0] += step
    tiny.synthesis(w)
    torch.testing.assert_close(seen[1] - seen[0], weight @ step)
    assert [code for code, _ in tiny.affines()] == [0, 1, 1, 2, 3, 3, 4, 5, 5, 6, 7]


def test_statistics_are_those_of_the_mapping(tiny: MobileGenerator) -> None:
    mean, axes = statistics(tiny.mapping, 7)
    w = tiny.mapping(torch.randn(20_000, 7, generator=torch.Generator().manual_seed(9)).double())
    torch.testing.assert_close(w.mean(0), mean, rtol=0.1, atol=0.05 * axes.norm().item())
    covariance = axes.T @ axes
    assert (covariance - w.T.cov()).norm() < 0.1 * covariance.norm()
    lengths = axes.norm(dim=1)
    assert (lengths.diff() <= 1e-12).all()
    across = axes @ axes.T
    assert (across - across.diag().diag()).abs().max() < 1e-9 * across.max()
    tiny.w_basis.copy_(axes)
    assert torch.equal(tiny.principal()[:, 3], axes)
    assert torch.equal(statistics(tiny.mapping, 7)[1], axes)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"resolution": 128}, "does not go with 4 channel widths"),
        ({"channels": (8, 6, 12, 6)}, "divisible by 4"),
        ({"channels": (8, 0, 12, 6)}, "widths are 1 to"),
        ({"w_dim": 0}, "widths are 1 to"),
        ({"previews": (32,)}, "among"),
        ({"previews": (16, 8)}, "ascend"),
        ({"family": "stylegan2"}, "not mobile"),
    ],
)
def test_a_config_that_cannot_be_is_refused(changed: dict, says: str) -> None:
    config = MobileConfig(resolution=64, channels=(8, 8, 12, 6))
    with pytest.raises(ValueError, match=says):
        dataclasses.replace(config, **changed)
