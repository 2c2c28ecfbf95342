"""Files of every format, and a user's folder to import them into."""

import shutil
from pathlib import Path

import pytest
from import_files import write_all

from core.importing.install.installing import install


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files")
    write_all(path)
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty user's folder; nothing is imported into anybody's own."""
    monkeypatch.setenv("VISAGIST_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "checkpoints"


@pytest.fixture(scope="module")
def imported(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of generator.pt and age.pt."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VISAGIST_HOME", str(tmp_path_factory.mktemp("imported")))
        return install([files / "generator.pt", files / "age.pt"], name="face").folder


@pytest.fixture
def face(imported: Path, home: Path) -> Path:
    """That bundle in the user's folder, to import into."""
    return Path(shutil.copytree(imported, home / "face"))
