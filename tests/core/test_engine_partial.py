"""Bundles as imports leave them: without a classifier, without an encoder, with directions of their own."""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from core.checkpoints import Bundle, load_bundle, save_bundle
from core.config import FFHQ_TEMPLATE, AttributeConfig, BundleConfig
from core.editing.explore import explore_steps
from core.editing.label import directions as label_directions
from core.editing.label import unit_codes
from core.engine import Engine
from core.errors import BadCheckpoint, BadRequest, NoFaceFound
from core.faces.alignment import Face
from core.models.gradual_encoder import GradualEncoder
from core.network_config import GradualEncoderConfig
from core.session import EditRequest

ENCODER = GradualEncoderConfig(
    "e4e", num_codes=8, w_dim=32, input_resolution=32, stem_width=16, widths=(16, 16, 16, 32), units=(1,) * 4
)


@pytest.fixture(scope="module")
def fixed_config(tiny_config: BundleConfig) -> BundleConfig:
    """An e4e encoder, no classifier; `hair` moves the last codes alone."""
    return dataclasses.replace(
        tiny_config,
        name="fixed",
        inverter=ENCODER,
        classifier=None,
        template=FFHQ_TEMPLATE,
        attributes=(AttributeConfig("hair", "Hair", unit=2.0), AttributeConfig("age", "Age", unit=3.0)),
        directions=("age", "hair"),
    )


@pytest.fixture(scope="module")
def directions() -> torch.Tensor:
    torch.manual_seed(5)
    steps = unit_codes(torch.randn(2, 8, 32))
    steps[0, :3] *= 0.5  # codes may move by different lengths
    steps[1, :6] = 0
    return steps


@pytest.fixture(scope="module")
def fixed_dir(
    fixed_config: BundleConfig,
    directions: torch.Tensor,
    tiny_bundle: Bundle,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    folder = tmp_path_factory.mktemp("partial") / "fixed"
    torch.manual_seed(6)
    encoder = GradualEncoder(ENCODER)
    bundle = Bundle.of(fixed_config, tiny_bundle.generator, encoder, directions=directions)
    save_bundle(folder, bundle, torch.float32)
    return folder


@pytest.fixture(scope="module")
def fixed(fixed_dir: Path) -> Iterator[Engine]:
    engine = Engine(load_bundle(fixed_dir))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def bare(
    tiny_config: BundleConfig, tiny_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """A generator and nothing else."""
    folder = tmp_path_factory.mktemp("partial") / "bare"
    config = dataclasses.replace(tiny_config, name="bare", inverter=None, classifier=None, attributes=())
    save_bundle(folder, Bundle.of(config, tiny_bundle.generator))
    engine = Engine(load_bundle(folder))
    yield engine
    engine.close()


def test_weights_in_full_precision_come_back_bit_for_bit(
    fixed_dir: Path, fixed_config: BundleConfig, directions: torch.Tensor, tiny_bundle: Bundle
) -> None:
    bundle = load_bundle(fixed_dir)
    assert bundle.config == fixed_config
    assert torch.equal(bundle.directions, directions)
    assert bundle.classifier is None
    assert bundle.linear_directions.shape == (0, 8, 32)
    assert isinstance(bundle.inverter, GradualEncoder)
    for name, tensor in tiny_bundle.generator.state_dict().items():
        assert torch.equal(bundle.generator.state_dict()[name], tensor), name


def test_fixed_directions_move_the_code_by_value_times_unit(
    fixed: Engine, directions: torch.Tensor, photo: np.ndarray
) -> None:
    portrait = fixed.open_portrait(photo)
    request = EditRequest({"age": 0.5, "hair": -1.0})
    wanted = portrait.w_plus + 0.5 * 3.0 * directions[0] - 2.0 * directions[1]
    code = fixed._editor.edited_code(portrait.w_plus, portrait.directions, request)
    torch.testing.assert_close(code, wanted.expand(2, -1, -1))
    face = fixed.edit(portrait, EditRequest({"hair": 3.0}))
    assert not np.array_equal(face, portrait.inversion)
    for order in ("second", "linear"):
        assert np.array_equal(fixed.edit(portrait, EditRequest({"hair": 3.0}, order=order)), face)
    assert fixed.orders == ()


def test_explored_directions_join_the_named_ones(fixed: Engine, photo: np.ndarray) -> None:
    portrait = fixed.open_portrait(photo)
    assert not set(fixed.explorable) & {"age", "hair"}
    name, steps = fixed.explorable[2], explore_steps(fixed.generator)
    alone, both = (
        fixed._editor.edited_code(portrait.w_plus, portrait.directions, EditRequest(sliders))
        for sliders in ({name: 2.0}, {name: 2.0, "age": 1.0})
    )
    assert alone is not None
    assert both is not None
    torch.testing.assert_close(
        alone - portrait.w_plus, (2 * steps[2]).expand(2, -1, -1), atol=1e-5, rtol=1e-4
    )
    assert steps[2].any()
    torch.testing.assert_close(
        both - alone, 3.0 * portrait.directions["first"][0].expand(2, -1, -1), atol=1e-5, rtol=1e-4
    )
    with pytest.raises(BadRequest, match=r"no slider explore-nothing; it has hair, age, explore-"):
        fixed.edit(portrait, EditRequest({"explore-nothing": 1.0}))


def test_a_classifiers_directions_come_before_the_fixed_ones(
    tiny_config: BundleConfig,
    tiny_bundle: Bundle,
    directions: torch.Tensor,
    photo: np.ndarray,
    tmp_path: Path,
) -> None:
    sliders = (*tiny_config.attributes, AttributeConfig("hair", "Hair", unit=2.0))
    config = dataclasses.replace(tiny_config, attributes=sliders, directions=("age", "hair"))
    bundle = dataclasses.replace(tiny_bundle, config=config, directions=directions)
    save_bundle(tmp_path / "both", bundle, torch.float32)
    engine = Engine(load_bundle(tmp_path / "both"))
    portrait = engine.open_portrait(photo)
    own = label_directions(tiny_bundle.classifier, portrait.w_plus, "first")
    assert torch.equal(portrait.directions["first"][:4], own)
    for order in ("first", "second", "linear"):
        torch.testing.assert_close(portrait.directions[order][4:], directions)
    code = engine._editor.edited_code(
        portrait.w_plus, portrait.directions, EditRequest({"smile": 1.0, "hair": 1.0})
    )
    smile = config.axes.index("smile")
    wanted = portrait.w_plus + 2.0 * own[smile] + 2.0 * directions[1]
    torch.testing.assert_close(code, wanted.expand(2, -1, -1))


def test_large_faces_are_rendered_one_at_a_time(bare: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    render = bare.renderer.render
    monkeypatch.setattr(bare.renderer, "render", lambda w, **more: sizes.append(len(w)) or render(w, **more))
    assert len(bare.samples(3, seed=0)) == 3
    monkeypatch.setattr("core.sampling.BATCH_PIXELS", 32**2)
    assert len(bare.samples(3, seed=0)) == 3
    assert sizes == [3, 1, 1, 1]


def test_what_it_lacks_is_said(fixed: Engine, bare: Engine, tiny_engine: Engine) -> None:
    assert fixed.opens_photos
    assert [word for word in ("encoder", "classifier", "refiner") if word in " ".join(fixed.lacks)] == [
        "classifier", "refiner",
    ]  # fmt: skip
    assert not bare.opens_photos
    assert [word for word in ("encoder", "sliders", "refiner") if word in " ".join(bare.lacks)] == [
        "encoder", "sliders",
    ]  # fmt: skip
    assert [sentence for sentence in tiny_engine.lacks if "refiner" not in sentence] == []


def test_without_an_encoder_no_photo_is_opened(bare: Engine, photo: np.ndarray) -> None:
    for ask in (bare.open_portrait, bare.invert_picture):
        with pytest.raises(BadRequest, match="cannot open photos: it has no encoder; import one for it"):
            ask(photo)
    assert set(bare.refinements) == {"fast", "best"}
    assert all(bare.refinements.values())


def test_a_generated_face_is_opened_with_its_own_code(bare: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoFaceFound):
        bare.open_generated(3)  # random weights show none
    landmarks = np.random.default_rng(0).uniform(8, 24, (68, 2)).astype(np.float32)
    monkeypatch.setattr(bare._opener, "find_faces", lambda *_: (Face((8, 8, 24, 24), landmarks),))
    portrait = bare.open_generated(3)
    assert torch.equal(portrait.w_plus, bare.generator.sample(1, 0.7, 3)[0])
    assert np.array_equal(portrait.photo, portrait.inversion)
    # Nothing was cut out: whatever the landmarks say, the picture is the generator's frame.
    assert np.array_equal(portrait.crop, portrait.photo)
    moved = bare.edit(portrait, EditRequest({bare.explorable[0]: 3.0}))
    assert not np.array_equal(moved, portrait.inversion)
    # A photo of that size which the generator did not make is cut out by its landmarks.
    other = bare.resume(255 - portrait.photo, portrait.faces, 0, portrait.w_plus.numpy())
    assert other.transform != portrait.transform


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"attributes": (AttributeConfig("smile", "Smile"),)}, "without a direction: smile"),
        ({"directions": ("age", "age", "hair")}, "name of its own"),
        ({"inverter": dataclasses.replace(ENCODER, num_codes=10)}, "makes 10 codes"),
    ],
)
def test_a_config_that_contradicts_itself(fixed_config: BundleConfig, change: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        dataclasses.replace(fixed_config, **change)


def test_a_description_survives_json(fixed_config: BundleConfig) -> None:
    assert BundleConfig.from_dict(fixed_config.to_dict()) == fixed_config
    without = dataclasses.replace(fixed_config, inverter=None)
    assert BundleConfig.from_dict(without.to_dict()) == without
    for part in ("inverter", "classifier"):
        data = {k: v for k, v in fixed_config.to_dict().items() if k != part}
        with pytest.raises(ValueError, match="missing"):
            BundleConfig.from_dict(data)


def test_directions_of_another_shape_are_refused(fixed_dir: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(fixed_dir, tmp_path / "b"))
    path = folder / "directions.safetensors"
    path.write_bytes(safetensors.torch.save({"directions": torch.zeros(3, 8, 32)}))
    data = json.loads((folder / "model.json").read_text())
    data["files"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "model.json").write_text(json.dumps(data))
    with pytest.raises(BadCheckpoint, match=r"directions has shape \(3, 8, 32\)"):
        load_bundle(folder)


def test_saving_again_removes_the_parts_that_are_gone(
    fixed_dir: Path, fixed_config: BundleConfig, tiny_bundle: Bundle, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(fixed_dir, tmp_path / "b"))
    config = dataclasses.replace(fixed_config, inverter=None, attributes=(), directions=())
    save_bundle(folder, Bundle.of(config, tiny_bundle.generator))
    assert {f.name for f in folder.iterdir()} == {"generator.safetensors", "model.json"}
    assert load_bundle(folder).inverter is None
