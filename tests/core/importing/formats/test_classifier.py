"""The latent classifier's files: the converted module against the format's mathematics in float64."""

from typing import Any

import pytest
import torch
from encoder_files import classifier_content
from torch import Tensor

from core.errors import BadCheckpoint
from core.importing.formats import classifier
from core.importing.formats.parts import check_state
from core.models.latent_classifier import LatentClassifier


def converted(content: dict[str, Any]) -> LatentClassifier:
    parts = classifier.convert(content, "file")
    assert parts.classifier is not None
    config, state = parts.classifier
    module = LatentClassifier(config)
    check_state(module, state)
    module.load_state_dict(state)
    return module.eval().requires_grad_(False)


def reference(content: dict[str, Any], w: Tensor, prefix: str = "") -> tuple[Tensor, Tensor]:
    """Embeddings and logits of codes (B, L, D), attribute by attribute; no activation between the two."""
    tensors = {name.removeprefix(prefix): t.double() for name, t in content["state_dict"].items()}

    def linear(name: str, x: Tensor) -> Tensor:
        return x @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]

    x = w.reshape(len(w), -1)
    for name in ("fcs.0", "fcs.1"):
        x = linear(name, x)
        x = torch.where(x > 0, x, 0.2 * x)
    embeddings = [linear(f"indep_fcs.{k}", x) for k in range(40)]
    logits = [linear(f"output_fcs.{k}", e)[:, 0] for k, e in enumerate(embeddings)]
    return torch.stack(embeddings, 1), torch.stack(logits, 1)


@pytest.mark.parametrize(
    ("codes", "hidden", "embedding", "prefix"),
    [(4, (24, 20), 5, ""), (4, (24, 20), 5, "module."), (18, (2048, 512), 32, "")],
)
def test_embedding_and_logits_agree_with_the_format(
    codes: int, hidden: tuple[int, int], embedding: int, prefix: str
) -> None:
    content = classifier_content(codes, hidden, embedding, prefix=prefix)
    assert classifier.recognises(content)
    module = converted(content)
    w = torch.randn(3, codes, 512, dtype=torch.float64)
    embeddings, logits = reference(content, w, prefix)
    assert 0.1 < logits.std() < 5
    assert (module.embed(w.float()) - embeddings).abs().max() <= 1e-4
    assert (module(w.float()) - logits).abs().max() <= 1e-4


def test_names_are_celebas_in_order() -> None:
    names = converted(classifier_content()).config.attributes
    assert len(set(names)) == 40
    assert list(names) == sorted(names)
    assert (names[0], names[15], names[20], names[31], names[39]) == (
        "5_o_clock_shadow",
        "eyeglasses",
        "male",
        "smiling",
        "young",
    )
    assert all(name.isascii() and name == name.lower() and " " not in name for name in names)


def test_other_numbers_of_attributes_are_refused() -> None:
    with pytest.raises(BadCheckpoint, match="tells 39 attributes; only CelebA's 40"):
        classifier.convert(classifier_content(attributes=39), "file")


def test_inputs_that_are_no_codes_are_refused() -> None:
    with pytest.raises(BadCheckpoint, match="takes 400 numbers"):
        classifier.convert(classifier_content(codes=4, width=100), "file")


def test_what_is_missing_ill_shaped_and_unknown_is_named() -> None:
    content = classifier_content()
    tensors = content["state_dict"]
    del tensors["output_fcs.3.bias"]
    tensors["fcs.2.bias"] = torch.ones(1)
    tensors["indep_fcs.7.weight"] = torch.ones(5, 21)
    message = r"it lacks output_fcs.3.bias; .*indep_fcs.7.weight \(5, 21\).*; it holds besides fcs.2.bias"
    with pytest.raises(BadCheckpoint, match=message):
        classifier.convert(content, "file")


@pytest.mark.parametrize("content", [None, {}, {"state_dict": None}, {"state_dict": {1: 2}}, torch.ones(2)])
def test_other_contents_are_not_recognised(content: object) -> None:
    assert not classifier.recognises(content)
