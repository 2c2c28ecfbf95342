"""Fixtures for everybody: a tiny model with random weights, a real photograph, the built-in model."""

from core.rendering.waiting import wait_briefly

wait_briefly()  # before torch is imported

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch

from core.checkpoints import Bundle, load_bundle, save_bundle
from core.config import AlignmentTemplate, AttributeConfig, BundleConfig, GeneratorConfig
from core.engine import Engine
from core.errors import BadCheckpoint
from core.generators.mobile.package import package_folder
from core.generators.stylegan2.network import Generator
from core.models.latent_classifier import LatentClassifier
from core.models.reference_editor import ReferenceEditor
from core.models.refine_style import RefineStyle
from core.models.style_transformer import StyleTransformer
from core.network_config import ClassifierConfig, InverterConfig, ReferenceEditorConfig, RefinerConfig
from core.precision import VARIABLE

NUM_CODES, W_DIM = 8, 32


@pytest.fixture(scope="session")
def tiny_config() -> BundleConfig:
    """32 px, 8 codes of 32; the classifier knows an attribute (`glasses`) that has no slider."""
    return BundleConfig(
        name="tiny",
        title="Tiny",
        version="1",
        generator=GeneratorConfig(
            resolution=32, channels=(16, 16, 16, 16), w_dim=W_DIM, z_dim=W_DIM, mapping_layers=2
        ),
        inverter=InverterConfig(
            num_codes=NUM_CODES,
            w_dim=W_DIM,
            input_resolution=32,
            stem_width=16,
            widths=(16, 16, 16, 32),
            units=(1, 1, 1, 1),
            feedforward=32,
            mapping_layers=2,
        ),
        classifier=ClassifierConfig(
            num_codes=NUM_CODES,
            attributes=("glasses", "male", "smile", "young"),
            w_dim=W_DIM,
            hidden=(48, 32),
            embedding=8,
        ),
        template=AlignmentTemplate(scale=0.54, shift=0.43),
        attributes=(
            AttributeConfig("smile", "Smile", unit=2.0, low="serious", high="smiling"),
            AttributeConfig("young", "Youth", unit=1.5),
            AttributeConfig("male", "Gender", unit=1.0, low="female", high="male"),
        ),
    )


@pytest.fixture(scope="session")
def tiny_bundle_dir(tiny_config: BundleConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tiny_config` with random weights, as save_bundle writes it; copy it before you change it."""
    folder = tmp_path_factory.mktemp("bundles") / tiny_config.name
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = Generator(tiny_config.generator)
        for name, parameter in generator.named_parameters():
            if name.endswith(("noise_strength", "bias")):  # zero at the start, and then no test sees them
                parameter.data += 0.2 * torch.randn_like(parameter)
        torch.nn.init.normal_(generator.w_mean)
        generator.code_mean.copy_(generator.w_mean)
        torch.nn.init.normal_(generator.code_basis, std=0.1)
        save_bundle(
            folder,
            Bundle.of(
                tiny_config,
                generator,
                StyleTransformer(tiny_config.inverter),
                LatentClassifier(tiny_config.classifier),
                torch.randn(len(tiny_config.classifier.attributes), NUM_CODES, W_DIM),
            ),
        )
    (folder / "MODEL_CARD.md").write_text("# Tiny\n\nRandom weights, for tests.\n")
    return folder


@pytest.fixture(scope="session")
def tiny_bundle(tiny_bundle_dir: Path) -> Bundle:
    return load_bundle(tiny_bundle_dir)


@pytest.fixture(scope="session")
def tiny_engine(tiny_bundle: Bundle) -> Iterator[Engine]:
    engine = Engine(tiny_bundle)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def refining_config(tiny_config: BundleConfig) -> BundleConfig:
    """`tiny_config` with both refiners; the last 5 of its 7 convolutions are refined."""
    common = {"layers": 5, "tokens": 4, "w_dim": W_DIM, "feedforward": 32, "dropout": 0.0}
    trunk = {"input_resolution": 16, "fold": 2, "stem_width": 16, "widths": (16, 16, 16, 32)}
    refiners = (
        RefinerConfig("one_stage", **common),
        RefinerConfig("two_stage", **common, **trunk, units=(1, 1, 1, 1)),
    )
    return dataclasses.replace(tiny_config, name="refining", refiners=refiners)


@pytest.fixture(scope="session")
def refining_bundle_dir(
    refining_config: BundleConfig, tiny_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The tiny bundle with refiners of random weights."""
    folder = tmp_path_factory.mktemp("refining") / refining_config.name
    with torch.random.fork_rng():
        torch.manual_seed(1)
        kernels = refining_config.generator.low_rank
        refiners = {r.stage: RefineStyle(r, kernels) for r in refining_config.refiners}
        for refiner in refiners.values():
            refiner.factors.data.fill_(0.3)  # at its small start value no picture would show it
    save_bundle(folder, dataclasses.replace(tiny_bundle, config=refining_config, refiners=refiners))
    return folder


@pytest.fixture(scope="session")
def refining_bundle(refining_bundle_dir: Path) -> Bundle:
    return load_bundle(refining_bundle_dir)


@pytest.fixture(scope="session")
def refining_engine(refining_bundle: Bundle) -> Iterator[Engine]:
    engine = Engine(refining_bundle)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def taking_config(refining_config: BundleConfig) -> BundleConfig:
    """`refining_config` with reference editors for two of its three sliders, and a gallery of three faces."""
    editor = ReferenceEditorConfig(NUM_CODES, ("young", "smile"), W_DIM, width=16)
    return dataclasses.replace(refining_config, name="taking", reference_editor=editor, gallery=3)


@pytest.fixture(scope="session")
def taking_bundle_dir(
    taking_config: BundleConfig, refining_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The refining bundle with reference editors of random weights, whose steps a picture shows."""
    folder = tmp_path_factory.mktemp("taking") / taking_config.name
    editor, b = taking_config.reference_editor, refining_bundle
    assert editor is not None
    with torch.random.fork_rng():
        torch.manual_seed(3)
        editors = {name: ReferenceEditor(editor) for name in editor.attributes}
        for network in editors.values():
            for parameter in network.parameters():  # no bias may be zero, or no test sees it
                parameter.data += 0.1 * torch.randn_like(parameter)
            network.out.weight.data *= 3
        gallery = b.generator.w_mean + torch.randn(taking_config.gallery, NUM_CODES, W_DIM)
    added = {"reference_editors": editors, "gallery": gallery}
    save_bundle(folder, dataclasses.replace(b, config=taking_config, **added))
    return folder


@pytest.fixture(scope="session")
def taking_bundle(taking_bundle_dir: Path) -> Bundle:
    return load_bundle(taking_bundle_dir)


@pytest.fixture(scope="session")
def taking_engine(taking_bundle: Bundle) -> Iterator[Engine]:
    """All that an engine can: both refiners, reference editors, a gallery."""
    engine = Engine(taking_bundle)
    yield engine
    engine.close()


@pytest.fixture(params=["bfloat16", "float32"])
def precision(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What engines and renderers made from here on compute in: both that CPUs do, whichever this one has.

    For what depends on it: `pytestmark = pytest.mark.usefixtures("precision")`.
    """
    if request.param == "float32":
        monkeypatch.setenv(VARIABLE, "float32")
    else:
        monkeypatch.delenv(VARIABLE, raising=False)
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    return request.param


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """(512, 512, 3) uint8: NASA's portrait of Eileen Collins, one large face (public domain)."""
    array = skimage.data.astronaut()
    array.setflags(write=False)
    return array


@pytest.fixture(scope="session")
def builtin_engine() -> Iterator[Engine]:
    """The model that ships; skipped only where the package that its generator is read from is missing."""
    try:
        package_folder()
    except BadCheckpoint as error:
        pytest.skip(str(error))
    engine = Engine.load(device="cpu")
    yield engine
    engine.close()
