"""training.judging.mouths: which mouths count and which kept their shape. FaceLandmarker is not here."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from training.judging import mouths
from training.judging.mouths import Mouth, compare


def test_a_mouth_is_its_jaw_and_the_mean_of_its_corners() -> None:
    found = Mouth.of({"jawOpen": 0.3, "mouthSmileLeft": 0.2, "mouthSmileRight": 0.4, "other": 1.0})
    assert (found.jaw, found.smile) == pytest.approx((0.3, 0.3))


@pytest.mark.parametrize(
    ("mouth", "closed"),
    [(Mouth(0.04, 0.19), True), (Mouth(0.05, 0.1), False), (Mouth(0.0, 0.2), False)],
)
def test_closed_is_neither_open_nor_smiling(mouth: Mouth, closed: bool) -> None:
    assert mouth.closed == closed


def test_closed_mouths_alone_count_and_both_shapes_must_be_near() -> None:
    still, near = Mouth(0.01, 0.1), Mouth(0.15, 0.24)
    pairs = [
        ("kept", still, near),
        ("smiles", still, Mouth(0.01, 0.26)),
        ("gapes", still, Mouth(0.17, 0.1)),
        ("open before", Mouth(0.5, 0.1), Mouth(0.0, 0.9)),
        ("no face left", still, None),
        ("no face at all", None, near),
    ]
    found = compare(pairs)
    assert (found["closed"], found["kept"], found["share"]) == (4, 1, 0.25)
    assert found["lost"] == ["smiles", "gapes", "no face left"]
    assert found["unseen"] == ["no face left", "no face at all"]
    assert compare([])["share"] is None


def test_command_reads_crops_and_inversions_of_the_same_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("crops", "inversions"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.png").write_bytes(b"")
    read: list[str] = []

    def detect(path: str) -> SimpleNamespace:
        read.append(path)
        smile = 0.9 if "inversions" in path else 0.0
        scores = {"jawOpen": 0.0, "mouthSmileLeft": smile, "mouthSmileRight": smile}
        shapes = [SimpleNamespace(category_name=name, score=score) for name, score in scores.items()]
        return SimpleNamespace(face_blendshapes=[shapes])

    options = SimpleNamespace
    landmarker = SimpleNamespace(create_from_options=lambda options: SimpleNamespace(detect=detect))
    package, tasks, python = (
        ModuleType(n) for n in ("mediapipe", "mediapipe.tasks", "mediapipe.tasks.python")
    )
    package.Image = SimpleNamespace(create_from_file=lambda path: path)  # type: ignore[attr-defined]
    python.BaseOptions = options  # type: ignore[attr-defined]
    python.vision = SimpleNamespace(  # type: ignore[attr-defined]
        FaceLandmarker=landmarker, FaceLandmarkerOptions=options
    )
    for module in (package, tasks, python):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    mouths.main(["--task", "face.task", "--folder", str(tmp_path)])
    assert [Path(path).parent.name for path in read] == ["crops", "inversions"]
    assert '"lost": [\n    "a.png"\n  ]' in capsys.readouterr().out
