"""Reference editors and the gallery on disk, and the fingerprint of all weights."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch

from core.checkpoints import Bundle, load_bundle, read_config, save_bundle
from core.config import BundleConfig
from core.models.reference_editor import ReferenceEditor
from core.network_config import ReferenceEditorConfig
from tests.core.test_checkpoints import describe, refusal, rewrite

PARTS = ("reference_editors", "gallery")


@pytest.fixture
def taking(taking_bundle_dir: Path, tmp_path: Path) -> Path:
    """A bundle with reference editors and a gallery to break."""
    return Path(shutil.copytree(taking_bundle_dir, tmp_path / "taking"))


def save(folder: Path, config: BundleConfig, bundle: Bundle, **parts) -> Bundle:
    none = {"reference_editors": {}, "gallery": bundle.gallery[:0]}
    save_bundle(folder, dataclasses.replace(bundle, config=config, **none | parts))
    return load_bundle(folder)


def test_they_are_saved_and_come_back(
    taking_config: BundleConfig, refining_bundle: Bundle, tmp_path: Path
) -> None:
    torch.manual_seed(4)
    config = taking_config.reference_editor
    assert config is not None
    editors = {name: ReferenceEditor(config) for name in config.attributes}
    gallery = torch.randn(3, 8, 32)
    bundle = save(tmp_path / "b", taking_config, refining_bundle, reference_editors=editors, gallery=gallery)
    assert bundle.config == taking_config
    assert read_config(tmp_path / "b") == taking_config
    assert torch.equal(bundle.gallery, gallery.half().float())
    assert set(bundle.reference_editors) == {"smile", "young"}
    for name, before in editors.items():
        after = bundle.reference_editors[name]
        assert not after.training
        assert not any(p.requires_grad for p in after.parameters())
        for key, tensor in before.state_dict().items():
            assert torch.equal(after.state_dict()[key], tensor.half().float()), key
    with torch.no_grad():
        steps = [editor(gallery[:1], gallery[1:2]) for editor in bundle.reference_editors.values()]
    assert not torch.equal(*steps)  # no two share a weight


def test_a_bundle_without_any_has_none(tiny_bundle: Bundle, tiny_bundle_dir: Path) -> None:
    assert tiny_bundle.reference_editors == {}
    assert tiny_bundle.gallery.shape == (0, 8, 32)
    assert not any((tiny_bundle_dir / f"{part}.safetensors").exists() for part in PARTS)


def test_a_description_from_before_there_were_any_still_loads(
    tiny_bundle_dir: Path, tmp_path: Path, tiny_bundle: Bundle
) -> None:
    folder = Path(shutil.copytree(tiny_bundle_dir, tmp_path / "old"))
    describe(folder, lambda d: (d.pop("reference_editor"), d.pop("gallery")))
    assert load_bundle(folder).config == tiny_bundle.config


def test_saving_wants_what_the_config_describes(
    taking_config: BundleConfig, taking_bundle: Bundle, tmp_path: Path
) -> None:
    editors, gallery = taking_bundle.reference_editors, taking_bundle.gallery
    for sentence, parts in (
        (r"reference editors \['smile', 'young'\], given are \[\]", {"gallery": gallery}),
        (
            r"given are \['smile'\]",
            {"gallery": gallery, "reference_editors": {"smile": editors["smile"]}},
        ),
        ("gallery faces 3, given are 0", {"reference_editors": editors}),
        ("gallery faces 3, given are 2", {"reference_editors": editors, "gallery": gallery[1:]}),
    ):
        with pytest.raises(ValueError, match=sentence):
            save(tmp_path / "b", taking_config, taking_bundle, **parts)
    assert not (tmp_path / "b").exists()


def test_saving_over_a_bundle_that_had_more_leaves_nothing_behind(
    taking: Path, taking_bundle: Bundle
) -> None:
    less = dataclasses.replace(taking_bundle.config, reference_editor=None, gallery=0)
    card = taking / "MODEL_CARD.md"
    card.write_text("# Taking\n")
    bundle = save(taking, less, taking_bundle)
    assert (bundle.reference_editors, len(bundle.gallery)) == ({}, 0)
    assert not any((taking / f"{part}.safetensors").exists() for part in PARTS)
    assert card.is_file()


@pytest.mark.parametrize(
    ("part", "name"), [("reference_editors", "smile.out.weight"), ("gallery", "codes")], ids=PARTS
)
def test_their_files_are_checked_like_the_others(taking: Path, part: str, name: str) -> None:
    path = taking / f"{part}.safetensors"
    rewrite(taking, part, lambda tensors: tensors.update(surplus=torch.zeros(3)))
    assert "holds a tensor surplus" in refusal(taking)
    rewrite(taking, part, lambda tensors: (tensors.pop("surplus"), tensors.update({name: torch.zeros(3)})))
    assert f"{name} has shape (3,)" in refusal(taking)
    rewrite(taking, part, lambda tensors: tensors.pop(name))
    assert f"lacks the tensor {name}" in refusal(taking)
    path.write_bytes(path.read_bytes()[:-1])
    assert f"{part}.safetensors is damaged" in refusal(taking)
    path.unlink()
    assert f"{part}.safetensors" in refusal(taking)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda d: d["reference_editor"].update(num_codes=18), "18 codes of 32"),
        (lambda d: d["reference_editor"].update(w_dim=64), "8 codes of 64"),
        (lambda d: d["reference_editor"].update(attributes=["glasses"]), "without a slider: glasses"),
        (lambda d: d["reference_editor"].update(attributes=["smile", "smile"]), "one reference editor"),
        (lambda d: d["reference_editor"].update(attributes=7), "model.json"),
        (lambda d: d["reference_editor"].update(heads=0), "model.json"),
        (lambda d: d["reference_editor"].update(width=15), "width 15"),
        (lambda d: d["reference_editor"].update(surplus=1), "unknown entries: surplus"),
        (lambda d: d["reference_editor"].update(longest=-1), "longest step is above 0"),
        (lambda d: d["reference_editor"].update(labels=["Smile"]), "1 labels do not name 2"),
        (lambda d: d.update(reference_editor=7), "ReferenceEditorConfig"),
        (lambda d: d.update(gallery=257), "0 to 256 faces, not 257"),
        (lambda d: d.update(gallery=-1), "not -1"),
        (lambda d: d.update(gallery=2.5), "not 2.5"),
        (lambda d: d.update(gallery="3"), "not '3'"),
        (lambda d: d.update(gallery=4), "asks for (4, 8, 32)"),
        (lambda d: d["attributes"][0].update(name="fine"), "without a direction: fine"),
    ],
)
def test_a_wrong_description(taking: Path, change, word: str) -> None:
    describe(taking, change)
    assert word in refusal(taking)


def test_a_slider_named_like_a_mix_cannot_be_taken(tiny_config: BundleConfig) -> None:
    classifier = dataclasses.replace(tiny_config.classifier, attributes=("fine",))
    attributes = (dataclasses.replace(tiny_config.attributes[0], name="fine"),)
    named = dataclasses.replace(tiny_config, classifier=classifier, attributes=attributes)
    with pytest.raises(ValueError, match="Names of style mixing cannot be attributes: fine"):
        dataclasses.replace(named, reference_editor=ReferenceEditorConfig(8, ("fine",), 32, 16))


def test_the_config_survives_json(taking_config: BundleConfig, tiny_config: BundleConfig) -> None:
    for config in (taking_config, tiny_config):
        assert BundleConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_the_fingerprint_is_that_of_the_weights_alone(taking: Path, taking_bundle: Bundle) -> None:
    before = taking_bundle.fingerprint
    assert len(before) == 64
    int(before, 16)
    describe(taking, lambda d: d.update(title="Another", version="2"))
    describe(taking, lambda d: d["files"].update({"surplus.safetensors": "0" * 64}))
    describe(taking, lambda d: d.update(files=dict(reversed(d["files"].items()))))
    assert load_bundle(taking).fingerprint == before
    seen = {before}
    for part, name in (
        ("generator", "constant"), ("inverter", "z"), ("classifier", "linear_directions"),
        ("refiner_one_stage", "factors"), ("reference_editors", "young.out.weight"), ("gallery", "codes"),
    ):  # fmt: skip
        rewrite(taking, part, lambda tensors, name=name: tensors[name].mul_(0.5))
        seen.add(load_bundle(taking).fingerprint)
    assert len(seen) == 7
