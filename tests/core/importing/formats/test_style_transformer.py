"""Style Transformer's files: the converted inverter against the format's mathematics in float64."""

from typing import Any

import pytest
import torch
from encoder_files import FULL, style_transformer_content
from encoder_reference import Encoder, mapped
from torch import Tensor

from core.errors import BadCheckpoint
from core.generators.stylegan2.network import Generator
from core.importing.formats import style_transformer
from core.importing.formats.parts import check_state
from core.models.style_transformer import StyleTransformer


def converted(content: dict[str, Any], image: Tensor) -> Tensor:
    parts = style_transformer.convert(content, "file")
    assert parts.inverter is not None
    config, state = parts.inverter
    module = StyleTransformer(config)
    check_state(module, state)
    module.load_state_dict(state)
    module.eval().requires_grad_(False)
    return module(image)


def reference(content: dict[str, Any], image: Tensor) -> Tensor:
    """Offsets (1, L, D) of one picture."""
    tensors = content["state_dict"]
    encoder = Encoder(tensors, "encoder.module.")
    style = "decoder.module.style."
    mlp = {name.removeprefix(style): t for name, t in tensors.items() if name.startswith(style)}
    x = mapped(mlp, encoder("z")[0])
    for name, feature in zip(("coarse", "medium", "fine"), encoder.features(image), strict=True):
        x = encoder.layer(f"transformerlayer_{name}", x, feature[0])
    return x[None]


def picture(seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, 256, 256, dtype=torch.float64, generator=random) * 2 - 1


def test_codes_agree_with_the_format() -> None:
    content = style_transformer_content(resolution=1024)
    theirs = reference(content, picture())
    assert theirs.shape == (1, 18, 64)
    assert 0.3 < theirs.std() < 5
    assert (converted(content, picture().float()) - theirs).abs().max() <= 1e-4


def test_a_file_saved_without_data_parallel_is_the_same() -> None:
    parallel, plain = (
        style_transformer.convert(style_transformer_content(prefix=prefix), "file")
        for prefix in ("module.", "")
    )
    assert parallel.inverter is not None
    assert plain.inverter is not None
    assert parallel.inverter[0] == plain.inverter[0]
    torch.testing.assert_close(parallel.inverter[1], plain.inverter[1], rtol=0, atol=0)


@pytest.mark.slow
def test_the_published_size_agrees_with_the_format() -> None:
    content = style_transformer_content(1024, FULL, feedforward=1024)
    theirs = reference(content, picture())
    assert 0.3 < theirs.std() < 5
    assert (converted(content, picture().float()) - theirs).abs().max() <= 1e-4


def test_queries_follow_the_generators_mapping_network() -> None:
    content = style_transformer_content()
    before = converted(content, picture().float())
    content["state_dict"]["decoder.module.style.8.bias"] += 100
    after = converted(content, picture().float())
    assert (after - before).abs().max() > 0.02
    assert (after - reference(content, picture())).abs().max() <= 1e-4


def test_config_mean_and_generator_come_with_it() -> None:
    content = style_transformer_content()
    parts = style_transformer.convert(content, "file")
    assert parts.inverter is not None
    assert parts.generator is not None
    config = parts.inverter[0]
    assert (config.num_codes, config.w_dim, config.input_resolution) == (10, 64, 256)
    assert (config.feedforward, config.heads, config.dense_width) == (48, 4, 0)
    torch.testing.assert_close(parts.mean_code, content["latent_avg"].expand(10, 64), rtol=0, atol=0)
    check_state(Generator(parts.generator[0]), parts.generator[1])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("encoder.module.z", "it lacks z"),
        ("encoder.module.transformerlayer_fine.norm3.bias", "it lacks transformerlayer_fine.norm3.bias"),
        ("encoder.module.transformerlayer_medium.linear1.weight", "it lacks transformerlayer_medium.linear1"),
        ("decoder.module.style.8.weight", "The generator in file"),
    ],
)
def test_what_is_missing_is_named(name: str, message: str) -> None:
    content = style_transformer_content()
    del content["state_dict"][name]
    with pytest.raises(BadCheckpoint, match=message):
        style_transformer.convert(content, "file")


def test_what_is_ill_shaped_or_unknown_is_named() -> None:
    content = style_transformer_content()
    content["state_dict"]["encoder.module.transformerlayer_fine.linear2.weight"] = torch.ones(64, 47)
    content["state_dict"]["encoder.module.extra"] = torch.ones(1)
    with pytest.raises(BadCheckpoint, match=r"linear2.weight \(64, 47\) in place of .*holds besides extra"):
        style_transformer.convert(content, "file")


def test_codes_must_be_the_generators() -> None:
    content = style_transformer_content()
    content["state_dict"]["encoder.module.z"] = torch.ones(1, 18, 64)
    del content["latent_avg"]
    with pytest.raises(BadCheckpoint, match="an encoder of 18 codes and a generator of another size"):
        style_transformer.convert(content, "file")
