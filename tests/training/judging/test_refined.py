"""The figures of refined faces: which are taken, what is measured, what the means say."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cli.measures import Measures
from core.checkpoints import Bundle
from core.engine import Engine
from core.generators.residual import WeightShift
from core.opening import SETTLED_STEPS
from core.projects.tensor_file import TensorFile
from training.data.aligned import LANDMARKS, TABLE, AlignedFace, AlignedFaces
from training.judging import refined
from training.judging.refined import MODES, Refining, chosen, listed, means, report, run


class Behind:
    """Each way's residual is a share of the kernels, as large as its place."""

    def __init__(self, bundle: Bundle) -> None:
        self._kernels = list(bundle.generator.kernels().values())
        self.seen: list[tuple[int, np.ndarray]] = []

    def fast(self, crop, landmarks, w_plus, watcher) -> WeightShift:
        self.seen.append((len(crop), landmarks))
        return WeightShift(tuple(0.1 * kernel.detach().flip(0) for kernel in self._kernels))

    def best(self, crop, landmarks, w_plus, watcher) -> WeightShift:
        return WeightShift(tuple(0.2 * kernel.detach().flip(0) for kernel in self._kernels))


@pytest.fixture
def face() -> AlignedFace:
    crop = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    points = np.random.default_rng(1).uniform(16, 48, (68, 2))
    return AlignedFace("a", crop, points, {"name": "a", "source": "S"})


class Begun:
    """A descent that counts its steps."""

    def __init__(self, crop: np.ndarray, landmarks: np.ndarray, code: torch.Tensor | None) -> None:
        assert code is None
        self.codes = torch.zeros(4, 16)

    def step(self) -> float:
        self.codes = self.codes + 1
        return 0.0


class Faces(dict):
    """AlignedFaces as a mapping."""


def test_each_way_is_measured_against_the_face_itself(
    tiny_engine: Engine,
    tiny_bundle: Bundle,
    face: AlignedFace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    behind = Behind(tiny_bundle)
    measures = Measures.of(tiny_engine, None, lambda words: None)
    monkeypatch.setattr(Measures, "picture", lambda self, crop, points, picture: measured(crop, picture))
    w = tiny_bundle.generator.sample(1, seed=1)[0]
    (tmp_path / "codes").mkdir()
    np.save(tmp_path / "codes" / "S-a.npy", w.numpy())
    entries = [{"name": "a", "source": "S"}, {"name": "b", "source": "S"}]
    done = [{"name": "b", "source": "S", "ways": {}}]

    refining = Refining(tiny_engine, behind, measures, Begun)  # type: ignore[arg-type]
    lines = run(refining, entries, Faces(a=face), None, tmp_path, MODES, tmp_path, done)  # type: ignore[arg-type]

    side = tiny_engine.generator.resolution
    assert behind.seen[0][0] == side  # as many pixels as the model's pictures have
    np.testing.assert_allclose(behind.seen[0][1], (face.landmarks + 0.5) * side / 64 - 0.5)
    assert [line["name"] for line in lines] == ["b", "a"]
    assert [json.loads(line) for line in (tmp_path / "faces.jsonl").read_text().splitlines()] == lines
    ways = lines[1]["ways"]
    assert list(ways) == ["off", "fast", "best"]
    assert len({row["mse"] for row in ways.values()}) == 3
    assert ways["off"]["seconds"] == 0 < ways["best"]["seconds"]
    kept = TensorFile((tmp_path / "residuals" / "S-a.safetensors").read_bytes())
    shifts = kept.residual("best", len(behind._kernels)).shifts
    assert torch.equal(shifts[0], behind.best(None, None, None, None).shifts[0])


def test_soon_each_face_is_opened_anew_by_as_few_steps_as_fast_needs(
    tiny_engine: Engine,
    tiny_bundle: Bundle,
    face: AlignedFace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measures = Measures.of(tiny_engine, None, lambda words: None)
    monkeypatch.setattr(Measures, "picture", lambda self, crop, points, picture: measured(crop, picture))
    shape = tuple(tiny_bundle.generator.w_mean.shape)
    monkeypatch.setattr(Begun, "__init__", lambda self, *_: setattr(self, "codes", torch.zeros(shape)))
    refining = Refining(tiny_engine, Behind(tiny_bundle), measures, Begun)  # type: ignore[arg-type]
    (line,) = run(refining, [{"name": "a", "source": "S"}], Faces(a=face), None, None, ["fast"], tmp_path, [])  # type: ignore[arg-type]
    assert (np.load(tmp_path / "codes" / "S-a.npy") == SETTLED_STEPS["fast"]).all()
    assert 0 < line["ways"]["off"]["seconds"] < line["ways"]["fast"]["seconds"]


def measured(crop: np.ndarray, picture: np.ndarray) -> dict[str, float]:
    return {"mse": float(picture.astype(float).var()), "lpips": 0.5, "judge_cosine": 0.25}


def test_the_first_opened_faces_of_a_source_are_chosen(tmp_path: Path) -> None:
    lines = [
        {"name": "a", "source": "S", "at": {}},
        {"name": "b", "source": "S", "failed": "No face."},
        {"name": "c", "source": "T", "at": {}},
        {"name": "d", "source": "S", "at": {}},
        {"name": "e", "source": "S", "at": {}},
    ]
    (tmp_path / "faces.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [entry["name"] for entry in chosen(tmp_path, "S", 2)] == ["a", "d"]


def test_means_are_of_all_faces_and_the_grids_worst_is_told() -> None:
    rows = [(0.1, 3.0), (0.3, None), (0.2, 9.0), (0.2, 4.0)]
    entries = [
        {"ways": {"off": {**dict.fromkeys(refined.FIGURES, 1.0), "mse": mse, "grid_2": grid}}}
        for mse, grid in rows
    ]
    found = means(entries)["off"]
    assert (found["faces"], found["mse"]) == (4, pytest.approx(0.2))
    assert (found["grid_2 median"], found["grid_2 worst"]) == (4.0, 9.0)
    header, _, row, *_ = report({"off": found}).splitlines()
    assert header.count("|") == row.count("|")
    assert "0.2000" in row


def test_the_first_test_names_of_a_source_in_the_tables_order() -> None:
    table = b"name,source,split\nd,S,test\na,S,train\nb,T,test\nc,S,test\ne,S,test\n"
    points = io.BytesIO()
    np.save(points, np.zeros((5, 68, 2), np.float32))
    files = {TABLE: table, LANDMARKS: points.getvalue()}
    faces = AlignedFaces(lambda name: files[name])
    assert listed(faces, "S", 2) == [{"name": "d", "source": "S"}, {"name": "c", "source": "S"}]
