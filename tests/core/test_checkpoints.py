import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch

from core import checkpoints
from core.checkpoints import Bundle, find_bundle, list_bundles, load_bundle, read_config, save_bundle
from core.config import BundleConfig
from core.errors import BadCheckpoint
from core.generators.stylegan2.network import Generator
from core.models.latent_classifier import LatentClassifier
from core.models.refine_style import RefineStyle
from core.models.style_transformer import StyleTransformer

PARTS = ("generator", "inverter", "classifier")
REFINER_PARTS = ("refiner_one_stage", "refiner_two_stage")


@pytest.fixture
def folder(tiny_bundle_dir: Path, tmp_path: Path) -> Path:
    """A bundle to break."""
    return Path(shutil.copytree(tiny_bundle_dir, tmp_path / "tiny"))


@pytest.fixture
def refining(refining_bundle_dir: Path, tmp_path: Path) -> Path:
    """A bundle with refiners to break."""
    return Path(shutil.copytree(refining_bundle_dir, tmp_path / "refining"))


def refusal(folder: Path) -> str:
    """The sentence with which loading fails."""
    with pytest.raises(BadCheckpoint) as caught:
        load_bundle(folder)
    text = str(caught.value)
    assert text.endswith(".")
    assert "\n" not in text
    return text


def rewrite(folder: Path, part: str, change) -> None:
    """Change the tensors of a part and make its hash fit again."""
    path = folder / f"{part}.safetensors"
    tensors = safetensors.torch.load(path.read_bytes())
    change(tensors)
    path.write_bytes(safetensors.torch.save(tensors))
    describe(folder, lambda d: d["files"].update({path.name: hashlib.sha256(path.read_bytes()).hexdigest()}))


def describe(folder: Path, change) -> None:
    data = json.loads((folder / "model.json").read_text())
    change(data)
    (folder / "model.json").write_text(json.dumps(data))


def test_what_is_saved_comes_back_in_half_precision(tiny_config: BundleConfig, tmp_path: Path) -> None:
    torch.manual_seed(1)
    networks = (
        Generator(tiny_config.generator),
        StyleTransformer(tiny_config.inverter),
        LatentClassifier(tiny_config.classifier),
    )
    linear = torch.randn(4, 8, 32)
    save_bundle(tmp_path / "b", Bundle.of(tiny_config, *networks, linear))
    bundle = load_bundle(tmp_path / "b")
    assert bundle.config == tiny_config
    assert torch.equal(bundle.linear_directions, linear.half().float())
    loaded = (bundle.generator, bundle.inverter, bundle.classifier)
    for before, after in zip(networks, loaded, strict=True):
        assert not after.training
        assert not any(p.requires_grad for p in after.parameters())
        for name, tensor in before.state_dict().items():
            expected = tensor.half().float() if tensor.is_floating_point() else tensor
            assert torch.equal(after.state_dict()[name], expected), name
    parameters = sum(t.numel() for n in networks for t in n.state_dict().values()) + linear.numel()
    on_disk = sum((tmp_path / "b" / f"{part}.safetensors").stat().st_size for part in PARTS)
    assert on_disk < 2 * parameters + 60_000  # two bytes each, and the headers


def test_saving_refuses_what_half_precision_cannot_hold(tiny_config: BundleConfig, tmp_path: Path) -> None:
    classifier = LatentClassifier(tiny_config.classifier)
    generator, inverter = Generator(tiny_config.generator), StyleTransformer(tiny_config.inverter)
    bundle = Bundle.of(tiny_config, generator, inverter, classifier, torch.full((4, 8, 32), 1e6))
    with pytest.raises(ValueError, match="linear_directions"):
        save_bundle(tmp_path, bundle)


def test_refiners_are_saved_and_come_back(refining_config: BundleConfig, tmp_path: Path) -> None:
    torch.manual_seed(2)
    networks = (
        Generator(refining_config.generator),
        StyleTransformer(refining_config.inverter),
        LatentClassifier(refining_config.classifier),
    )
    refiners = {r.stage: RefineStyle(r, refining_config.generator.low_rank) for r in refining_config.refiners}
    parts = {"linear_directions": torch.zeros(4, 8, 32), "refiners": refiners}
    save_bundle(tmp_path / "b", Bundle.of(refining_config, *networks, **parts))
    bundle = load_bundle(tmp_path / "b")
    assert bundle.config == refining_config
    assert set(bundle.refiners) == {"one_stage", "two_stage"}
    for stage, before in refiners.items():
        after = bundle.refiners[stage]
        assert not after.training
        assert not any(p.requires_grad for p in after.parameters())
        for name, tensor in before.state_dict().items():
            expected = tensor.half().float() if tensor.is_floating_point() else tensor
            assert torch.equal(after.state_dict()[name], expected), name


def test_saving_wants_the_refiners_that_the_config_describes(
    refining_config: BundleConfig, refining_bundle: Bundle, tmp_path: Path
) -> None:
    refiners = {"one_stage": refining_bundle.refiners["one_stage"]}
    with pytest.raises(ValueError, match="two_stage"):
        save_bundle(tmp_path / "b", dataclasses.replace(refining_bundle, refiners=refiners))
    assert not (tmp_path / "b").exists()


def test_a_description_from_before_there_were_refiners_still_loads(
    folder: Path, tiny_config: BundleConfig
) -> None:
    describe(folder, lambda d: d.pop("refiners"))
    bundle = load_bundle(folder)
    assert bundle.config == tiny_config
    assert bundle.refiners == {}


@pytest.mark.parametrize("part", REFINER_PARTS)
def test_a_refiners_file_is_checked_like_the_others(refining: Path, part: str) -> None:
    path = refining / f"{part}.safetensors"
    rewrite(refining, part, lambda tensors: tensors.update(factors=torch.zeros(3)))
    assert "factors has shape (3,)" in refusal(refining)
    rewrite(refining, part, lambda tensors: tensors.pop("factors"))
    assert "lacks the tensor factors" in refusal(refining)
    path.write_bytes(path.read_bytes()[:-1])
    assert f"{part}.safetensors is damaged" in refusal(refining)
    path.unlink()
    assert f"{part}.safetensors" in refusal(refining)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda r: r[0].update(layers=8), "8 kernels, the generator has 7"),
        (lambda r: r[0].update(w_dim=64), "width 64"),
        (lambda r: r[1].update(stage="one_stage"), "one refiner of each stage"),
        (lambda r: r[1].update(stage="three_stage"), "three_stage"),
        (lambda r: r[1].update(fold=0), "fold"),
        (lambda r: r[1].update(heads=0), "model.json"),
        (lambda r: r[1].update(layers="all"), "ill-typed"),
        (lambda r: r[1].update(units=[1, 1]), "model.json"),
        (lambda r: r[0].update(tokens=10**6), "asks for"),
        (lambda r: r.append(7), "RefinerConfig"),
    ],
)
def test_a_description_with_a_wrong_refiner(refining: Path, change, word: str) -> None:
    describe(refining, lambda d: change(d["refiners"]))
    assert word in refusal(refining)


@pytest.mark.parametrize("part", PARTS)
def test_a_missing_file(folder: Path, part: str) -> None:
    (folder / f"{part}.safetensors").unlink()
    assert f"{part}.safetensors" in refusal(folder)


@pytest.mark.parametrize("part", PARTS)
def test_a_truncated_file(folder: Path, part: str) -> None:
    path = folder / f"{part}.safetensors"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert f"{part}.safetensors is damaged" in refusal(folder)


def test_one_flipped_bit(folder: Path) -> None:
    path = folder / "generator.safetensors"
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    assert "generator.safetensors is damaged" in refusal(folder)


def test_a_wrong_or_missing_hash(folder: Path) -> None:
    describe(folder, lambda d: d["files"].update({"inverter.safetensors": "0" * 64}))
    assert "inverter.safetensors is damaged" in refusal(folder)
    describe(folder, lambda d: d["files"].pop("inverter.safetensors"))
    assert "inverter.safetensors is damaged" in refusal(folder)


def test_a_file_of_another_kind_under_the_right_hash(folder: Path) -> None:
    data = b"PK\x03\x04 this is a zip, or a pickle"
    (folder / "generator.safetensors").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    describe(folder, lambda d: d["files"].update({"generator.safetensors": digest}))
    assert "not a safetensors file" in refusal(folder)


@pytest.mark.parametrize(
    ("part", "name"),
    [("generator", "constant"), ("inverter", "z"), ("classifier", "linear_directions")],
)
def test_a_missing_tensor(folder: Path, part: str, name: str) -> None:
    rewrite(folder, part, lambda tensors: tensors.pop(name))
    assert f"lacks the tensor {name}" in refusal(folder)


def test_an_unknown_tensor(folder: Path) -> None:
    rewrite(folder, "inverter", lambda tensors: tensors.update(surplus=torch.zeros(3)))
    assert "tensor surplus" in refusal(folder)


@pytest.mark.parametrize(
    ("part", "name"),
    [("generator", "w_mean"), ("inverter", "z"), ("classifier", "linear_directions")],
)
def test_a_tensor_of_another_shape(folder: Path, part: str, name: str) -> None:
    rewrite(folder, part, lambda tensors: tensors.update({name: torch.zeros(3, 5)}))
    assert f"{name} has shape (3, 5)" in refusal(folder)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff\xfe\x00garbage",
        b"{",
        b"null",
        b"[1, 2]",
        b"{}",
        b'{"files": {}}',
        b'{"files": {}, "format_version": 99}',
        b"[" * 100_000,
    ],
)
def test_a_description_that_is_garbage(folder: Path, text: bytes) -> None:
    (folder / "model.json").write_bytes(text)
    assert "model.json" in refusal(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("generator"),
        lambda d: d.update(generator=5),
        lambda d: d.update(surprise=1),
        lambda d: d.update(attributes=7),
        lambda d: d["attributes"].append("smile"),
        lambda d: d["attributes"].append({"name": "wings", "label": "Wings"}),
        lambda d: d["attributes"][0].update(unit="long"),
        lambda d: d["attributes"][0].update(unit=float("nan")),
        lambda d: d["generator"].update(resolution="huge"),
        lambda d: d["generator"].update(channels=["a", "b", "c", "d"]),
        lambda d: d["generator"].update(channels=[-1, 2, 3, 4]),
        lambda d: d["inverter"].update(heads=0),
        lambda d: d["inverter"].update(units=[1, 1]),
        lambda d: d["classifier"].update(hidden=[1]),
        lambda d: d["template"].update(scale=float("nan")),
    ],
)
def test_a_description_with_one_wrong_entry(folder: Path, change) -> None:
    describe(folder, change)
    assert "model.json" in refusal(folder)


def test_a_description_of_a_terabyte_is_refused_by_its_files(folder: Path) -> None:
    describe(folder, lambda d: d["classifier"].update(hidden=[10**6, 10**6]))
    assert "asks for" in refusal(folder)


def test_the_description_is_read_without_the_weights(folder: Path, tiny_config: BundleConfig) -> None:
    for part in PARTS:
        (folder / f"{part}.safetensors").unlink()
    assert read_config(folder) == tiny_config
    (folder / "model.json").unlink()
    with pytest.raises(BadCheckpoint, match=r"model\.json cannot be read"):
        read_config(folder)


def test_find_by_name_by_path_and_not_at_all(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    mine = Path(shutil.copytree(folder, home / "checkpoints" / "mine"))
    monkeypatch.setenv("VISAGIST_HOME", str(home))
    monkeypatch.setattr(checkpoints, "BUILT_IN", tmp_path / "built-in")
    assert list_bundles() == (mine,)
    assert find_bundle("mine") == mine
    assert find_bundle(folder) == find_bundle(str(folder)) == folder
    for wrong in ("yours", str(tmp_path), str(folder / "model.json"), ""):
        with pytest.raises(BadCheckpoint, match="mine"):
            find_bundle(wrong)


def test_the_built_in_bundle_goes_before_a_users_of_the_same_name(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built_in = Path(shutil.copytree(folder, tmp_path / "built-in" / "portrait1024"))
    shutil.copytree(folder, tmp_path / "home" / "checkpoints" / "portrait1024")
    monkeypatch.setenv("VISAGIST_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(checkpoints, "BUILT_IN", tmp_path / "built-in")
    assert list_bundles() == (built_in,)
