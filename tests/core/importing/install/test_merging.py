"""Parts of files laid into bundles that have what no import makes: refiners, reference editors, a gallery."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from core.checkpoints import Bundle, load_bundle, save_bundle
from core.config import BundleConfig
from core.importing.formats.parts import Direction, Parts
from core.importing.install.merging import Merged, Source, merge
from core.models.gradual_encoder import GradualEncoder
from core.models.latent_classifier import LatentClassifier
from core.network_config import ClassifierConfig, GradualEncoderConfig


def laid(bundle: Bundle, **parts) -> Merged:
    return merge(bundle, [Source(Path("new.pt"), "0" * 64, Parts("a format", "A licence.", **parts))])


def saved(bundle: Bundle, folder: Path) -> Bundle:
    """What is read again after saving: configs and parts fit together."""
    save_bundle(folder, bundle, torch.float32)
    return load_bundle(folder)


@pytest.fixture
def encoder(taking_config: BundleConfig) -> tuple[GradualEncoderConfig, dict[str, Tensor]]:
    torch.manual_seed(0)
    generator = taking_config.generator
    config = GradualEncoderConfig(
        "e4e",
        generator.num_codes,
        generator.w_dim,
        64,
        16,
        (16, 16, 16, generator.w_dim),
        (1, 1, 1, 1),
    )
    return config, dict(GradualEncoder(config).state_dict())


def test_refiners_go_with_the_encoder_that_they_read(taking_bundle: Bundle, encoder, tmp_path: Path) -> None:
    merged = laid(taking_bundle, inverter=encoder)
    assert any("refiners" in notice for notice in merged.notices)
    bundle = saved(merged.bundle, tmp_path / "b")
    assert bundle.refiners == {}
    assert bundle.config.refiners == ()
    assert bundle.config.inverter == encoder[0]
    # What works on codes alone stays.
    assert bundle.reference_editors.keys() == taking_bundle.reference_editors.keys()
    assert torch.equal(bundle.gallery, taking_bundle.gallery)
    assert torch.equal(bundle.generator.w_mean, taking_bundle.generator.w_mean)
    # The bundle that it was made from is as it was.
    assert taking_bundle.refiners
    assert taking_bundle.config.refiners


@pytest.mark.parametrize(("change", "moves"), [(0.0, False), (1e-6, False), (0.1, True)])
def test_an_encoders_mean_replaces_another_but_for_rounding(
    tiny_bundle_dir: Path, encoder, change: float, moves: bool
) -> None:
    bundle = load_bundle(tiny_bundle_dir)
    before = bundle.generator.w_mean.clone()
    merged = laid(bundle, inverter=encoder, mean_code=before * (1 + change))
    assert torch.equal(merged.bundle.generator.w_mean, before * (1 + change) if moves else before)
    assert any("mean code" in notice for notice in merged.notices) == moves


def test_a_classifier_replaces_sliders_and_reference_editors(taking_bundle: Bundle, tmp_path: Path) -> None:
    torch.manual_seed(0)
    generator = taking_bundle.config.generator
    config = ClassifierConfig(generator.num_codes, ("smile", "wearing_hat"), generator.w_dim, (8, 8), 4)
    merged = laid(taking_bundle, classifier=(config, dict(LatentClassifier(config).state_dict())))
    assert any("reference editors" in notice for notice in merged.notices)
    assert any("takes the place" in notice for notice in merged.notices)
    bundle = saved(merged.bundle, tmp_path / "b")
    assert [(a.name, a.label) for a in bundle.config.attributes] == [
        ("smile", "Smile"),
        ("wearing_hat", "Hat"),
    ]
    assert bundle.reference_editors == {}
    assert bundle.refiners.keys() == taking_bundle.refiners.keys()


def test_directions_join_the_classifiers_sliders(taking_bundle: Bundle, tmp_path: Path) -> None:
    generator = taking_bundle.config.generator
    step = torch.zeros(generator.num_codes, generator.w_dim)
    step[2, 3] = -1.0
    directions = (Direction("lamp", "Lamp", step, 1.5, "off", "on"), Direction("smile", "Smile", step, 1.0))
    merged = laid(taking_bundle, directions=directions)
    bundle = saved(merged.bundle, tmp_path / "b")
    before = taking_bundle.config.attributes
    assert bundle.config.attributes[: len(before)] == before
    assert [a.name for a in bundle.config.attributes[len(before) :]] == ["lamp", "smile-direction"]
    assert bundle.config.attributes[-2].unit == 1.5
    assert torch.equal(bundle.directions[0], step)
    assert bundle.classifier is not None
    assert bundle.config.licence.endswith("A licence")
    # Once more: the same sliders again.
    again = merge(merged.bundle, [Source(Path("newer.pt"), "1" * 64, Parts("f", "l", directions=directions))])
    assert again.bundle.config.directions == bundle.config.directions
