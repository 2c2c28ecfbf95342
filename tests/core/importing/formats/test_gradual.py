"""Files of pSp and e4e: the converted encoder against the formats' mathematics, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from encoder_files import FULL, gradual_content, style_transformer_content, write
from encoder_reference import Encoder
from torch import Tensor

from core.errors import BadCheckpoint
from core.generators.stylegan2.network import Generator
from core.importing.formats import gradual, style_transformer
from core.importing.formats.parts import Parts, check_state
from core.importing.read.reading import read_checkpoint
from core.models.gradual_encoder import GradualEncoder


def encoder(parts: Parts) -> GradualEncoder:
    assert parts.inverter is not None
    config, state = parts.inverter
    with torch.device("meta"):
        module = GradualEncoder(config)
    check_state(module, state)
    module.load_state_dict(state, assign=True)
    return module.eval().requires_grad_(False)


def difference(content: dict[str, Any], kind: str, shape: tuple[int, ...]) -> float:
    """Largest, between the converted module in float32 and the reference, whose codes are of order 1."""
    random = torch.Generator().manual_seed(0)
    image = torch.rand(shape, dtype=torch.float64, generator=random) * 2 - 1
    ours = encoder(gradual.convert(content, "file"))(image.float())
    theirs = Encoder(content["state_dict"]).codes(kind, image, ours.shape[1])
    assert 0.3 < theirs.std() < 5
    return float((ours - theirs).abs().max())


@pytest.mark.parametrize("kind", ["psp", "e4e"])
def test_all_codes_agree_with_the_format(kind: str) -> None:
    content = gradual_content(kind, resolution=1024, seed=3)
    assert len(content["latent_avg"]) == 18
    assert difference(content, kind, (2, 3, 64, 64)) <= 1e-4


@pytest.mark.slow
def test_the_published_size_agrees_with_the_format() -> None:
    content = gradual_content("e4e", 1024, FULL, side=256)
    assert difference(content, "e4e", (1, 3, 256, 256)) <= 1e-4


def test_config_mean_and_generator_come_with_it(tmp_path: Path) -> None:
    content = gradual_content("e4e")
    checkpoint = read_checkpoint(write(tmp_path / "e4e.pt", content, namespace=True))
    assert gradual.recognises(checkpoint.content)
    parts = gradual.convert(checkpoint.content, "e4e")
    assert parts.inverter is not None
    assert parts.generator is not None
    config = parts.inverter[0]
    assert (config.kind, config.num_codes, config.w_dim, config.input_resolution) == ("e4e", 10, 64, 64)
    assert parts.format == "e4e checkpoint (ffhq_encode)"
    torch.testing.assert_close(parts.mean_code, content["latent_avg"], rtol=0, atol=0)
    check_state(Generator(parts.generator[0]), parts.generator[1])
    torch.testing.assert_close(parts.generator[1]["w_mean"], content["latent_avg"], rtol=0, atol=0)
    image = torch.randn(1, 3, 64, 64)
    theirs = Encoder(content["state_dict"]).codes("e4e", image.double(), 10)
    torch.testing.assert_close(encoder(parts)(image).double(), theirs, rtol=0, atol=1e-4)


def test_half_precision_becomes_single() -> None:
    content = gradual_content("psp")
    tensors = content["state_dict"]
    content["state_dict"] = {k: t.half() if t.is_floating_point() else t for k, t in tensors.items()}
    parts = gradual.convert(content, "file")
    assert parts.inverter is not None
    assert {t.dtype for t in parts.inverter[1].values() if t.is_floating_point()} == {torch.float32}


@pytest.mark.parametrize("shape", [(64,), (1, 64), (10, 64)])
def test_a_single_mean_code_is_every_codes(shape: tuple[int, ...]) -> None:
    content = gradual_content("psp")
    content["latent_avg"] = torch.randn(shape)
    mean = gradual.convert(content, "file").mean_code
    torch.testing.assert_close(mean, content["latent_avg"].expand(10, 64), rtol=0, atol=0)


def test_training_states_are_left_out_and_a_mean_may_be_missing() -> None:
    content = gradual_content("e4e")
    content |= {
        "discriminator_state_dict": {"a": torch.ones(1)},
        "optimizer": {"state": {}},
        "global_step": 1,
    }
    del content["latent_avg"]
    assert gradual.convert(content, "file").mean_code is None


def _options(**changes: object) -> Callable[[dict[str, Any]], object]:
    return lambda content: content["opts"].update(changes)


def _without(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda content: content["state_dict"].pop(name)


def _with(name: str, tensor: Tensor) -> Callable[[dict[str, Any]], object]:
    return lambda content: content["state_dict"].update({name: tensor})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda content: content.pop("opts"), "does not say of which kind its encoder is"),
        (_options(encoder_type="SingleStyleCodeEncoder"), "has an encoder SingleStyleCodeEncoder; the known"),
        (_options(encoder_type=None), "does not say of which kind"),
        (_options(start_from_latent_avg=False), "not offsets from the mean code"),
        (_without("encoder.body.5.res_layer.4.bias"), "it lacks body.5.res_layer.4.bias"),
        (_without("encoder.styles.9.linear.bias"), "it lacks styles.9.linear.bias"),
        (_without("decoder.conv1.conv.weight"), "The generator in file"),
        (_with("encoder.fc.weight", torch.ones(3)), "it holds besides fc.weight"),
        (_with("wrong.weight", torch.ones(3)), "it holds besides wrong.weight"),
        (_with("encoder.latlayer1.bias", torch.ones(3)), r"latlayer1.bias \(3,\) in place of \(64,\)"),
        (_with("encoder.latlayer1.bias", "text"), "latlayer1.bias str in place of"),  # type: ignore[arg-type]
        (_with("encoder.body.24.res_layer.0.weight", torch.ones(3)), "a trunk of 25 units"),
        (lambda content: content.update(latent_avg=torch.ones(3, 64)), r"latent_avg of shape \(3, 64\)"),
        (lambda content: content.update(latent_avg=torch.full((10, 64), torch.nan)), "no tensor of finite"),
        (lambda content: content.update(latent_avg="text"), "no tensor of finite"),
    ],
)
def test_what_is_wrong_is_named(spoil: Callable[[dict[str, Any]], object], message: str) -> None:
    content = gradual_content("psp")
    spoil(content)
    with pytest.raises(BadCheckpoint, match=message) as caught:
        gradual.convert(content, "file")
    assert "\n" not in str(caught.value)


def test_an_encoder_of_sketches_is_no_inverter() -> None:
    with pytest.raises(BadCheckpoint, match="inputs of 1 channels"):
        gradual.convert(gradual_content("psp", channels=1), "sketch")


def test_encoder_and_generator_must_be_of_one_size() -> None:
    content, larger = gradual_content("psp"), gradual_content("psp", resolution=128)
    decoder = {k: t for k, t in larger["state_dict"].items() if k.startswith("decoder.")}
    encoder_alone = {k: t for k, t in content["state_dict"].items() if k.startswith("encoder.")}
    content["state_dict"] = encoder_alone | decoder
    del content["latent_avg"]
    with pytest.raises(BadCheckpoint, match="an encoder of 10 codes and a generator of another size"):
        gradual.convert(content, "file")


@pytest.mark.parametrize(
    "content", [None, 3, [], {}, {"state_dict": 3}, {"state_dict": {3: 4}}, torch.ones(2)]
)
def test_other_contents_are_not_recognised(content: object) -> None:
    assert not gradual.recognises(content)
    assert not style_transformer.recognises(content)


def test_the_two_projects_files_are_told_apart() -> None:
    ours, other = gradual_content("psp"), style_transformer_content()
    assert (gradual.recognises(ours), style_transformer.recognises(ours)) == (True, False)
    assert (gradual.recognises(other), style_transformer.recognises(other)) == (False, True)
