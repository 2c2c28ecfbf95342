"""training.judging.hostile: damaged files get one sentence each, and what would not is told."""

import io
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.engine import Engine
from core.projects.project import Project, save_project
from core.session import EditRequest
from training.judging import hostile as judging
from training.judging.bombs import BOMBS, Bomb
from training.judging.hostile import DAMAGES, answer, hostile, judge


@pytest.fixture(scope="module")
def seeds() -> list[bytes]:
    picture = np.random.default_rng(0).integers(0, 256, (48, 40, 3), dtype=np.uint8)
    files = []
    for kind in ("JPEG", "PNG", "TIFF", "WEBP", "AVIF", "GIF", "BMP"):
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, kind)
        files.append(buffer.getvalue())
    return files


@pytest.fixture
def project(tiny_engine: Engine, photo: np.ndarray) -> bytes:
    portrait = tiny_engine.open_portrait(photo)
    return save_project(Project.of(tiny_engine, portrait, [EditRequest({"smile": 1.0})], 0))


def test_damaged_files_of_every_kind_get_a_sentence(
    seeds: list[bytes], project: bytes, tmp_path: Path
) -> None:
    met, files = set(), hostile([*seeds, project], seed=3)
    for number in range(110):
        what, data, ending = next(files)
        if what in {bomb.__name__ for bomb in BOMBS}:
            continue
        path = tmp_path / f"{number}{ending}"
        path.write_bytes(data)
        kind, said = answer(path)
        assert kind != "wrong", (what, said)
        met.add((what, kind))
    assert {what for what, _ in met} == {damage.__name__ for damage in DAMAGES}
    assert {kind for _, kind in met} == {"opened", "sentence"}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_get_a_sentence(bomb: Bomb, tmp_path: Path) -> None:
    (tmp_path / "bomb").write_bytes(bomb(np.random.default_rng(0)))
    kind, said = answer(tmp_path / "bomb")
    assert kind != "wrong", said


def test_the_same_seed_makes_the_same_files(seeds: list[bytes]) -> None:
    first, second, other = (hostile(seeds, seed) for seed in (1, 1, 2))
    files = [[next(made) for _ in range(20)] for made in (first, second, other)]
    assert files[0] == files[1] != files[2]


def test_what_is_no_sentence_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("cli.editing.read", broken)
    kind, said = answer(tmp_path / "any")
    assert kind == "wrong"
    assert "KeyError: 'a bug'" in said


class Fake:
    """In place of a process of its own."""

    def open(self, path: Path) -> tuple[str, str]:
        return ("wrong", "it hung") if path.name.startswith("000001") else ("sentence", f"No, {path}.")

    def end(self) -> None:
        pass


def test_what_is_wrong_is_kept_and_the_rest_counted(
    seeds: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "Opening", Fake)
    most = 50_000
    tally = judge(seeds, 0, most, time.monotonic() + 600, tmp_path)
    assert [path.name[:6] for path, _ in tally.wrong] == ["000001"]
    assert list(tmp_path.iterdir()) == [tally.wrong[0][0]]
    assert tally.size >= most
    assert sum(tally.answers.values()) == tally.sentences["No, PATH."] + 1


@pytest.mark.slow
def test_a_process_of_its_own_answers(seeds: list[bytes], tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(seeds[1])
    (tmp_path / "b.png").write_bytes(seeds[1][:60])
    opening = judging.Opening()
    try:
        assert opening.open(tmp_path / "a.png") == ("opened", "")
        assert opening.open(tmp_path / "b.png")[0] == "sentence"
    finally:
        opening.end()
