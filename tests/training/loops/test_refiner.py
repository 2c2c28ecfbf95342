"""Training of refiners: its inputs, its terms, and a run that ends in a bundle."""

import dataclasses
import hashlib
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from core.checkpoints import Bundle, load_bundle
from core.faces.dlib_network import DlibFaceNetwork
from core.models.inverter import invert
from core.network_config import RefinerConfig
from training.loops import add_refiners, refiner
from training.loops.losses import reconstruction_losses
from training.loops.refiner import Frozen, loss_of

ALIGNED = torch.tensor([[[0.75, 0.0, 0.0], [0.0, 0.9, 0.0]]])


def test_inputs_are_those_of_opening_a_portrait(tiny_bundle: Bundle) -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    codes, finest, inversions = Frozen(tiny_bundle.generator, tiny_bundle.inverter).invert(images)
    wanted = invert(tiny_bundle.generator, tiny_bundle.inverter, images)
    torch.testing.assert_close(codes, wanted)
    torch.testing.assert_close(inversions, tiny_bundle.generator.synthesis(wanted))
    size = tiny_bundle.config.inverter.input_resolution
    small = F.interpolate(images, size=(size, size), mode="area")
    torch.testing.assert_close(finest, tiny_bundle.inverter.trunk(small)[2])
    assert not tiny_bundle.inverter.trunk._forward_hooks


def test_only_some_faces_count_for_identity_and_all_for_pixels() -> None:
    torch.manual_seed(0)
    network = DlibFaceNetwork().eval()
    output, images = torch.rand(3, 3, 64, 64), torch.rand(3, 3, 64, 64)
    theta = ALIGNED.expand(3, -1, -1)
    terms = loss_of(output, images, theta, network, 1)
    alone = reconstruction_losses(output[:1], images[:1], theta[:1], network)
    torch.testing.assert_close(terms["identity"], alone["identity"])
    torch.testing.assert_close(terms["features"], alone["features"])
    torch.testing.assert_close(terms["squared"], (output - images).square().mean())
    torch.testing.assert_close(terms["pixel"], (output - images).abs().mean())


def test_a_run_makes_weights_that_a_bundle_takes(
    taking_bundle_dir: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = data / "faces.csv"
    table.write_text(table.read_text().replace(",test,", ",validation,"))
    bundle = load_bundle(taking_bundle_dir)
    configs: tuple[RefinerConfig, ...] = tuple(
        dataclasses.replace(c, polish=1) for c in bundle.config.refiners
    )
    for module in (refiner, add_refiners):
        monkeypatch.setattr(module, "refiner_configs", lambda kernels: configs)
    out, made = tmp_path / "run", tmp_path / "made"
    common = ["--data", str(data), "--bundle", str(taking_bundle_dir)]
    common += ["--out", str(out), "--batch", "2", "--judged", "1", "--device", "cpu"]
    refiner.train(refiner.parse([*common, "--steps", "2"]))
    refiner.train(refiner.parse([*common, "--steps", "1", "--resume"]))
    last = torch.load(out / "last.pt", weights_only=True)
    assert last["step"] == 3
    assert (out / "sheet-000003.jpg").is_file()
    rows = (out / "validation.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "2", "3"]

    add_refiners.main(
        ["--bundle", str(taking_bundle_dir), "--refiners", str(out), "--version", "9", "--out", str(made)]
    )
    found = load_bundle(made)
    assert (found.config.version, found.config.refiners) == ("9", configs)
    for config in configs:
        averaged = last[f"{config.stage}_average"]
        for name, tensor in found.refiners[config.stage].state_dict().items():
            if name.endswith("num_batches_tracked"):  # counts for training alone do not travel
                continue
            torch.testing.assert_close(tensor, averaged[name], rtol=1e-3, atol=1e-3)
    for part in ("generator", "inverter", "classifier", "reference_editors", "gallery"):
        before, after = (folder / f"{part}.safetensors" for folder in (taking_bundle_dir, made))
        assert hashlib.sha256(before.read_bytes()).digest() == hashlib.sha256(after.read_bytes()).digest()
