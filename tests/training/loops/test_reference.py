"""Training of reference editors: the three losses, the gain, modules that a bundle takes in."""

import argparse
import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from core.checkpoints import BUILT_IN, DEFAULT_BUNDLE, Bundle, load_bundle, read_config, save_bundle
from core.config import FFHQ_TEMPLATE, BundleConfig
from core.generators.mobile.network import MobileGenerator
from core.models.latent_classifier import LatentClassifier
from core.models.reference_editor import ReferenceEditor
from core.network_config import ClassifierConfig, ReferenceEditorConfig
from training.loops.bundle import with_editors
from training.loops.reference import (
    ISOTROPY,
    Objective,
    StepNorm,
    calibrate,
    drawn,
    reach,
    save_editors,
    train_editor,
    train_group,
    weights_of,
)
from training.loops.reference_groups import GROUPS, Group
from training.loops.reference_labels import Told

TARGETS, HELD = torch.tensor([0.0, 0.5, 1.0, 0.0]), torch.tensor([1.0, 0.0, 0.0, 4.0])


def test_losses_are_the_papers_distances_in_units_of_spread(tiny_bundle: Bundle) -> None:
    torch.manual_seed(0)
    classifier = tiny_bundle.classifier
    codes, step = torch.randn(50, 8, 32), torch.randn(2, 8, 32) * 0.3
    losses = Objective(classifier, TARGETS, HELD, codes, StepNorm(codes))(codes[:2], codes[2:4], step)
    embedded, logits = classifier.embed(codes), classifier(codes)
    spread = [(embedded[:, a] - embedded[:, a].mean(0)).norm(dim=1).mean() for a in range(4)]
    after, moved = classifier.embed(codes[:2] + step), classifier(codes[:2] + step)
    embedding = logit = kept = kept_logit = 0.0
    for i in range(2):
        for a, share in ((1, 1 / 3), (2, 2 / 3)):
            embedding += share * ((after[i, a] - embedded[2 + i, a]).norm() / spread[a]) ** 2 / 2
            logit += share * ((moved[i, a] - logits[2 + i, a]) / logits[:, a].std()) ** 2 / 2
        for a, share in ((0, 0.2), (3, 0.8)):
            kept += share * ((after[i, a] - embedded[i, a]).norm() / spread[a]) ** 2 / 2
            kept_logit += share * ((moved[i, a] - logits[i, a]) / logits[:, a].std()) ** 2 / 2
    covariance = torch.cov(codes.reshape(50 * 8, 32).T).double()
    floor = ISOTROPY * covariance.diagonal().mean() * torch.eye(32, dtype=torch.float64)
    cost = torch.linalg.inv(covariance + floor)
    norm = sum(d @ cost @ d for d in step.reshape(2 * 8, 32).double()) / 2 / 8
    expected = {
        "embedding": embedding,
        "logit": logit,
        "kept": kept,
        "kept_logit": kept_logit,
        "step": norm.float(),
    }
    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], torch.as_tensor(value), rtol=1e-4, atol=1e-5)


def test_training_brings_the_attribute_of_the_reference(tiny_bundle: Bundle) -> None:
    torch.manual_seed(0)
    codes = tiny_bundle.generator.sample(64, 1.0, 0)
    editor = ReferenceEditor(ReferenceEditorConfig(8, ("smile",), 32, width=16))
    source, other = codes[:32], codes[32:]
    target = torch.tensor([0.0, 0.0, 1.0, 0.0])
    objective = Objective(tiny_bundle.classifier, target, 1 - target, codes, StepNorm(codes))
    before = objective(source, other, torch.zeros_like(source))
    frozen = {name: value.clone() for name, value in tiny_bundle.classifier.state_dict().items()}
    train_editor(editor, [objective], codes, 200, 16, 0)
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


@pytest.mark.parametrize(("share", "gain"), [(0.8, 1.25), (0.1, 2.0), (1.6, 1.0), (-0.2, 2.0)])
def test_an_editor_is_scaled_until_what_it_brings_arrives_in_full(share: float, gain: float) -> None:
    # A witness that reads the code itself: two attributes, of which the second is no target.
    def witness(w: Tensor) -> Tensor:
        return torch.stack([w.sum((1, 2)), w[:, 0, 0] ** 2], 1)

    torch.manual_seed(0)
    codes, targets, editor = torch.rand(20, 3, 4), torch.tensor([2.0, 0.0]), Share(share)
    assert reach(editor, witness, targets, codes) == pytest.approx(share, abs=1e-4)  # type: ignore[arg-type]
    assert calibrate(editor, witness, targets, codes) == pytest.approx(gain, rel=1e-3)  # type: ignore[arg-type]
    assert editor.out.weight.item() == pytest.approx(share * gain, rel=1e-3)


def test_targets_go_to_the_reference_free_labels_may_and_the_rest_is_held() -> None:
    names = ("age", "smile", "yaw", "lips", "identity 0", "surround 3", "outline 2")
    told = Told(
        torch.zeros(1, 2, 3), names, torch.zeros(1, 7), torch.tensor([1.0, 1.0, 1.0, 1.0, 0.5, 0.1, 0.2])
    )
    group = Group(
        "g", "G", ("smile", "outline 2"), (0, 2), free=("lips",), strict=("yaw",), surround_held=3.0
    )
    targets, held = weights_of(group, told)
    assert targets.tolist() == pytest.approx([0, 1, 0, 0, 0, 0, 0.2])
    assert held.tolist() == pytest.approx([1, 0, 8, 0, 0.5, 0.3, 0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"targets": ("smirk",)}, "none: smirk"),
        ({"strict": ("x",)}, "none: x"),
        ({"codes": (3, 3)}, "none"),
        ({"region": "hat"}, "which is no region"),
    ],
)
def test_a_group_of_nothing_is_refused(change: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Group(**{"name": "g", "label": "G", "targets": ("smile",), "codes": (0, 3), **change})


def test_groups_have_names_of_their_own_and_none_is_gender() -> None:
    assert len({group.name for group in GROUPS}) == len({group.label for group in GROUPS}) == len(GROUPS)
    assert not any("female" in group.targets for group in GROUPS)


def test_the_built_in_models_takes_belong_where_their_groups_do() -> None:
    described = read_config(BUILT_IN / DEFAULT_BUNDLE).reference_editor
    assert described is not None
    regions = dict(zip(described.attributes, described.regions, strict=True))
    assert regions == {group.name: group.region for group in GROUPS}


def test_a_module_moves_its_groups_codes_alone_and_a_bundle_takes_it_in(
    tiny_mobile: MobileGenerator, tmp_path: Path
) -> None:
    generator = tiny_mobile
    described = BundleConfig("m", "M", "1", generator.config, None, None, FFHQ_TEMPLATE, attributes=())
    length, width = generator.w_mean.shape
    names = ("smile", "age", "yaw")
    crossed = generator.sample(12, 1.0, 0).clone()
    crossed[::3, 1:] += 0.5
    told = Told(crossed, names, torch.randn(12, 3), torch.ones(3))
    assert len(drawn(generator, told, 5, 0)) == 17
    torch.manual_seed(0)
    tellers = [
        LatentClassifier(ClassifierConfig(length, names, width, (8, 8), 4)).requires_grad_(False)
        for _ in range(2)
    ]
    group = Group("smile", "Smile", ("smile",), (1, 3))
    config = ReferenceEditorConfig(length, ("smile",), width, 8, 2, ("Smile",))
    args = argparse.Namespace(seed=0, steps=3, batch=4)
    editor, words = train_group(group, config, tellers, told, crossed, args)
    assert words.startswith("smile")
    assert "gain" in words
    step = editor(crossed[:1], crossed[1:2])
    assert step[0].any(1).tolist() == [1 <= code < 3 for code in range(length)]

    save_editors(tmp_path / "editors", config, {"smile": editor})
    made = with_editors(Bundle.of(described, generator), tmp_path / "editors")
    save_bundle(tmp_path / "made", made)
    found = load_bundle(tmp_path / "made")
    assert found.config.reference_editor == config
    torch.testing.assert_close(
        found.reference_editors["smile"](crossed[:1], crossed[1:2]), step, rtol=2e-2, atol=1e-3
    )
    assert dataclasses.replace(found.config, reference_editor=None) == described
