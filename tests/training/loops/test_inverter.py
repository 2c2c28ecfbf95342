"""The inverter's training: its terms, and a run with every option on a tiny data set."""

import csv
import io
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from torch import Tensor

from core.checkpoints import Bundle
from core.config import AlignmentTemplate
from core.models.inverter import invert
from training.data.packs import build, split_of
from training.loops import inverter as module
from training.loops.inverter import Trainer, load_networks, main, parse, sample_losses
from training.loops.losses import load_face_network

CPU = torch.device("cpu")
OPTIONS = ["--samples=0.5", "--offset-penalty=0.1", "--progressive=1", "--latent-adversarial=0.1"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """32 px: one face in eight lights for training, in four for validation."""
    folder = tmp_path_factory.mktemp("data")
    names = [f"{20 + i % 60}_{i % 2}_0_{i}.jpg" for i in range(400)]
    chosen = [n for n in names if split_of(n) == "train"][:8]
    chosen += [n for n in names if split_of(n) == "validation"][:4]
    face = np.ascontiguousarray(skimage.data.astronaut()[20:220, 124:324])
    with tarfile.open(folder / "faces.tar", "w") as tar:
        for number, name in enumerate(chosen):
            content = cv2.imencode(".png", cv2.convertScaleAbs(face, alpha=0.6 + 0.04 * number))[1].tobytes()
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    build(folder / "faces.tar", AlignmentTemplate(0.54, 0.43), folder, size=32, workers=1, limit=None)
    return folder


def arguments(bundle: Path, out: Path, *more: str) -> list[str]:
    given = {"--data": "unused", "--bundle": bundle, "--out": out, "--batch": 4}
    return [str(x) for pair in given.items() for x in pair] + ["--device", "cpu", *more]


def trainer(bundle: Path, out: Path, *more: str) -> Trainer:
    args = parse(arguments(bundle, out, *more))
    torch.manual_seed(0)
    return Trainer(args, *load_networks(args, CPU), load_face_network(CPU))


def batch(faces: int) -> tuple[Tensor, Tensor]:
    theta = torch.tensor([[1.0, 0, 0], [0, 1, 0]]).expand(faces, -1, -1)
    return torch.rand(faces, 3, 32, 32) * 2 - 1, theta


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_samples_come_with_the_codes_they_are_made_of(tiny_bundle_dir: Path, tmp_path: Path) -> None:
    it = trainer(tiny_bundle_dir, tmp_path, "--samples", "0.5")
    pictures, codes = it.sample()
    assert (len(pictures), len(codes)) == (2, 2)
    with torch.no_grad():
        wanted = it.generator.synthesis(codes).clamp(-1, 1)
    assert (pictures - wanted).abs().mean() < 0.02  # bfloat16 against float32
    assert (pictures - wanted.flip(0)).abs().mean() > 0.1


def test_sample_terms_are_plain_differences_in_units_of_the_deviation(
    tiny_bundle_dir: Path, tmp_path: Path
) -> None:
    known = trainer(tiny_bundle_dir, tmp_path).known
    codes, wanted = torch.randn(2, 8, 32), torch.randn(2, 8, 32)
    pictures = torch.rand(2, 3, 4, 4)
    terms = sample_losses(pictures + 0.25, pictures, codes, wanted, known)
    layers = [(codes[:, i] - wanted[:, i]).square().mean() / known.deviation[i, 0] ** 2 for i in range(8)]
    assert terms["sample_pixel"].item() == pytest.approx(0.25)
    assert terms["sample_codes"].item() == pytest.approx(torch.stack(layers).mean().item(), rel=1e-4)


def test_terms_are_those_that_the_options_ask_for(tiny_bundle_dir: Path, tmp_path: Path) -> None:
    plain = {"pixel", "squared", "features", "identity"}
    terms = trainer(tiny_bundle_dir, tmp_path).step(*batch(4), step=0)
    assert set(terms) == plain
    terms = trainer(tiny_bundle_dir, tmp_path, *OPTIONS).step(*batch(2), step=0)
    assert set(terms) == plain | {"sample_pixel", "sample_codes", "offset", "latent", "judge", "judge_r1"}
    assert terms["offset"].item() == pytest.approx(0, abs=1e-5)  # the base code alone, at first
    terms = trainer(tiny_bundle_dir, tmp_path, *OPTIONS).step(*batch(2), step=9)
    assert terms["offset"].item() > 0.1


def test_steps_teach_the_inverter_and_leave_the_generator_alone(
    tiny_bundle_dir: Path, tmp_path: Path
) -> None:
    it = trainer(tiny_bundle_dir, tmp_path, "--samples", "0.5", "--rate", "3e-3")
    before = {k: v.clone() for k, v in it.generator.state_dict().items()}
    theta = batch(2)[1]
    images, _ = it.sample()  # pictures that the generator can make
    losses = [sum(it.step(images, theta, n)[name].item() for name in ("pixel", "squared")) for n in range(40)]
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])
    assert all(torch.equal(v, before[k]) for k, v in it.generator.state_dict().items())


def test_continue_starts_as_the_bundles_inverter(
    tiny_bundle: Bundle, tiny_bundle_dir: Path, tmp_path: Path
) -> None:
    images, _ = batch(2)
    with torch.no_grad():
        wanted = invert(tiny_bundle.generator, tiny_bundle.inverter, images)
        for options, same in ((("--continue",), True), ((), False)):
            it = trainer(tiny_bundle_dir, tmp_path, *options)
            found = invert(it.generator, it.inverter.eval(), images)
            # The bundle has no dense head; a new one adds nothing yet.
            assert torch.allclose(found, wanted, atol=1e-4) == same


def test_a_run_with_every_option_leaves_loadable_files(
    tiny_bundle_dir: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "REPORT", 1)
    command = arguments(tiny_bundle_dir, tmp_path, "--continue", *OPTIONS, "--steps", "3")
    command[command.index("unused")] = str(data)
    main(command)
    main([*command, "--resume"])
    rows = table(tmp_path / "log.csv")
    assert [row["step"] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    assert all(np.isfinite(float(value)) for row in rows for value in row.values())
    ends = table(tmp_path / "trade.csv")
    assert [end["step"] for end in ends] == ["3", "6"]
    assert all(np.isfinite(float(value)) for end in ends for value in end.values())
    assert (tmp_path / "sheet-000006.jpg").is_file()

    last = torch.load(tmp_path / "last.pt", weights_only=True)
    state = torch.load(tmp_path / "inverter-average.pt", weights_only=True)
    assert last["step"] == 6
    assert state.keys() == {k for k, v in last["average"].items() if v.is_floating_point()}
    assert all(v.dtype == torch.float16 for v in state.values())


@pytest.mark.parametrize("more", [["--bundle", "b", "--samples", "1"], []])
def test_senseless_options_are_refused(more: list[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--data", "d", "--out", "o", *more])
