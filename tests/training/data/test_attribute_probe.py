"""The probe on masks and published attributes, on features whose truth is known."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from training.data.attribute_probe import ATTRIBUTES, Probe, fit_probe, half_of, published, separation
from training.data.trunks import grid_features, load_trunk


def test_the_dual_form_is_ridge_regression() -> None:
    random = np.random.default_rng(1)
    x, y = random.normal(size=(30, 8)) + 3, random.normal(size=(30, 2))
    y[::4, 1] = np.nan
    probe = fit_probe(x, y, ("a", "b"))
    for column in range(2):
        known = ~np.isnan(y[:, column])
        part, target = x[known] - x[known].mean(0), y[known, column] - y[known, column].mean()
        penalty = 0.3 * np.square(part).sum() / known.sum()
        weights = np.linalg.solve(part.T @ part + penalty * np.eye(8), part.T @ target)
        np.testing.assert_allclose(probe.weights[:, column], weights, atol=1e-9)
        np.testing.assert_allclose(probe(x[known])[:, column].mean(), y[known, column].mean(), atol=1e-9)


def test_a_probe_is_the_same_after_disk(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    probe = fit_probe(random.normal(size=(9, 4)), random.normal(size=(9, 2)), ("glasses", "beard"))
    probe.save(tmp_path / "probe.safetensors")
    again = Probe.load(tmp_path / "probe.safetensors")
    assert again.attributes == ("glasses", "beard")
    x = random.normal(size=(3, 4))
    np.testing.assert_allclose(again(x), probe(x), atol=1e-5)


def test_separation_is_the_share_of_pairs_in_order() -> None:
    scores, target = np.array([0.1, 0.9, 0.4, 0.3]), np.array([0.0, 1.0, 0.0, 1.0])
    assert separation(scores, target) == pytest.approx(3 / 4)
    assert separation(scores, np.array([1.0, 9.0, 4.0, np.nan])) == pytest.approx(1)


def test_published_attributes_and_masks_say_what_they_know() -> None:
    row = {"name": "x", "mask": "1", "mask_glasses": "1", "mask_hat": "0", "gender": "", "age": "31"}
    measures = {"bangs": 0.2, "bald": 0.1, "glasses": 0.4}
    known = dict(zip(ATTRIBUTES, published(row, {}, measures), strict=True))
    assert (known["glasses"], known["hat"], known["age"]) == (1, 0, 31)
    assert (known["bangs"], known["bald"]) == (0.2, 0.1)
    assert np.isnan([known["female"], known["beard"], known["makeup"], known["hair_length"]]).all()
    face = {
        "glasses": "Sunglasses", "accessories": "headwear", "eye_makeup": "1", "lip_makeup": "0", "beard":
        "0.8", "moustache": "0.4", "hair_black": "0.1", "hair_blond": "0.2", "hair_red": "0.3",
        "hair_gray": "0.9",
    }  # fmt: skip
    row |= {"mask": "0", "gender": "male"}
    known = dict(zip(ATTRIBUTES, published(row, {"x": face}, {}), strict=True))
    assert (known["glasses"], known["hat"], known["makeup"], known["female"]) == (1, 1, 0.5, 0)
    assert (known["sunglasses"], known["eye_makeup"], known["lipstick"]) == (1, 1, 0)
    assert known["beard"] == pytest.approx(0.6)
    assert (known["moustache"], known["grey_hair"], known["black_hair"]) == (0.4, 0.9, 0.1)
    hidden = {"x": {**face, "hair_gray": ""}}
    assert np.isnan(dict(zip(ATTRIBUTES, published(row, hidden, {}), strict=True))["grey_hair"])


def test_one_person_is_in_one_half_and_both_are_used() -> None:
    assert half_of("ann") == half_of("ann")
    assert {half_of(str(k)) for k in range(20)} == {0, 1}


@pytest.mark.parametrize("name", ["squeezenet", "alexnet"])
def test_trunks_have_the_published_sizes(name: str, tmp_path: Path) -> None:
    """Maps of 13x13 px for 224 px, and features that follow what is in the picture and where."""
    shapes = {
        "alexnet": {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)},
    }
    weights = {}
    torch.manual_seed(0)
    if name == "alexnet":
        for layer, (o, i, k) in shapes[name].items():
            weights[f"trunk.features.{layer}.weight"] = torch.randn(o, i, k, k) * (2 / (i * k * k)) ** 0.5
            weights[f"trunk.features.{layer}.bias"] = torch.zeros(o)
    else:
        weights["features.0.weight"], weights["features.0.bias"] = (
            torch.randn(64, 3, 3, 3) * 0.27,
            torch.zeros(64),
        )
        inputs = 64
        widths = {
            3: (16, 64),
            4: (16, 64),
            6: (32, 128),
            7: (32, 128),
            9: (48, 192),
            10: (48, 192),
            11: (64, 256),
        }
        for layer, (s, e) in {**widths, 12: (64, 256)}.items():
            for part, (o, i, k) in {
                "squeeze": (s, inputs, 1),
                "expand1x1": (e, s, 1),
                "expand3x3": (e, s, 3),
            }.items():
                weights[f"features.{layer}.{part}.weight"] = (
                    torch.randn(o, i, k, k) * (2 / (i * k * k)) ** 0.5
                )
                weights[f"features.{layer}.{part}.bias"] = torch.zeros(o)
            inputs = 2 * e
    save_file(weights, tmp_path / "trunk.safetensors")
    trunk = load_trunk(name, tmp_path / "trunk.safetensors")
    first, last = trunk(torch.rand(1, 3, 224, 224))
    assert first.shape[2:] == last.shape[2:] == (13, 13)
    pictures = np.zeros((2, 256, 256, 3), np.uint8)
    pictures[0, 28:140], pictures[1, 140:252] = 200, 200
    features = grid_features(trunk, pictures, cells=2)
    assert features.shape == (2, (first.shape[1] + last.shape[1]) * 4)
    assert not np.allclose(features[0], features[1], atol=1e-2)
    with pytest.raises(ValueError, match="squeezenet, alexnet"):
        load_trunk("vgg", tmp_path / "trunk.safetensors")
