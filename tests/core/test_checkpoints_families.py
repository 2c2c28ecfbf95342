"""Bundles of a generator from an installed package, and of what opens photos without an encoder."""

import dataclasses
import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from core import checkpoints
from core.checkpoints import Bundle, load_bundle, save_bundle
from core.config import FFHQ_TEMPLATE, BundleConfig, MobileConfig, PackageConfig
from core.errors import BadCheckpoint
from core.generators.mobile.network import MobileGenerator
from core.generators.mobile.package import PACKAGE, SHA256, VERSION
from core.generators.registry import build_generator, installed_weights
from core.inversion.gradient_basis import GradientBasis
from core.inversion.start import Start
from core.models.iterative_inverter import IterativeInverter
from core.models.lpips import Lpips
from core.network_config import GradientBasisConfig, IterativeInverterConfig, StartConfig

PUBLISHED = PackageConfig(PACKAGE, VERSION, dict(SHA256))
OURS = {"w_mean", "w_basis"}


@pytest.fixture
def bundle() -> Bundle:
    """A mobile generator that opens photos by descent."""
    torch.manual_seed(0)
    generator = build_generator(MobileConfig(64, (8, 8, 8, 4), w_dim=10, z_dim=7, previews=(8,)))
    generator.w_mean.normal_()
    start, lpips = Start(StartConfig(30, 2, 10)), Lpips((3, 4, 3, 2, 2))
    start.expand.normal_()
    config = BundleConfig(
        name="mobile",
        title="Mobile",
        version="1",
        generator=generator.config,
        inverter=None,
        classifier=None,
        template=FFHQ_TEMPLATE,
        attributes=(),
        package=PUBLISHED,
        start=start.config,
        lpips=lpips.channels,
    )
    return Bundle.of(config, generator, start=start, lpips=lpips)


@pytest.fixture
def installed(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """What the package gives in these tests: all of the generator but what is ours."""
    state = bundle.generator.state_dict()
    weights = {n: t.clone() for n, t in state.items() if n not in OURS and not n.startswith("previews.")}
    monkeypatch.setattr(checkpoints, "installed_weights", lambda package: weights)
    return weights


def test_an_iterative_inverter_comes_back_as_it_was(
    bundle: Bundle, installed: dict[str, Tensor], tmp_path: Path
) -> None:
    codes = bundle.generator.layout.num_codes
    sizes = {"width": 8, "heads": 2, "feedforward": 8, "dense": 4}
    config = IterativeInverterConfig(codes, 10, **sizes, passes=3)
    inverter = IterativeInverter(config)
    described = dataclasses.replace(bundle.config, iterative_inverter=config)
    with_it = dataclasses.replace(bundle, config=described, iterative_inverter=inverter)
    save_bundle(tmp_path, with_it, torch.float32)

    found = load_bundle(tmp_path)

    assert found.config == described
    assert found.iterative_inverter is not None
    for name, tensor in inverter.state_dict().items():
        assert torch.equal(found.iterative_inverter.state_dict()[name], tensor), name
    assert dataclasses.replace(described, start=None).opens_photos
    with pytest.raises(ValueError, match="iterative inverter"):
        save_bundle(tmp_path, dataclasses.replace(with_it, iterative_inverter=None))


def test_a_gradient_basis_comes_back_as_it_was(
    bundle: Bundle, installed: dict[str, Tensor], tmp_path: Path
) -> None:
    basis = GradientBasis(GradientBasisConfig(3, 10, 4))
    for buffer in basis.buffers():
        buffer.normal_()
    described = dataclasses.replace(bundle.config, gradient_basis=basis.config)
    with_it = dataclasses.replace(bundle, config=described, gradient_basis=basis)
    save_bundle(tmp_path, with_it, torch.float32)

    found = load_bundle(tmp_path)

    assert found.config == described
    assert found.gradient_basis is not None
    assert torch.equal(found.gradient_basis.vectors, basis.vectors)
    assert torch.equal(found.gradient_basis.shares, basis.shares)
    with pytest.raises(ValueError, match="gradient basis"):
        save_bundle(tmp_path, dataclasses.replace(with_it, gradient_basis=None))


def test_only_what_is_ours_is_in_the_file_and_the_rest_comes_from_the_package(
    bundle: Bundle, installed: dict[str, Tensor], tmp_path: Path
) -> None:
    save_bundle(tmp_path, bundle, torch.float32)
    kept = safetensors.torch.load_file(tmp_path / "generator.safetensors")
    assert kept.keys() > OURS
    assert kept.keys() == bundle.generator.state_dict().keys() - installed.keys()
    found = load_bundle(tmp_path)
    assert isinstance(found.generator, MobileGenerator)
    assert found.config == bundle.config
    for name, tensor in bundle.generator.state_dict().items():
        assert torch.equal(found.generator.state_dict()[name], tensor), name
    for mine, theirs in ((found.start, bundle.start), (found.lpips, bundle.lpips)):
        assert mine is not None
        assert theirs is not None
        assert not any(p.requires_grad for p in mine.parameters())
        for name, tensor in theirs.state_dict().items():
            assert torch.equal(mine.state_dict()[name], tensor.float()), name


def test_what_opens_by_descent_lacks_no_encoder(bundle: Bundle) -> None:
    assert bundle.config.opens_photos
    assert not any("cannot open" in sentence for sentence in bundle.config.lacks)
    without = dataclasses.replace(bundle.config, start=None)
    assert not without.opens_photos
    # Nothing that is published can be imported into a generator of this family.
    assert [sentence for sentence in without.lacks if "open" in sentence] == ["It cannot open photos."]


def test_saving_wants_start_and_lpips_as_described(
    bundle: Bundle, installed: dict[str, Tensor], tmp_path: Path
) -> None:
    for part, what in (("start", "start"), ("lpips", "LPIPS")):
        with pytest.raises(ValueError, match=what):
            save_bundle(tmp_path, dataclasses.replace(bundle, **{part: None}))


def test_a_package_of_another_generator(bundle: Bundle, installed: dict[str, Tensor], tmp_path: Path) -> None:
    save_bundle(tmp_path, bundle)
    installed["constant"] = torch.zeros(1, 9, 4, 4)
    with pytest.raises(BadCheckpoint, match=r"another generator than its package holds \(constant\)"):
        load_bundle(tmp_path)


@pytest.mark.parametrize(
    "package",
    [
        dataclasses.replace(PUBLISHED, version="2022.1"),
        dataclasses.replace(PUBLISHED, name="other"),
        dataclasses.replace(PUBLISHED, files={**SHA256, "MappingNetwork.bin": "0" * 64}),
    ],
)
def test_a_package_that_nobody_checked_is_one_sentence(package: PackageConfig) -> None:
    with pytest.raises(BadCheckpoint, match=r"random-face 2021.7.21.1 as it was published, not from [^.]*"):
        installed_weights(package)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda d: d["generator"].update(family="biggan"), "biggan"),
        (lambda d: d["generator"].update(family=[]), "model.json"),
        (lambda d: d["generator"].update(previews=[7]), "Preview"),
        (lambda d: d.update(iterative_inverter={"num_codes": 3, "w_dim": 10}), "inverter makes 3"),
        (lambda d: d.update(iterative_inverter=[1]), "not an object"),
        (lambda d: d.update(parser=True), "parser"),
        (lambda d: d.update(package=7), "PackageConfig"),
        (lambda d: d["package"].update(files={}), "SHA-256"),
        (lambda d: d["package"].update(files=7), "SHA-256"),
        (lambda d: d["package"].update(files=["a"]), "SHA-256"),
        (lambda d: d["package"].update(files="ab"), "SHA-256"),
        (lambda d: d["package"].update(files={"a": 7}), "SHA-256"),
        (lambda d: d["generator"].update(mapping_layers=10**9), "mapping layers"),
        (lambda d: d["start"].update(rank=0), "one component"),
        (lambda d: d["start"].update(rank=3), "asks for"),
        (lambda d: d.update(lpips=[1, 2]), "five layers"),
        (lambda d: d.update(lpips=7), "model.json"),
    ],
)
def test_a_description_with_a_wrong_part(
    bundle: Bundle, installed: dict[str, Tensor], tmp_path: Path, change, word: str
) -> None:
    save_bundle(tmp_path, bundle)
    path = tmp_path / "model.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(BadCheckpoint, match=word):
        load_bundle(tmp_path)


def test_a_description_from_before_there_were_families_means_stylegan2(
    tiny_bundle_dir: Path, tiny_config: BundleConfig
) -> None:
    data = json.loads((tiny_bundle_dir / "model.json").read_text())
    for name in ("package", "start", "lpips", "files"):
        data.pop(name)
    assert data["generator"].pop("family") == "stylegan2"
    assert BundleConfig.from_dict(data) == tiny_config
