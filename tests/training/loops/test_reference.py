"""Training of reference editors: the three losses, the gain, a run that ends in a bundle."""

import hashlib
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from core.checkpoints import Bundle, load_bundle
from core.models.reference_editor import ReferenceEditor
from core.network_config import ReferenceEditorConfig
from training.loops import reference
from training.loops.reference import ISOTROPY, Objective, StepNorm, calibrate, reach, train_editor


def test_losses_are_the_papers_distances_in_units_of_spread(tiny_bundle: Bundle) -> None:
    torch.manual_seed(0)
    classifier = tiny_bundle.classifier
    codes, step = torch.randn(50, 8, 32), torch.randn(2, 8, 32) * 0.3
    losses = Objective(classifier, 2, codes, StepNorm(codes))(codes[:2], codes[2:4], step)
    embedded, logits = classifier.embed(codes), classifier(codes)
    spread = [(embedded[:, a] - embedded[:, a].mean(0)).norm(dim=1).mean() for a in range(4)]
    after, moved = classifier.embed(codes[:2] + step), classifier(codes[:2] + step)
    embedding = logit = kept = kept_logit = 0.0
    for i in range(2):
        embedding += ((after[i, 2] - embedded[2 + i, 2]).norm() / spread[2]) ** 2 / 2
        logit += ((moved[i, 2] - logits[2 + i, 2]) / logits[:, 2].std()) ** 2 / 2
        kept += sum(((after[i, a] - embedded[i, a]).norm() / spread[a]) ** 2 for a in (0, 1, 3)) / 3 / 2
        others = [((moved[i, a] - logits[i, a]) / logits[:, a].std()) ** 2 for a in (0, 1, 3)]
        kept_logit += sum(others) / 3 / 2
    flat = codes.flatten(1)
    covariance = torch.cov(flat.T).double()
    floor = ISOTROPY * covariance.diagonal().mean() * torch.eye(8 * 32, dtype=torch.float64)
    cost = torch.linalg.inv(covariance + floor)
    norm = sum(d @ cost @ d for d in step.flatten(1).double()) / 2
    expected = {
        "embedding": embedding,
        "logit": logit,
        "kept": kept,
        "kept_logit": kept_logit,
        "step": norm.float(),
    }
    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        rough = 1e-2 if name == "step" else 1e-4  # axes that save next to nothing are left out
        torch.testing.assert_close(losses[name], torch.as_tensor(value), rtol=rough, atol=1e-5)


def test_training_brings_the_attribute_of_the_reference(tiny_bundle: Bundle) -> None:
    torch.manual_seed(0)
    codes = tiny_bundle.generator.sample(64, 1.0, 0)
    editor = ReferenceEditor(ReferenceEditorConfig(8, ("smile",), 32, width=16))
    source, other = codes[:32], codes[32:]
    objective = Objective(tiny_bundle.classifier, 2, codes, StepNorm(codes))
    before = objective(source, other, torch.zeros_like(source))
    frozen = {name: value.clone() for name, value in tiny_bundle.classifier.state_dict().items()}
    train_editor(editor, objective, codes, 150, 16, 0)
    after = objective(source, other, editor(source, other))
    assert after["logit"] < 0.6 * before["logit"]
    assert after["kept"] < 0.5 * before["embedding"]
    assert not any(parameter.requires_grad for parameter in editor.parameters())
    for name, value in tiny_bundle.classifier.state_dict().items():
        assert torch.equal(value, frozen[name])


class Share(nn.Module):
    """An editor that goes a share of the way to the reference."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.out = nn.Linear(1, 1, bias=False)
        self.out.weight.data.fill_(share)

    def forward(self, source: Tensor, other: Tensor) -> Tensor:
        return self.out.weight[0, 0].detach() * (other - source)


@pytest.mark.parametrize(("share", "gain"), [(0.4, 2.5), (0.1, 4.0), (1.6, 1.0), (-0.2, 4.0)])
def test_an_editor_is_scaled_until_what_it_brings_arrives_in_full(
    monkeypatch: pytest.MonkeyPatch, share: float, gain: float
) -> None:
    # A generator that shows the code itself, and an inverter that reads it off.
    networks = SimpleNamespace(synthesis=lambda w: w), None
    monkeypatch.setattr(reference, "invert", lambda generator, inverter, picture: picture)
    torch.manual_seed(0)
    codes, normal, editor = torch.rand(20, 3, 4) * 0.2, torch.randn(3, 4), Share(share)
    assert reach(*networks, editor, normal, codes) == pytest.approx(share, abs=1e-4)
    assert calibrate(*networks, editor, normal, codes) == pytest.approx(gain, rel=1e-3)
    assert editor.out.weight.item() == pytest.approx(share * gain, rel=1e-3)


def test_a_run_gives_every_slider_an_editor_and_leaves_the_rest(
    taking_bundle_dir: Path,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    argv = ["--data", data, "--bundle", taking_bundle_dir, "--out", tmp_path / "made", "--version", "9"]
    reference.main([str(a) for a in (*argv, "--steps", "2", "--batch", "2", "--device", "cpu")])
    found = load_bundle(tmp_path / "made")
    assert found.config.version == "9"
    assert tuple(found.reference_editors) == ("smile", "young", "male")
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["smile", "young", "male"]
    for part in ("generator", "inverter", "classifier", "refiner_two_stage", "gallery"):
        before, after = (folder / f"{part}.safetensors" for folder in (taking_bundle_dir, tmp_path / "made"))
        assert hashlib.sha256(before.read_bytes()).digest() == hashlib.sha256(after.read_bytes()).digest()
