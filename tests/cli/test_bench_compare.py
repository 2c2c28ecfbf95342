"""`bench --compare`: a checkout's own code in a process of its own, in turn with ours."""

from pathlib import Path

import pytest

from cli import bench_compare
from cli.bench_compare import compare, describe, in_turn, kind_of
from core.engine import Engine
from core.errors import BadRequest

# Sleeps .05 s a picture, and notes which codes it was given.
MODEL = """
import pathlib, time, torch
print("words that are no answer")
class Generator(torch.nn.Module):
    def __init__(self, size, style_dim, n_mlp):
        super().__init__()
        self.side = size
    def forward(self, styles, input_is_latent):
        assert input_is_latent and styles[0].shape[0] == 1
        with open(pathlib.Path(__file__).parent / "given", "a") as file:
            file.write(f"{self.side} {float(styles[0].sum()):.3f}\\n")
        time.sleep(0.05)
        return torch.zeros(1, 3, self.side, self.side), None
"""


def checkout(folder: Path, model: str) -> Path:
    (folder / "op").mkdir()
    (folder / "op" / "upfirdn2d.py").write_text("")
    (folder / "model.py").write_text(model)
    return folder


def test_both_make_pictures_of_the_same_size_in_turn(
    tiny_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_compare, "TURNS", 2)
    monkeypatch.setattr(bench_compare, "WARM_UP", 1)
    result = compare(tiny_engine, checkout(tmp_path, MODEL))
    given = [line.split() for line in (tmp_path / "given").read_text().splitlines()]
    assert [side for side, _ in given] == [str(tiny_engine.config.generator.resolution)] * 3
    assert len({code for _, code in given}) == 3, "every picture has a code of its own"
    assert result["turns"] == 2
    assert result["theirs_ms"] >= 50
    assert result["ours_ms"] > 0
    assert result["times_faster"] == pytest.approx(result["theirs_ms"] / result["ours_ms"])
    assert "rosinality" in describe(result)


def test_turns_alternate_and_the_first_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_compare, "TURNS", 2)
    monkeypatch.setattr(bench_compare, "WARM_UP", 1)
    calls: list[tuple[str, int]] = []

    def told(who: str, seconds: float, turn: int) -> float:
        calls.append((who, turn))
        return seconds + turn

    assert in_turn(lambda i: told("ours", 1.0, i), lambda i: told("theirs", 10.0, i)) == [(2, 11), (3, 12)]
    assert calls == [(who, turn) for turn in range(3) for who in ("ours", "theirs")]


def test_a_slow_one_has_fewer_turns() -> None:
    assert len(in_turn(lambda _: 1.0, lambda _: 100.0)) == 1


@pytest.mark.parametrize(
    ("model", "word"),
    [
        ("import no_such_package", "no_such_package"),
        (MODEL.replace("time.sleep(0.05)", "raise MemoryError('too large')"), "too large"),
    ],
)
def test_code_that_does_not_run_is_one_sentence(
    tiny_engine: Engine, tmp_path: Path, model: str, word: str
) -> None:
    with pytest.raises(BadRequest, match=f"does not run here: .*{word}"):
        compare(tiny_engine, checkout(tmp_path, model))


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="is no checkout"):
        kind_of(tmp_path)
