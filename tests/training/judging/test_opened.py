"""training.judging.opened: the fixed list, what is measured of it, and a run that is cut short."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

from cli import evaluate as evaluation
from core.engine import Engine
from core.faces.alignment import find_faces
from core.faces.judge import IdentityJudge
from core.images import open_image
from tests.cli.converging import Clock, ConvergingEngine
from tests.core.faces.test_judge import random_network
from tests.training.data.test_aligned import write_faces
from training.data.aligned import AlignedFaces
from training.judging import opened
from training.judging.opened import known_lines, tasks
from training.judging.opened_summary import groups, report, summary

NAMES = ("m1", "m2", "a1")


@pytest.fixture
def engine(tiny_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> ConvergingEngine:
    clock = Clock()
    monkeypatch.setattr(evaluation, "time", clock)
    engine = ConvergingEngine(tiny_engine, clock)
    monkeypatch.setattr(opened.Engine, "load", lambda bundle, device: engine)
    return engine


@pytest.fixture
def folders(tmp_path: Path, photo: np.ndarray) -> list[str]:
    """The options of a run: three faces of 256 px, one of them also at 512, a portrait, an empty photo."""
    crop = np.ascontiguousarray(photo[20:276, 96:352])
    larger = crop.repeat(2, 0).repeat(2, 1)
    landmarks = find_faces(crop)[0].landmarks
    rows = [
        "m1,MEBeauty,test,,female,asian",
        "m2,MEBeauty,test,,male,indian",
        "a1,All-Age-Faces,test,70,male,",
    ]
    crops = {name: crop - np.uint8(i) for i, name in enumerate(NAMES)}
    small = write_faces(tmp_path / "256", crops, rows, np.stack([landmarks] * 3))
    large = write_faces(tmp_path / "512", {"m2": larger}, rows[1:2], landmarks[None] * 2 + 0.5)
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.fromarray(photo).save(photos / "astronaut.png")
    Image.new("RGB", (100, 100), "grey").save(photos / "empty.png")
    save_file(random_network().state_dict(), tmp_path / "judge.safetensors")
    argv = [
        "--faces",
        small,
        "--faces512",
        large,
        "--photos",
        photos,
        "--judge",
        tmp_path / "judge.safetensors",
    ]
    return [str(a) for a in [*argv, "--seconds", "2,5", "--bundle", "tiny", "--out", tmp_path / "out"]]


def test_the_list_is_the_tables_first_with_the_larger_files(folders: list[str]) -> None:
    small, large = (AlignedFaces.open(Path(folders[i])) for i in (1, 3))
    photos = [Path("p.png"), Path("q.png")]
    found = tasks(small, large, photos, None)
    assert [(t.name, t.source) for t in found] == [
        ("m1", "MEBeauty"), ("m2", "MEBeauty"), ("a1", "All-Age-Faces"),
        ("p", "portraits"), ("q", "portraits"),
    ]  # fmt: skip
    assert [t.faces is large for t in found] == [False, True, False, False, False]
    assert [t.name for t in tasks(small, None, photos, 1)] == ["m1", "a1", "p"]
    assert opened.PER_SOURCE == 25


def test_another_split_is_opened_whole(folders: list[str]) -> None:
    faces = AlignedFaces.open(Path(folders[1]))
    for row in faces.rows[1:]:
        row["split"] = "train"
    assert [t.name for t in tasks(faces, None, [], None, "train")] == ["m2", "a1"]
    assert [t.name for t in tasks(faces, None, [], None)] == ["m1"]


def test_a_run_measures_against_the_files_and_writes_what_it_saw(
    engine: ConvergingEngine, folders: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    opened.main([*folders, "--pictures"])
    out = Path(folders[-1])
    entries = {entry["name"]: entry for entry in known_lines(out / "faces.jsonl")}
    assert list(entries) == [*NAMES, "astronaut", "empty"]
    assert [entries[name]["px"] for name in NAMES] == [256, 512, 256]
    assert (entries["m2"]["gender"], entries["m2"]["group"], entries["a1"]["age"]) == ("male", "indian", "70")
    assert "face" in entries["empty"]["failed"]
    for name in (*NAMES, "astronaut"):
        assert {t: row["seconds"] for t, row in entries[name]["at"].items()} == {"2": 3, "5": 5}
    for name in (*NAMES, "astronaut"):
        assert entries[name]["first"]["seconds"] == 1.5
    assert entries["m1"]["first"]["judge_cosine"] != entries["m1"]["at"]["2"]["judge_cosine"]
    # The face's own file is the measure, at the size of the tiny model's picture; its points are the table's.
    face = AlignedFaces.open(Path(folders[3]))["m2"]
    picture = open_image(out / "inversions" / "MEBeauty-m2.png")
    small = face.crop.reshape(32, 16, 32, 16, 3).mean((1, 3))
    assert entries["m2"]["at"]["5"]["mse"] == pytest.approx(
        (((small - picture) / 127.5) ** 2).mean(), rel=1e-3
    )
    cosine = IdentityJudge(random_network()).cosine(face.crop, picture, face.landmarks)
    assert entries["m2"]["at"]["5"]["judge_cosine"] == pytest.approx(cosine, abs=1e-5)
    assert np.array_equal(open_image(out / "crops" / "MEBeauty-m2.png"), face.crop)
    assert open_image(out / "strips" / "MEBeauty-m2.png").shape == (256, 3 * 256, 3)
    assert open_image(out / "sheet.png").shape == (256, 4 * 3 * 256, 3)

    found = json.loads((out / "opened.json").read_text())
    rows = found["at"]["5"]
    wanted = np.mean([entries[name]["at"]["5"]["mse"] for name in NAMES])
    assert rows["faces"]["count"] == 3
    assert rows["faces"]["mse"] == pytest.approx(wanted)
    assert rows["portraits"]["count"] == rows["MEBeauty, asian"]["count"] == 1
    assert found["failed"].keys() == {"empty"}
    assert (out / "opened.md").read_text() == report(found)
    assert report(found) in capsys.readouterr().out


def test_a_run_that_was_cut_short_goes_on(engine: ConvergingEngine, folders: list[str]) -> None:
    opened.main([*folders, "--limit", "1"])
    lines = Path(folders[-1]) / "faces.jsonl"
    whole = lines.read_text().splitlines(keepends=True)
    assert [json.loads(line)["name"] for line in whole] == ["m1", "a1", "astronaut"]
    lines.write_text("".join(whole[:2]) + whole[2][:40])  # killed in the middle of a line
    engine.asked.clear()
    opened.main([*folders, "--resume"])
    # The portrait again, the second MEBeauty face for the first time.
    assert engine.asked == [("open", 2), ("improve", 2)] * 2
    again = lines.read_text().splitlines(keepends=True)
    assert again[:2] == whole[:2]
    assert sorted(json.loads(line)["name"] for line in again) == sorted([*NAMES, "astronaut", "empty"])
    found = json.loads((Path(folders[-1]) / "opened.json").read_text())
    assert found["at"]["5"]["faces"]["count"] == 3
    with pytest.raises(SystemExit, match="other times"):
        opened.main([*folders, "--resume", "--seconds", "3"])
    engine.asked.clear()
    opened.main([*folders, "--limit", "1"])
    assert len(engine.asked) == 6  # without --resume all of them anew


def test_groups_are_those_that_their_sources_label() -> None:
    def entry(name: str, source: str, **labels: str) -> dict:
        figures = {"mse": float(len(name)), "judge_cosine": 0.5 if name == "a" else 0.9}
        return {"name": name, "source": source, **labels, "at": {"12": figures}}

    entries = [
        entry("a", "MEBeauty", gender="female", group="asian"),
        entry("bb", "All-Age-Faces", gender="male", age="12"),
        entry("ccc", "All-Age-Faces", gender="male", age="13"),
        entry("dddd", "FFHQ", gender="male", age="30"),  # a machine's guesses
        entry("eeeee", "portraits"),
    ]
    assert {name: "".join(e["name"][0] for e in who) for name, who in groups(entries).items()} == {
        "faces": "abcd", "MEBeauty": "a", "All-Age-Faces": "bc", "FFHQ": "d", "portraits": "e",
        "MEBeauty, asian": "a", "MEBeauty, female": "a", "All-Age-Faces, male": "bc",
        "All-Age-Faces, 0 to 12": "b", "All-Age-Faces, 13 to 29": "c",
    }  # fmt: skip
    row = summary([*entries, {"name": "f", "source": "FFHQ", "failed": "no"}])["at"]["12"]["faces"]
    assert (row["count"], row["mse"], row["judge_cosine_worst"]) == (4, 2.5, 0.5)
    assert (row["judge_cosine"], row["judge_cosine_median"]) == pytest.approx((0.8, 0.9))
    assert summary([])["at"] == {}


def test_faces_photos_or_both_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        opened.parse(["--judge", "j", "--out", "o"])
    assert "--photos" in capsys.readouterr().err
