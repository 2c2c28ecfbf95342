import dataclasses

import pytest
import torch
from torch.nn import functional as F

from core.models.latent_classifier import LatentClassifier
from core.network_config import ClassifierConfig

CONFIG = ClassifierConfig(num_codes=6, attributes=("a", "b", "c"), w_dim=16, hidden=(24, 20), embedding=5)


@pytest.fixture
def classifier() -> LatentClassifier:
    torch.manual_seed(0)
    return LatentClassifier(CONFIG)


def active(x: torch.Tensor, classifier: LatentClassifier) -> torch.Tensor:
    if classifier.config.activation == "softplus":
        return torch.log(1 + torch.exp(x))
    return torch.where(x > 0, x, 0.2 * x)


def plain(classifier: LatentClassifier, w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings and logits, attribute by attribute, from matrices alone."""
    x = w.reshape(len(w), -1)
    for layer in (classifier.trunk[1], classifier.trunk[3]):
        x = active(x @ layer.weight.T + layer.bias, classifier)
    embeddings, logits = [], []
    for k in range(len(CONFIG.attributes)):
        e = x @ classifier.embedding.weight[k].T + classifier.embedding.bias[k]
        e = active(e, classifier)
        embeddings.append(e)
        logits.append((e @ classifier.logit.weight[k].T + classifier.logit.bias[k])[:, 0])
    return torch.stack(embeddings, 1), torch.stack(logits, 1)


@pytest.mark.parametrize("activation", ["leaky_relu", "softplus"])
def test_batched_branches_equal_a_loop_over_attributes(activation: str) -> None:
    torch.manual_seed(0)
    classifier = LatentClassifier(dataclasses.replace(CONFIG, activation=activation))
    w = torch.randn(4, 6, 16)
    embeddings, logits = plain(classifier, w)
    assert classifier.embed(w).shape == (4, 3, 5)
    torch.testing.assert_close(classifier.embed(w), embeddings)
    torch.testing.assert_close(classifier(w), logits)


def test_a_loss_on_one_attribute_trains_no_other_branch(classifier: LatentClassifier) -> None:
    w = torch.randn(4, 6, 16)
    F.binary_cross_entropy_with_logits(classifier(w)[:, 1], torch.ones(4)).backward()
    touched = classifier.embedding.weight.grad.abs().sum((1, 2))
    assert touched[1] > 0
    assert touched[0] == touched[2] == 0


def test_paper_size_has_the_parameters_the_layer_widths_force() -> None:
    config = ClassifierConfig(num_codes=18, attributes=tuple(f"a{i}" for i in range(40)))
    with torch.device("meta"):
        count = sum(p.numel() for p in LatentClassifier(config).parameters())
    expected = (9216 * 2048 + 2048) + (2048 * 512 + 512) + 40 * ((512 * 32 + 32) + (32 + 1))
    assert count == expected


def test_another_activation_is_refused() -> None:
    with pytest.raises(ValueError, match="leaky_relu or softplus, not 'relu'"):
        dataclasses.replace(CONFIG, activation="relu")
