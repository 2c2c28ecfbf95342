"""training.loops.covers: what finds things before a face learns from things that were drawn there."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.models.cover_finder import CoverFinder
from core.models.face_parser import CLASSES, FaceParser
from training.data.aligned import AlignedFaces
from training.loops.covers import BESIDE, NOBODY, Samples, Trainer, loss_of, validate

SIDE = 64
SKIN, CLOTH = (CLASSES.index(name) for name in ("skin", "cloth"))


@pytest.fixture
def samples(tmp_path: Path) -> Samples:
    """Four plain faces, one with a published mask that has clothes in its middle."""
    rows = [f"n{i},CelebA-HQ,train,,," for i in range(4)]
    (tmp_path / "index.csv").write_text("\n".join(["name,source,split,age,gender,group", *rows]) + "\n")
    angle = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    points = 32 + 20 * np.stack([np.cos(angle), np.sin(angle)], 1)
    points[36:48], points[48:68] = (32, 24), (32, 42)
    np.save(tmp_path / "landmarks.npy", np.repeat(points[None].astype(np.float32), 4, 0))
    (tmp_path / "masks").mkdir()
    mask = np.full((SIDE, SIDE), SKIN, np.uint8)
    mask[:, 26:38] = CLOTH
    Image.fromarray(mask).save(tmp_path / "masks" / "n0.png")
    for i in range(4):
        picture = np.full((SIDE, SIDE, 3), (210 - 10 * i, 160, 140), np.uint8)
        Image.fromarray(picture).save(tmp_path / f"n{i}.webp", lossless=True)
    return Samples(tmp_path, AlignedFaces.open(tmp_path), "train")


def test_labels_say_thing_face_beside_and_nobody_knows(samples: Samples) -> None:
    _, bare = samples.take("n1", True, np.random.default_rng(0))
    assert set(np.unique(bare)) == {0, 2}
    assert bare[30, 30] == 0
    assert bare[2, 2] == 2
    _, unknown = samples.take("n0", True, np.random.default_rng(0))
    assert set(np.unique(unknown)) == {0, 2, NOBODY}
    drawn = [samples.take("n1", False, np.random.default_rng(seed))[1] for seed in range(8)]
    assert any((label == 1).any() for label in drawn)
    picture, label = samples.take("n1", False, np.random.default_rng(3))
    again = samples.take("n1", False, np.random.default_rng(3))
    assert np.array_equal(picture, again[0])
    assert np.array_equal(label, again[1])


def test_the_loss_counts_what_is_beside_the_face_less_and_the_unknown_not_at_all() -> None:
    scores = torch.tensor([[[2.0, -1.0, 0.5, 30.0]]])
    labels = torch.tensor([[[1, 0, 3, NOBODY]]], dtype=torch.uint8)
    right = torch.sigmoid(torch.tensor([2.0, 1.0, 0.5])).log().neg()
    wanted = (right[0] + right[1] + BESIDE * right[2]) / (2 + BESIDE)
    torch.testing.assert_close(loss_of(scores, labels), wanted)


def test_it_learns_and_leaves_the_trunk_alone(samples: Samples) -> None:
    torch.manual_seed(0)
    trunk = FaceParser().trunk.eval().requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in trunk.state_dict().items()}
    trainer = Trainer(CoverFinder(), trunk, rate=3e-3)
    batch = next(samples.batches(4, seed=1))
    losses = [trainer.step(*batch, number=1000, left=1.0) for _ in range(12)]
    assert sum(losses[-3:]) < 0.7 * sum(losses[:3])
    assert all(torch.equal(before[name], tensor) for name, tensor in trunk.state_dict().items())


def test_figures_are_of_the_middle_of_faces(samples: Samples) -> None:
    everything, nothing = CoverFinder(), CoverFinder()
    for finder, bias in ((everything, 50.0), (nothing, -50.0)):
        torch.nn.init.zeros_(finder.score.weight)
        torch.nn.init.constant_(finder.score.bias, bias)
    trunk = FaceParser().trunk
    found = validate(everything, trunk, samples)
    assert found["found"] == 1
    assert 0 < found["right"] < 1
    assert found["false"] > 500
    assert set(validate(nothing, trunk, samples, count=2).values()) == {0}
