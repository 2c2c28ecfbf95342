"""app.demos: the examples that move are those that are offered, with sliders that there are."""

import base64
import io
from pathlib import Path

import pytest
from PIL import Image

from app.demos import find_demos
from app.starts import Generated
from app.ui import EXAMPLES
from core.config import BundleConfig


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a-smile-high", "b-young-low", "b-nose-high", "z-smile-low"):
        Image.new("RGB", (40, 8), "red").save(tmp_path / f"{name}.webp")
    return tmp_path


def test_of_examples_that_are_offered_and_sliders_that_there_are(
    folder: Path, tiny_config: BundleConfig
) -> None:
    starts = [Path("c.jpg"), Path("b.jpg"), Path("a.jpg"), Generated(1, None)]  # type: ignore[arg-type]
    found = find_demos(folder, starts, tiny_config)
    told = [(one["index"], one["label"], one["low"], one["pictures"]) for one in found]
    assert told == [(2, "Smile", False, 5), (1, "Youth", True, 5)]
    head, data = found[0]["strip"].split(",")
    assert head == "data:image/webp;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (40, 8)


def test_those_that_ship_are_small_and_lie_beside_their_examples() -> None:
    files = sorted((EXAMPLES / "moving").iterdir())
    assert files
    assert sum(file.stat().st_size for file in files) < 600_000
    for file in files:
        face, _, end = file.stem.split("-")
        assert (EXAMPLES / f"{face}.jpg").is_file()
        assert end in ("low", "high")
        assert Image.open(file).size == (17 * 224, 224)
