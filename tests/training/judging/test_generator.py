"""Measures of a generator against closed forms and sets whose answer is known."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from core.faces.judge import IdentityJudge, MobileFaceNet
from core.images import open_image
from training.judging.generator import (
    Described,
    covered,
    describe,
    draw,
    face_box,
    find_anew,
    frechet,
    main,
    measure,
    memorised,
)


def with_moments(mean: torch.Tensor, cov: torch.Tensor, count: int) -> torch.Tensor:
    """(count, D) float64 points whose sample mean and covariance are exactly these."""
    x = torch.randn(count, len(mean), generator=torch.Generator().manual_seed(count), dtype=torch.float64)
    x = x - x.mean(0)
    x = x @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(x.T))).T
    return x @ torch.linalg.cholesky(cov).T + mean


def test_frechet_of_diagonal_gaussians_is_their_closed_form() -> None:
    mean_a, mean_b = torch.tensor([1.0, 2, 3]).double(), torch.tensor([0.0, 4, 3]).double()
    std_a, std_b = torch.tensor([1.0, 2, 0.5]).double(), torch.tensor([3.0, 1, 0.5]).double()
    a = with_moments(mean_a, torch.diag(std_a**2), 20)
    b = with_moments(mean_b, torch.diag(std_b**2), 30)
    wanted = 1 + 4 + (4 + 1 + 0)  # |mean_a - mean_b|^2 + |std_a - std_b|^2
    assert frechet(a, b) == pytest.approx(wanted, rel=1e-9)
    assert frechet(b, a) == pytest.approx(wanted, rel=1e-9)


def test_frechet_of_correlated_gaussians_takes_the_root_of_the_product() -> None:
    cov_a = torch.tensor([[2.0, 0.8], [0.8, 1.0]]).double()
    cov_b = torch.tensor([[1.0, -0.5], [-0.5, 3.0]]).double()
    a, b = with_moments(torch.zeros(2).double(), cov_a, 9), with_moments(torch.zeros(2).double(), cov_b, 12)
    # In the plane tr sqrt(M) = sqrt(tr M + 2 sqrt(det M)), M = A B.
    product = cov_a @ cov_b
    root = (product.trace() + 2 * product.det().sqrt()).sqrt()
    assert frechet(a, b) == pytest.approx(float(cov_a.trace() + cov_b.trace() - 2 * root), rel=1e-9)


def test_frechet_of_fewer_rows_than_dimensions() -> None:
    x = torch.randn(20, 64, generator=torch.Generator().manual_seed(0))
    assert frechet(x, x) == pytest.approx(0, abs=1e-4)
    assert frechet(x, x + 0.25) == pytest.approx(64 * 0.25**2, abs=1e-4)
    # Covariances that share no dimension: nothing is subtracted.
    a, b = x.clone(), x.clone()
    a[:, 32:], b[:, :32] = 0, 0
    wanted = (a.mean(0) - b.mean(0)).square().sum() + a.var(0).sum() + b.var(0).sum()
    assert frechet(a, b) == pytest.approx(float(wanted), rel=1e-5)


def test_covered_points_lie_in_a_ball_that_reaches_the_third_neighbour() -> None:
    # On a line: the balls of 0, 1, 2, 3 have radii 3, 2, 2, 3 and cover [-3, 6]; that of 100 covers [1, 199].
    manifold = torch.tensor([[0.0], [1], [2], [3], [100]])
    points = torch.tensor([[-3.0], [-3.1], [6], [6.1], [1.5], [50], [0.9], [199.5]])
    assert covered(points, manifold) == pytest.approx(6 / 8)  # not -3.1, not 199.5
    assert covered(points, manifold[:4]) == pytest.approx(4 / 8)
    # Nearest neighbour alone: the four balls reach one step further, to [-1, 4].
    assert covered(torch.tensor([[-1.0], [-1.1], [4], [4.1]]), manifold[:4], k=1) == 0.5


def test_samples_of_one_mode_are_precise_but_recall_half() -> None:
    steps = torch.linspace(0, 1, 10)[:, None]
    here, there = torch.cat([steps, steps], 1), torch.cat([steps, steps], 1) + 10
    real = torch.cat([here, there])
    samples = torch.cat([here, here + 0.01])
    assert covered(samples, real) == 1
    assert covered(real, samples) == 0.5


def test_memorised_counts_what_has_a_twin() -> None:
    known = torch.eye(8)[:4]
    angle = torch.tensor([0.61, 0.59, 1.0, 0.0])
    found = torch.zeros(4, 8)
    found[range(4), range(4)] = angle
    found[range(4), range(4, 8)] = (1 - angle**2).sqrt()
    result = memorised(found, known)
    assert result["share"] == 0.5
    assert result["mean"] == pytest.approx(2.2 / 4, abs=1e-6)
    assert result["max"] == pytest.approx(1.0, abs=1e-6)


def described(count: int, seed: int, shift: float = 0.0) -> Described:
    random = torch.Generator().manual_seed(seed)
    identity = torch.nn.functional.normalize(torch.randn(count, 16, generator=random))
    return Described(identity, torch.randn(count, 4, generator=random) + shift)


def test_each_measure_has_its_floor() -> None:
    train, test = described(300, 0), described(60, 1)
    near = measure(described(100, 2), train, test, seed=0)
    far = measure(described(100, 2, shift=20.0), train, test, seed=0)
    assert far["frechet"]["floor"] == near["frechet"]["floor"]
    # Twenty along each of four axes, beside the little that chance puts between the sets.
    assert far["frechet"]["samples"] == pytest.approx(4 * 20.0**2, rel=0.1)
    assert near["frechet"]["ratio"] == pytest.approx(near["frechet"]["samples"] / near["frechet"]["floor"])
    assert near["frechet"]["samples"] < 1
    assert far["precision"]["samples"] == far["recall"]["samples"] == 0
    for measured in ("precision", "recall"):
        assert abs(near[measured]["samples"] - near[measured]["floor"]) < 0.2
        assert near[measured]["floor"] > 0.6
    # Training faces offered as samples are copies; test faces are not.
    copied = measure(Described(train.identity[:20], train.pooled[:20]), train, test, seed=0)
    assert copied["nearest_training_face_share"]["samples"] == 1
    assert copied["nearest_training_face_mean"]["samples"] == pytest.approx(1, abs=1e-5)
    assert copied["nearest_training_face_mean"]["floor"] < 0.9


def test_floor_takes_as_many_faces_as_there_are_samples() -> None:
    samples, train, test = described(30, 2), described(30, 0), described(60, 1)
    # All thirty are taken, in whatever order.
    assert measure(samples, train, test, 0)["frechet"]["floor"] == pytest.approx(
        frechet(train.pooled, test.pooled)
    )
    more = Described(train.identity, torch.cat([train.pooled, train.pooled + 5]))
    floors = [measure(samples, more, test, seed)["frechet"]["floor"] for seed in (0, 0, 1)]
    assert floors[0] == floors[1] != floors[2]


def crops(photo: np.ndarray, count: int) -> np.ndarray:
    """(count, 128, 128, 3) uint8: the astronaut's face, a pixel further each time."""
    return np.stack([cv2.resize(photo[20 + i : 212 + i, 128:320], (128, 128)) for i in range(count)])


def test_landmarks_found_anew_lie_where_detection_puts_them(photo: np.ndarray) -> None:
    from core.faces.alignment import find_faces

    images = crops(photo, 2)
    landmarks = np.stack([find_faces(image)[0].landmarks for image in images])
    box = face_box(landmarks, 128)
    assert np.allclose(box[:2] * 128, landmarks.mean(0).min(0))
    found = find_anew(images, box)
    assert found.shape == (2, 68, 2)
    assert np.linalg.norm(found - landmarks, axis=2).mean() < 4
    # Parts of the side: the same box serves a picture of another size.
    small = np.stack([cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA) for image in images])
    assert np.linalg.norm(find_anew(small, box) * 2 - landmarks, axis=2).mean() < 5


def test_samples_and_their_description_come_in_batches(tiny_bundle, photo: np.ndarray) -> None:
    pictures = draw(tiny_bundle.generator, 70, 1.0, 3)
    assert (pictures.shape, pictures.dtype) == ((70, 32, 32, 3), np.uint8)
    assert pictures[0].std() > 0
    assert np.array_equal(draw(tiny_bundle.generator, 70, 1.0, 3), pictures)
    mean = draw(tiny_bundle.generator, 2, 0.0, 3)
    assert np.array_equal(mean[0], mean[1])

    torch.manual_seed(0)
    network = IdentityJudge(MobileFaceNet())
    box = np.array([0.0, 0.1, 1.0, 1.0])
    images = crops(photo, 66)
    all_of_them = describe(network, images, box)
    assert (all_of_them.identity.shape, all_of_them.pooled.shape) == ((66, 128), (66, 512))
    last = describe(network, images[65:], box)
    torch.testing.assert_close(all_of_them.pooled[65:], last.pooled)


def write_data(folder: Path, images: np.ndarray, splits: list[str]) -> None:
    """As `training.data.packs build` would, with landmarks that are only a frame."""
    with open(folder / "faces.csv", "w", newline="") as file, open(folder / "faces-000.pack", "wb") as pack:
        writer = csv.writer(file)
        writer.writerow(("file", "split", "shard", "offset", "length", "age"))
        for i, (image, split) in enumerate(zip(images, splits, strict=True)):
            data = cv2.imencode(".jpg", image[..., ::-1])[1].tobytes()
            writer.writerow((f"{i}.jpg", split, 0, pack.tell(), len(data), 40))
            pack.write(data)
    frame = np.random.default_rng(0).uniform(10, 120, (len(images), 68, 2))
    np.save(folder / "landmarks.npy", frame.astype(np.float32))


def test_command_writes_sheets_and_figures(
    tiny_bundle, tiny_bundle_dir: Path, photo: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_data(tmp_path, crops(photo, 14), ["train"] * 8 + ["test"] * 6)
    torch.manual_seed(0)
    save_file(MobileFaceNet().state_dict(), tmp_path / "identity.safetensors")
    out = tmp_path / "out"
    main(
        ["--data", str(tmp_path), "--identity", str(tmp_path / "identity.safetensors")]
        + ["--bundle", str(tiny_bundle_dir), "--out", str(out), "--seed", "5"]
    )
    report = json.loads((out / "generator.json").read_text())
    # Of 5,000 wanted samples as many as there are training faces.
    assert (report["samples"], report["train_faces"], report["test_faces"]) == (8, 8, 6)
    assert (report["bundle"], report["seed"]) == ("tiny 1", 5)
    assert np.isfinite([v for row in report["figures"].values() for v in row.values()]).all()
    assert report["figures"]["frechet"]["samples"] > report["figures"]["frechet"]["floor"]
    assert "| frechet |" in capsys.readouterr().out
    for psi in (0.7, 1.0):
        sheet = open_image(out / f"samples-psi{psi}.png")
        assert sheet.shape == (256, 256, 3)
        wanted = draw(tiny_bundle.generator, 64, psi, 5)
        assert np.array_equal(sheet[32:64, 224:], wanted[15])
