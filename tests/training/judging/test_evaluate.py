"""Figures of an evaluation against plain formulas on planted numbers, and the whole of it on a tiny model."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from core.checkpoints import Bundle
from core.editing.label import directions
from core.engine import Engine
from core.faces.alignment import find_faces
from core.faces.judge import IdentityJudge, MobileFaceNet
from core.images import to_array
from core.session import EditRequest
from training.data.packs import Faces
from training.judging import edits as evaluate_edits
from training.judging import evaluate
from training.judging.attribute_dependency import at_move, compare, curve
from training.judging.edits import Judges, landmark_columns, points_after, real_deviations, slider_figures
from training.judging.faces import edit, face_axes, open_photos, render
from training.judging.inversion import breakdown, groups
from training.judging.judge import Judge, judge_pictures
from training.judging.sheets import grid, spread
from training.judging.tables import report, table

CPU = torch.device("cpu")
# The tiny bundle's sliders, an attribute that only the judge network knows, and the groups' columns.
COLUMNS = ("smile", "young", "male", "age", "gender")


def scores_of(age: list[float], gender: list[float]) -> Faces:
    n = len(age)
    empty = np.zeros((n, 1, 1, 3), np.uint8)
    return Faces(("x",) * n, empty, np.zeros((n, 68, 2)), np.array([age, gender]).T, ("age", "gender"))


def test_shares_count_faces_that_move_the_right_way() -> None:
    before = np.array([0.0, 1.0, 2.0, 3.0])
    figures = slider_figures(before, before + (1, 1, 0, -1), before - (2, 1, 1, 0))
    assert (figures["share_up"], figures["share_down"], figures["share"]) == (0.5, 0.75, 0.625)
    assert (figures["move_up"], figures["move_down"], figures["move"]) == (0.25, 1.0, 0.625)


def test_breakdown_is_the_mean_of_each_group() -> None:
    faces = scores_of([5, 12, 13, 30, 69, 70, 90], [1, 0, 1, 0, 1, 0, 0])
    values = np.arange(7.0)
    found = breakdown({"mse": values}, groups(faces))
    assert {name: row["count"] for name, row in found.items()} == {
        "all": 7, "women": 4, "men": 3, "0 to 12": 2, "13 to 29": 1, "30 to 49": 1, "50 to 69": 1,
        "70 and older": 2,
    }  # fmt: skip
    assert found["all"]["mse"] == 3
    assert found["men"]["mse"] == 2
    assert found["70 and older"]["mse"] == 5.5
    assert breakdown({"mse": values[:1]}, {"none": np.array([False])})["none"] == {"count": 0, "mse": None}


def test_dependency_is_the_mean_absolute_change_of_the_others() -> None:
    random = np.random.default_rng(0)
    start, edited = random.normal(size=(3, 4)), random.normal(size=(2, 3, 4))
    sigma = np.array([1.0, 2.0, 0.5, 4.0])
    moves, dependencies = curve(start, edited, 1, sigma)
    for s in range(2):
        others = [abs(edited[s, n, i] - start[n, i]) / sigma[i] for n in range(3) for i in (0, 2, 3)]
        assert dependencies[s] == pytest.approx(sum(others) / 9)
        assert moves[s] == pytest.approx(sum((edited[s, n, 1] - start[n, 1]) / 2 for n in range(3)) / 3)


def test_dependency_is_read_off_between_strengths() -> None:
    moves, dependencies = np.array([0.5, 1.5, 1.2]), np.array([0.2, 0.6, 0.9])
    assert at_move(moves, dependencies, 1.0) == pytest.approx(0.4)
    assert at_move(moves, dependencies, 0.25) == pytest.approx(0.1)  # from (0, 0)
    assert at_move(moves, dependencies, 1.5) == pytest.approx(0.6)
    assert at_move(moves, dependencies, 1.6) is None


def test_orders_are_compared_at_the_same_move() -> None:
    strong = (np.array([1.0, 2.0]), np.array([0.3, 0.8]))
    weak = (np.array([0.25, 0.5]), np.array([0.2, 0.6]))
    assert compare({"first": strong, "linear": strong}) == pytest.approx(
        {"move": 1.0, "first": 0.3, "linear": 0.3}
    )
    # At half a deviation, per deviation.
    assert compare({"first": strong, "linear": weak}) == pytest.approx(
        {"move": 0.5, "first": 0.3, "linear": 1.2}
    )
    assert compare({"first": strong, "linear": (np.array([0.1, -0.4]), np.ones(2))}) is None


def test_spread_reaches_both_ends_and_repeats_nothing() -> None:
    assert list(spread(9, 3)) == [0, 4, 8]
    assert list(spread(2, 16)) == [0, 1]


def test_grid_fills_short_rows_with_white() -> None:
    a, b = np.zeros((2, 4, 4, 3), np.uint8), np.ones((1, 4, 4, 3), np.uint8)
    sheet = grid([a, b])
    assert sheet.shape == (8, 8, 3)
    assert (sheet[4:, :4] == 1).all()
    assert (sheet[4:, 4:] == 255).all()


def test_table_is_markdown() -> None:
    assert table(("a", "b"), [("x", "1")]) == "| a | b |\n| --- | ---: |\n| x | 1 |\n"


@pytest.mark.parametrize("order", ["first", "second", "linear"])
def test_edits_are_those_of_the_engine(
    tiny_bundle: Bundle, tiny_engine: Engine, photo: np.ndarray, order: str
) -> None:
    portrait = tiny_engine.open_portrait(photo)
    codes = portrait.w_plus[None].repeat(2, 1, 1)
    axes = face_axes(tiny_bundle, codes, order, CPU)
    assert axes.shape == (2, 4, 8, 32)
    found = render(tiny_bundle.generator, edit(tiny_bundle, codes, axes, "young", -1.5), CPU)
    wanted = tiny_engine.edit(portrait, EditRequest({"young": -1.5}, order=order))
    assert np.abs(found.astype(int) - wanted).mean() < 2  # bfloat16's rounding
    assert np.abs(portrait.inversion.astype(int) - wanted).mean() > 6


def test_first_order_axes_are_each_faces_own(tiny_bundle: Bundle) -> None:
    codes = torch.randn(3, 8, 32)
    axes = face_axes(tiny_bundle, codes, "first", CPU)
    for w, found in zip(codes, axes, strict=True):
        torch.testing.assert_close(found, directions(tiny_bundle.classifier, w, "first"))


def test_landmarks_are_found_anew_in_the_originals_box(tiny_engine: Engine, photo: np.ndarray) -> None:
    face = tiny_engine.find_faces(photo)[0]
    there = landmark_columns(photo[None], face.landmarks[None], ("smile", "yaw"))
    mirrored = face.landmarks * (-1, 1) + (photo.shape[1] - 1, 0)
    turned = landmark_columns(photo[None, :, ::-1].copy(), mirrored[None], ("smile", "yaw"))
    # dlib is not quite symmetric; the nose must point to the other side all the same.
    assert turned["yaw"][0] == pytest.approx(-there["yaw"][0], abs=0.1)
    assert turned["smile"][0] == pytest.approx(there["smile"][0], abs=0.1)


def test_identity_is_judged_at_the_photos_points_unless_the_slider_turns_the_head(photo: np.ndarray) -> None:
    face = find_faces(photo)[0]
    pictures = np.stack([photo, np.roll(photo, 10, axis=1)])
    landmarks = np.stack([face.landmarks, face.landmarks])
    assert points_after("smile", pictures, landmarks) is landmarks
    for slider in ("yaw", "pitch"):
        moved = points_after(slider, pictures, landmarks)[1] - landmarks[1]
        assert np.abs(moved.mean(0) - (10, 0)).max() < 3


@pytest.fixture
def data(tmp_path: Path, photo: np.ndarray) -> Path:
    """Four training and three test faces of 32 px, one photo in seven shades, in the packs' layout."""
    folder = tmp_path / "data"
    folder.mkdir()
    picture = cv2.resize(photo[:256, 96:352], (32, 32), interpolation=cv2.INTER_AREA)
    shades = [cv2.imencode(".png", picture[..., ::-1] // k)[1].tobytes() for k in range(1, 8)]
    names = (*COLUMNS, *(n for n in evaluate_edits.BY_LANDMARKS if n not in COLUMNS))
    lines = [",".join(("file", "split", "shard", "offset", "length", *names))]
    for i in range(7):
        split, age = ("train", i) if i < 4 else ("test", 20 * i)
        values = [i * 0.5 if n == "smile" else age if n == "age" else i % 2 for n in names]
        place = (0, sum(map(len, shades[:i])), len(shades[i]))
        lines.append(",".join(map(str, (f"{i}.jpg", split, *place, *values))))
    (folder / "faces.csv").write_text("\n".join(lines) + "\n")
    (folder / "faces-000.pack").write_bytes(b"".join(shades))
    np.save(folder / "landmarks.npy", np.random.default_rng(0).uniform(4, 28, (7, 68, 2)).astype(np.float32))
    return folder


def test_deviations_are_the_tables_or_the_judges(data: Path) -> None:
    torch.manual_seed(0)
    judge = Judge(COLUMNS).eval().requires_grad_(False)
    real = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    found = real_deviations(data, judge, real, CPU)
    assert found["smile"] == pytest.approx(np.std([0, 0.5, 1, 1.5]))
    assert found["young"] == pytest.approx(judge_pictures(judge, real, CPU)[:, 1].std())


def test_the_judges_share_the_work(tiny_bundle: Bundle, photo: np.ndarray, tmp_path: Path) -> None:
    torch.manual_seed(0)
    judge = Judge(COLUMNS).eval().requires_grad_(False)
    cv2.imwrite(str(tmp_path / "a.png"), photo[..., ::-1])
    cv2.imwrite(str(tmp_path / "b.png"), np.zeros((64, 64, 3), np.uint8))
    warnings: list[str] = []
    files = [tmp_path / "a.png", tmp_path / "b.png"]
    opened, lost = open_photos(tiny_bundle, files, CPU, warnings.append)
    assert (opened.names, lost, warnings) == (("a.png",), 1, [])
    judges = Judges(judge, {"smile": 0.5, "young": 4.0}, CPU)
    found = judges(opened.crops, opened, ("young", "smile"))
    assert found["young"] == pytest.approx(judge_pictures(judge, opened.crops, CPU)[:, 1] / 4, rel=1e-5)
    by_hand = landmark_columns(opened.crops, opened.landmarks, ("smile",))["smile"]
    assert found["smile"] == pytest.approx(by_hand * 2)
    wanted = to_array(tiny_bundle.generator.synthesis(opened.codes))
    assert np.abs(opened.inversions.astype(int) - wanted).mean() < 2


def test_the_whole_evaluation_of_a_tiny_model(
    data: Path, tiny_bundle_dir: Path, photo: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    Judge(COLUMNS).save(tmp_path / "judge.safetensors")
    save_file(MobileFaceNet().state_dict(), tmp_path / "identity.safetensors")
    photos = tmp_path / "photos"
    photos.mkdir()
    cv2.imwrite(str(photos / "a.png"), photo[..., ::-1])
    out = tmp_path / "out"
    argv = ["--data", data, "--identity", tmp_path / "identity.safetensors", "--bundle", tiny_bundle_dir]
    argv += ["--judge", tmp_path / "judge.safetensors", "--photos", photos, "--out", out, "--device", "cpu"]
    evaluate.main([str(a) for a in argv])
    found = json.loads((out / "evaluation.json").read_text())
    assert found["command"].startswith("python -m training.judging.evaluate --data ")
    assert found["inversion"]["test"]["all"]["count"] == 3
    assert found["inversion"]["photos"].keys() == {"all"}
    assert found["no_face"] == {"1 photos": 0}
    for name in ("test", "photos"):
        sliders = found["sliders"][name]["sliders"]
        assert {s: row["judge"] for s, row in sliders.items()} == {
            "smile": "landmarks", "young": "network", "male": "network",
        }  # fmt: skip
        mean = found["sliders"][name]["mean"]
        assert mean["share"] == pytest.approx(np.mean([row["share"] for row in sliders.values()]))
        assert mean["identity"] == pytest.approx(np.mean([row["identity"] for row in sliders.values()]))
    assert found["dependency"]["sliders"].keys() == {"smile", "young", "male"}
    points = found["dependency"]["curves"]["male"]["linear"]
    assert len(points["move"]) == len(points["dependency"]) == len(found["dependency"]["strengths"])
    assert (out / "evaluation.md").read_text() == report(found)
    assert capsys.readouterr().out.startswith("`python -m training.judging.evaluate")
    assert cv2.imread(str(out / "inversions.png")).shape == (64, 32, 3)
    assert cv2.imread(str(out / "sliders-male.png")).shape == (32, 7 * 32, 3)


def test_a_slider_without_a_judge_is_named(tiny_bundle: Bundle, photo: np.ndarray, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), photo[..., ::-1])
    opened, _ = open_photos(tiny_bundle, [tmp_path / "a.png"], CPU, print)
    judges = Judges(Judge(("young",)).eval(), {}, CPU)
    with pytest.raises(ValueError, match="does not know male;"):
        evaluate_edits.evaluate_sliders(
            tiny_bundle, opened, judges, IdentityJudge(MobileFaceNet()), "first", CPU
        )
