"""rosinality's StyleGAN2 files: the converted generator against the format's own mathematics, in float64."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from rosinality_files import generator_tensors, write_rosinality
from torch import Tensor

from core.errors import BadCheckpoint
from core.generators.stylegan2.network import Generator
from core.importing.formats import rosinality
from core.importing.read.reading import read_checkpoint


def converted(content: Any) -> Generator:
    assert rosinality.recognises(content)
    parts = rosinality.convert(content, "some-file")
    assert parts.generator is not None
    config, state = parts.generator
    generator = Generator(config).eval().requires_grad_(False)
    generator.load_state_dict(state, strict=True)
    assert all(t.dtype == torch.float32 for t in state.values())
    return generator


def plain_mapping(tensors: dict[str, Tensor], z: Tensor) -> Tensor:
    x = z / (z.square().mean(1, keepdim=True) + 1e-8).sqrt()
    n = 1
    while f"style.{n}.weight" in tensors:
        weight, bias = tensors[f"style.{n}.weight"].double(), tensors[f"style.{n}.bias"].double()
        x = x @ weight.T * 0.01 / math.sqrt(weight.shape[1]) + bias * 0.01
        x = torch.where(x < 0, 0.2 * x, x) * math.sqrt(2)
        n += 1
    return x


def plain_picture(tensors: dict[str, Tensor], w: Tensor) -> Tensor:
    """w: (L, D) float64 -> (3, R, R), each layer as the paper draws it, position by position of a kernel."""
    t = {name: tensor.double() for name, tensor in tensors.items()}

    def convolved(x: Tensor, kernel: Tensor) -> Tensor:
        """(O, H, W): the sum of the shifted pictures."""
        size, (_, height, width) = kernel.shape[-1], x.shape
        wide = F.pad(x, (size // 2,) * 4)
        y = x.new_zeros(len(kernel), height, width)
        for r in range(size):
            for c in range(size):
                mixed = (kernel[:, :, r, c] @ wide.flatten(1)).view(-1, *wide.shape[1:])
                y += mixed[:, r : r + height, c : c + width]
        return y

    def transposed(x: Tensor, kernel: Tensor) -> Tensor:
        """(O, 2 H + 1, 2 W + 1): every pixel drops a kernel two pixels on."""
        _, height, width = x.shape
        y = x.new_zeros(len(kernel), 2 * height + 1, 2 * width + 1)
        for r in range(3):
            for c in range(3):
                mixed = (kernel[:, :, r, c] @ x.flatten(1)).view(-1, height, width)
                y[:, r : r + 2 * height : 2, c : c + 2 * width : 2] += mixed
        return y

    def filtered(x: Tensor, kernel: Tensor, pad: tuple[int, int]) -> Tensor:
        wide = F.pad(x, pad * 2)
        height, width = wide.shape[1] - 3, wide.shape[2] - 3
        y = x.new_zeros(len(x), height, width)
        for r in range(4):
            for c in range(4):
                y.add_(wide[:, r : r + height, c : c + width], alpha=kernel[3 - r, 3 - c].item())
        return y

    def modulated(name: str, x: Tensor, code: Tensor, demodulate: bool) -> Tensor:
        affine, weight = t[f"{name}.modulation.weight"], t[f"{name}.weight"][0]
        style = affine @ code / math.sqrt(len(code)) + t[f"{name}.modulation.bias"]
        kernel = weight * style[:, None, None] / math.sqrt(weight[0].numel())
        if demodulate:
            kernel = kernel / (kernel.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if f"{name}.blur.kernel" not in t:
            return convolved(x, kernel)
        return filtered(transposed(x, kernel), t[f"{name}.blur.kernel"], (1, 1))

    def styled(name: str, x: Tensor, code: Tensor, index: int) -> Tensor:
        y = modulated(f"{name}.conv", x, code, True)
        y = y + t[f"{name}.noise.weight"] * t[f"noises.noise_{index}"][0]
        y = y + t[f"{name}.activate.bias"][:, None, None]
        return torch.where(y < 0, 0.2 * y, y) * math.sqrt(2)

    x = styled("conv1", t["input.input"][0], w[0], 0)
    rgb = modulated("to_rgb1.conv", x, w[1], False) + t["to_rgb1.bias"][0]
    for i in range(1, len(w) // 2):
        x = styled(f"convs.{2 * i - 2}", x, w[2 * i - 1], 2 * i - 1)
        x = styled(f"convs.{2 * i - 1}", x, w[2 * i], 2 * i)
        spread = rgb.new_zeros(3, 2 * rgb.shape[1], 2 * rgb.shape[2])
        spread[:, ::2, ::2] = rgb
        added = modulated(f"to_rgbs.{i - 1}.conv", x, w[2 * i + 1], False)
        rgb = filtered(spread, t[f"to_rgbs.{i - 1}.upsample.kernel"], (2, 1)) + added
        rgb = rgb + t[f"to_rgbs.{i - 1}.bias"][0]
    return rgb


def assert_agrees(generator: Generator, tensors: dict[str, Tensor]) -> None:
    """Of mapped codes, another one for every layer, to 1e-4 on pictures of order 1."""
    random = torch.Generator().manual_seed(5)
    z = torch.randn(generator.config.num_codes, generator.config.z_dim, generator=random)
    w = plain_mapping(tensors, z.double())
    torch.testing.assert_close(generator.mapping(z).double(), w, rtol=0, atol=5e-5)
    picture = plain_picture(tensors, w)
    assert picture.shape[-1] == generator.config.resolution
    assert 0.2 < picture.std() < 3
    found = generator.synthesis(w[None].float())[0]
    assert (found - picture).abs().max() < 1e-4


@pytest.mark.parametrize("resolution", [64, 256, 1024])
def test_pictures_are_those_of_the_formats_mathematics(tmp_path: Path, resolution: int) -> None:
    path = tmp_path / "net.pt"
    tensors = write_rosinality(path, resolution, seed=resolution)
    generator = converted(read_checkpoint(path).content)
    assert generator.config.num_codes == {64: 10, 256: 14, 1024: 18}[resolution]
    assert_agrees(generator, tensors)


@pytest.mark.slow
def test_config_f_at_1024_px_in_full(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    tensors = write_rosinality(path, 1024, narrow=None, w_dim=512)
    generator = converted(read_checkpoint(path).content)
    assert generator.config.channels == (512, 512, 512, 512, 512, 256, 128, 64, 32)
    assert_agrees(generator, tensors)


def test_sizes_come_from_shapes_and_halves_become_float32() -> None:
    tensors = generator_tensors(64, narrow=24, w_dim=12, mapping_layers=3, multiplier=1)
    halves = {name: tensor.half() for name, tensor in tensors.items()}
    generator = converted({"g_ema": halves, "args": {"size": 64}, "g": {}, "d_optim": {}})
    config = generator.config
    assert (config.resolution, config.channels) == (64, (24, 24, 24, 24, 12))
    assert (config.w_dim, config.z_dim) == (12, 12)
    assert (config.mapping_layers, config.code_rank, config.clamp) == (3, 0, None)
    assert_agrees(generator, halves)


def test_the_average_code_is_the_files_or_that_of_mapped_z() -> None:
    tensors = generator_tensors(16)
    mean = torch.randn(32)
    given = converted({"g_ema": tensors, "latent_avg": mean})
    assert torch.equal(given.w_mean, mean.expand(6, 32))
    random = torch.Generator().manual_seed(9)
    mapped = plain_mapping(tensors, torch.randn(20_000, 32, generator=random, dtype=torch.float64)).mean(0)
    computed = converted({"g_ema": tensors})
    assert (computed.w_mean - mapped).abs().max() < 0.06  # two random means of about 1 / sqrt(10,000)
    assert mapped.abs().max() > 0.2
    assert torch.equal(computed.w_mean, converted({"g_ema": tensors}).w_mean)
    per_code = torch.randn(6, 32)
    _, state = rosinality.generator_parts(tensors, per_code, "A decoder")
    assert torch.equal(state["w_mean"], per_code)


def test_files_without_noise_get_one_that_stays_the_same() -> None:
    tensors = generator_tensors(16, noises=False)
    first, second = converted({"g_ema": tensors}), converted({"g_ema": tensors})
    noises = {name: t for name, t in first.state_dict().items() if name.endswith("noise")}
    assert len(noises) == 5
    assert all(torch.equal(t, second.state_dict()[name]) and t.std() > 0.5 for name, t in noises.items())


def refusal(tensors: dict[str, Any], **more: Any) -> str:
    with pytest.raises(BadCheckpoint) as caught:
        rosinality.convert({"g_ema": tensors, **more}, "net")
    return str(caught.value)


def test_what_is_missing_unexpected_or_ill_shaped_is_listed() -> None:
    whole = generator_tensors(16)
    tensors = {k: t for k, t in whole.items() if k not in ("convs.2.conv.weight", "noises.noise_3")}
    tensors["convs.0.activate.bias"] = torch.zeros(7)
    tensors["iwt.ll"] = torch.zeros(2, 2)
    said = refusal(tensors)
    assert "lacks convs.2.conv.weight, noises.noise_3" in said
    assert "convs.0.activate.bias (7,)" in said
    assert "besides iwt.ll" in said
    decoder = {k: t for k, t in whole.items() if not k.startswith("style.")}
    with pytest.raises(BadCheckpoint, match=r"A decoder .* lacks style\.1\.weight, style\.1\.bias"):
        rosinality.generator_parts(decoder, None, "A decoder")
    assert "style.1.bias" in refusal({k: t for k, t in whole.items() if k != "style.1.bias"})
    assert "optimiser" in refusal(whole, optimiser={})
    assert "latent_avg" in refusal(whole, latent_avg=[0.0])
    assert "(4, 32)" in refusal(whole, latent_avg=torch.zeros(4, 32))


def test_another_filter_is_refused() -> None:
    for name in ("convs.2.conv.blur.kernel", "to_rgbs.0.upsample.kernel"):
        for kernel in (torch.full((4, 4), 0.25), torch.full((4, 4), math.nan)):
            assert "filter" in refusal({**generator_tensors(16), name: kernel})


def test_sizes_beyond_all_published_ones_are_refused() -> None:
    whole = generator_tensors(16)
    assert "1024 px" in refusal({**whole, "convs.999999.conv.weight": torch.zeros(1, 1, 1, 3, 3)})
    wide = torch.zeros(1, 1, 1, 1, 1).expand(1, 10**9, 10**9, 3, 3)
    assert "width 1000000000" in refusal({**whole, "conv1.conv.weight": wide})


@pytest.mark.parametrize(
    "content", [None, [], {}, {"g_ema": None}, {"g_ema": {"style.1.weight": torch.zeros(1)}}, torch.zeros(1)]
)
def test_other_things_are_not_recognised(content: Any) -> None:
    assert not rosinality.recognises(content)


def test_copies_without_their_filters_are_the_same_generator() -> None:
    tensors = generator_tensors(16)
    bare = {name: tensor for name, tensor in tensors.items() if not name.endswith(".kernel")}
    assert len(bare) < len(tensors)
    mean = torch.zeros(32)
    (config, state), (known, wanted) = (
        rosinality.generator_parts(given, mean, "copy.pt") for given in (bare, tensors)
    )
    assert config == known
    assert state.keys() == wanted.keys()
    assert all(torch.equal(state[name], wanted[name]) for name in wanted)
