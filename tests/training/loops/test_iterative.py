"""Training of the iterative inverter, in a world of a tiny generator and tiny networks that look."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from core.checkpoints import Bundle
from core.config import FFHQ_TEMPLATE, BundleConfig
from core.generators.mobile.network import MobileGenerator
from core.images import to_array, to_tensor
from core.inversion.descent import Descent
from core.inversion.descents import Descents
from core.inversion.losses import OpeningLoss, OpeningWeights
from core.models.iterative_inverter import IterativeInverter
from training.loops import iterative, iterative_parts
from training.loops.bundle import with_inverter
from training.loops.iterative import PHOTOS_WEIGHT, Batch, Data, Trainer, mirror

from .conftest import SIDE, Faces


def data(
    descents: Descents, generator: MobileGenerator, counts: tuple[int, int], targets: Path | None
) -> Data:
    bundle = SimpleNamespace(generator=generator)
    return Data(descents, bundle, Faces(), targets, counts, seed=0)  # type: ignore[arg-type]


def test_samples_are_of_their_codes_and_photos_of_the_training_split(
    descents: Descents, tiny_mobile: MobileGenerator
) -> None:
    batch = next(iter(data(descents, tiny_mobile, (4, 3), None)))

    assert batch.pictures.shape == (7, 3, SIDE, SIDE)
    assert sorted(face.name for face in batch.photos) == ["f0", "f1", "f2"]
    # The second half of the samples is shown as it is made.
    made = descents.synthesis(descents.whitening.codes(batch.codes)).clamp(-1, 1)
    torch.testing.assert_close(batch.pictures[2:4], made[2:], rtol=1e-3, atol=1e-3)
    assert float((batch.pictures[:2] - made[:2]).abs().mean()) > 0.01
    for picture, face in zip(batch.pictures[4:], batch.photos, strict=True):
        assert torch.equal(picture, to_tensor(face.crop)[0])


def test_only_photos_that_are_not_mirrored_have_targets(
    descents: Descents, tiny_mobile: MobileGenerator, tmp_path: Path
) -> None:
    v = torch.randn(1, len(descents.whitening.mean), len(descents.whitening.basis))
    np.save(tmp_path / "A-f1.npy", descents.whitening.codes(v)[0].numpy())
    source, plain, found = data(descents, tiny_mobile, (0, 3), tmp_path), Faces(), []
    for _ in range(8):
        batch = source.batch(["f0", "f1", "f2"])
        assert batch.targets[0] is None
        assert batch.targets[2] is None
        mirrored = not np.array_equal(batch.photos[1].crop, plain["f1"].crop)
        assert (batch.targets[1] is None) == mirrored
        found.append(mirrored)
        if not mirrored:
            torch.testing.assert_close(batch.targets[1], v[0], rtol=1e-3, atol=1e-3)
    assert len(set(found)) == 2


def test_a_mirrored_face_has_its_right_eye_on_the_other_side() -> None:
    face = Faces()["f0"]
    twice = mirror(mirror(face))
    assert np.array_equal(twice.crop, face.crop)
    np.testing.assert_allclose(twice.landmarks, face.landmarks)
    once = mirror(face)
    assert np.array_equal(once.crop[:, 0], face.crop[:, -1])
    # iBUG's 36 and 45 are the outer corners of the eyes.
    np.testing.assert_allclose(once.landmarks[36], (SIDE - 1 - face.landmarks[45][0], face.landmarks[45][1]))


def test_photos_go_where_descent_takes_them(descents: Descents, inverter: IterativeInverter) -> None:
    descents = dataclasses.replace(descents, free=len(descents.whitening.mean) - 2)
    trainer = Trainer(descents, inverter, rate=1e-3, latent=0.0, descended=2)
    faces = [Faces()[name] for name in ("f0", "f1")]
    v = torch.randn(2, len(descents.whitening.mean), len(descents.whitening.basis), requires_grad=True)

    term, told = trainer._photo_terms(v, [trainer._loss(face) for face in faces])
    (found,) = torch.autograd.grad(term, v)

    wanted, lost = [], []
    for place, face in zip(v.detach(), faces, strict=True):
        loss = OpeningLoss(
            to_tensor(face.crop), face.landmarks, descents.face_network, descents.lpips, OpeningWeights()
        )
        picture = descents.synthesis(descents.whitening.codes(place[None]))
        lost.append(float(sum((loss(picture) | loss.pull(place[None])).values())))
        descent = Descent(descents.synthesis, descents.whitening, loss, place, free=descents.free)
        for _ in range(2):
            descent.step()
        wanted.append(descent.coordinates)
    distance = v.detach() - torch.stack(wanted)
    assert float(distance.square().mean()) > 1e-3
    torch.testing.assert_close(found, 2 * PHOTOS_WEIGHT * distance / distance.numel(), rtol=1e-3, atol=1e-6)
    assert float(told) == pytest.approx(np.mean(lost), rel=1e-4)


def test_steps_bring_codes_nearer(
    descents: Descents, inverter: IterativeInverter, tiny_mobile: MobileGenerator
) -> None:
    trainer = Trainer(descents, inverter, rate=4e-3, latent=0.0)
    batch = next(iter(data(descents, tiny_mobile, (3, 0), None)))
    told = [trainer.step(batch, number=1000) for _ in range(30)]
    assert told[-1]["codes_1"] < 0.85 * told[0]["codes_1"]
    assert told[-1]["codes_2"] < 0.85 * told[0]["codes_2"]


def test_steps_bring_photos_nearer(
    descents: Descents, inverter: IterativeInverter, tiny_mobile: MobileGenerator
) -> None:
    """Photos that the generator could have made, but nobody tells from which codes."""
    trainer = Trainer(descents, inverter, rate=4e-3, latent=0.1)
    batch = next(iter(data(descents, tiny_mobile, (0, 2), None)))
    pictures = descents.synthesis(descents.whitening.codes(torch.randn(2, *batch.codes.shape[1:])))
    faces = zip(batch.photos, to_array(pictures.clamp(-1, 1)), strict=True)
    photos = tuple(dataclasses.replace(face, crop=crop) for face, crop in faces)
    batch = dataclasses.replace(batch, pictures=pictures.clamp(-1, 1), photos=photos)

    told = [trainer.step(batch, number=1000) for _ in range(50)]

    assert told[-1]["told_1"] < 0.7 * told[0]["told_1"]
    assert told[-1]["told_2"] < 0.7 * told[0]["told_2"]
    assert {"latent_1", "latent_2"} < told[0].keys()


def test_a_batch_of_photos_alone_or_samples_alone(
    descents: Descents, inverter: IterativeInverter, tiny_mobile: MobileGenerator
) -> None:
    trainer = Trainer(descents, inverter, rate=1e-3, latent=0.0)
    for counts, names in (((0, 2), ("photos", "told")), ((2, 0), ("codes",))):
        batch: Batch = next(iter(data(descents, tiny_mobile, counts, None)))
        assert set(trainer.step(batch, 0)) == {f"{name}_{i}" for name in names for i in (1, 2)}


def test_what_cannot_be_trained_on_is_one_sentence(
    descents: Descents, tiny_mobile: MobileGenerator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match="holds no code of a face of the training split"):
        data(descents, tiny_mobile, (1, 1), tmp_path)
    words = ["--bundle", "b", "--faces", "f", "--out", "o", "--latent-adversarial", "0.1", "--samples", "0"]
    with pytest.raises(SystemExit):
        iterative.main(words)
    assert "a batch needs both" in capsys.readouterr().err


def test_a_run_goes_on_and_its_weights_go_into_a_bundle(
    descents: Descents,
    inverter: IterativeInverter,
    tiny_mobile: MobileGenerator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = BundleConfig(
        name="mobile",
        title="Mobile",
        version="1",
        generator=tiny_mobile.config,
        inverter=None,
        classifier=None,
        template=FFHQ_TEMPLATE,
        attributes=(),
        iterative_inverter=inverter.config,
    )
    bundle = Bundle.of(config, tiny_mobile, iterative_inverter=inverter)
    monkeypatch.setattr(iterative, "descending", lambda folder, device: (bundle, descents))
    monkeypatch.setattr(iterative.AlignedFaces, "open", lambda path: Faces())
    monkeypatch.setattr(iterative, "REPORT", 1)
    out = tmp_path / "run"
    words = ["--bundle", "b", "--faces", "f", "--out", str(out), "--samples", "1", "--photos", "1"]
    words += ["--passes", "1", "--latent-adversarial", "0.1"]

    iterative.main([*words, "--minutes", "0.02"])
    first = torch.load(out / "last.pt", weights_only=True)
    iterative.main([*words, "--minutes", "0.02", "--resume"])
    second = torch.load(out / "last.pt", weights_only=True)

    assert second["number"] > first["number"] > 0
    assert len((out / "log.csv").read_text().splitlines()) == 1 + second["number"]
    assert list(out.glob("sheet-*.jpg"))
    made = with_inverter(bundle, out / "inverter.safetensors")
    assert made.config.iterative_inverter == dataclasses.replace(inverter.config, passes=1)
    assert made.config.start is bundle.config.start
    for name, tensor in second["average"].items():
        assert torch.equal(made.iterative_inverter.state_dict()[name], tensor.half().float()), name


def test_a_bundle_that_does_not_descend_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iterative_parts, "load_bundle", lambda folder, device: None)
    monkeypatch.setattr(iterative_parts, "descents_of", lambda bundle, dtype: None)
    with pytest.raises(SystemExit, match="does not open photos by descent"):
        iterative_parts.descending(Path("b"))
