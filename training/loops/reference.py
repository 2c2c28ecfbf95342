"""Train the reference editors in latent space: one module for each group (Style Transformer, section 4.1).

    python -m training.loops.reference --faces gen --labels labels --shapes shapes --last 12 --out EDITORS

Classifiers of codes, fitted to labelled samples and then frozen, say what an attribute is; a module learns
from pairs of samples to bring its group's labels to the reference's (Equation 6) and to leave all others
(Equation 7). It is then scaled until a classifier that it was not trained against sees what it brings.
OUT gets reference_editors.safetensors and reference_editors.json, for `training.loops.bundle --editors`.
"""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from core.checkpoints import load_bundle
from core.files import replacing, write_whole
from core.generators.mobile.network import MobileGenerator
from core.models.latent_classifier import LatentClassifier
from core.models.reference_editor import ReferenceEditor
from core.network_config import ReferenceEditorConfig
from training.data.sampled import draw
from training.loops.loop import pick_device
from training.loops.presets import EDITOR_HEADS, EDITOR_LONGEST, EDITOR_WIDTH
from training.loops.reference_groups import GROUPS, Group
from training.loops.reference_labels import Told, fit_tellers, load_told, report

LEARNING_RATE = 3e-3
# Of the squared distances below. An embedding also holds what its logit does not ask for (all branches share
# a trunk): with Equations 6 and 7 alone, most of a step moved other attributes. The logits' shares lead.
WEIGHTS = {"logit": 1.0, "embedding": 0.03, "kept_logit": 4.0, "kept": 0.12, "step": 0.1}
# With the plain norm of a step open mouths turned violet; with little of it, mouths became nobody's.
ISOTROPY = 0.3
CALIBRATION_PAIRS = 256
# What the weight of the step holds back is given back here: a dear step is a natural one.
GAIN_RANGE = (1.0, 2.0)
EPOCHS, NOISE, TELLERS = 15, 0.3, 3


class StepNorm(nn.Module):
    """The norm of delta w, squared, where ways in which faces differ cost less; a mean over the codes.

    d^T (Sigma + c)^-1 d of each code's step d, with the covariance Sigma of single codes and c = ISOTROPY
    times their mean variance.
    """

    def __init__(self, codes: Tensor) -> None:
        """codes: (N, L, D)."""
        super().__init__()
        sigma = torch.cov(codes.flatten(0, 1).T)  # (D, D)
        c = ISOTROPY * sigma.diagonal().mean()
        self.cost = torch.linalg.inv(sigma + c * torch.eye(len(sigma)))

    def forward(self, step: Tensor) -> Tensor:
        """(B, L, D) -> (B,)."""
        return torch.einsum("bld,de,ble->b", step, self.cost, step) / step.shape[1]


class Objective(nn.Module):
    """The three losses of one group, as squared distances in units of a classifier's own spread."""

    def __init__(
        self,
        classifier: LatentClassifier,
        targets: Tensor,
        held: Tensor,
        codes: Tensor,
        step_norm: StepNorm,
    ) -> None:
        """targets, held: (A,) how much each attribute counts, at least one of each above 0; codes: (N, L, D),
        over which spreads are taken."""
        super().__init__()
        self.classifier, self.step_norm = classifier, step_norm
        self.targets, self.held = targets / targets.sum(), held / held.sum()
        embedded = classifier.embed(codes)  # (N, A, E)
        self.spread = (embedded - embedded.mean(0)).norm(dim=-1).mean(0)[:, None]  # (A, 1)
        self.logit_spread = classifier(codes).std(0)  # (A,)

    def forward(self, source: Tensor, reference: Tensor, step: Tensor) -> dict[str, Tensor]:
        """w_s, w_r and delta w, all (B, L, D).

        -> embedding: Equation 6, to the reference's; kept: Equation 7, every held attribute's to the
        source's; logit, kept_logit: the same of C_l; step: `StepNorm`. Means over the batch.
        """
        with torch.no_grad():
            before, wanted = (self.classifier.embed(w) / self.spread for w in (source, reference))
        after = self.classifier.embed(source + step) / self.spread
        towards, away = after - wanted, after - before  # (B, A, E)
        return {
            "embedding": (towards.square().sum(-1) @ self.targets).mean(),
            "logit": (self._logits(towards).square() @ self.targets).mean(),
            "kept": (away.square().sum(-1) @ self.held).mean(),
            "kept_logit": (self._logits(away).square() @ self.held).mean(),
            "step": self.step_norm(step).mean(),
        }

    def _logits(self, difference: Tensor) -> Tensor:
        """Of embeddings (B, A, E) that of the logits, in their own spread: (B, A)."""
        # C_l is linear in C_f, so its bias drops out.
        weight = self.classifier.logit.weight[:, 0] * self.spread / self.logit_spread[:, None]  # (A, E)
        return (difference * weight).sum(-1)


def weights_of(group: Group, told: Told) -> tuple[Tensor, Tensor]:
    """(A,) each: how much labels count as the group's targets, and as what it leaves."""
    own = torch.tensor([float(name in group.targets) for name in told.names])
    held = torch.tensor([group.weight(name) for name in told.names])
    return own * told.shares, held * told.shares


def train_editor(
    editor: ReferenceEditor, objectives: Sequence[Objective], codes: Tensor, steps: int, batch: int, seed: int
) -> dict[str, float]:
    """Adam on random pairs of source and reference, its rate falling by a cosine; returns the last losses.

    codes: (N, L, D). Each step asks another one of the objectives.
    """
    random = torch.Generator().manual_seed(seed)
    editor.out.weight.data.mul_(0.1)  # as a start, nearly no edit
    optimizer = torch.optim.Adam(editor.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    losses: dict[str, Tensor] = {}
    for number in range(steps):
        source, reference = codes[torch.randint(len(codes), (2, batch), generator=random)]
        losses = objectives[number % len(objectives)](source, reference, editor(source, reference))
        loss = torch.stack([weight * losses[name] for name, weight in WEIGHTS.items()]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    editor.eval().requires_grad_(False)
    return {name: float(value.detach()) for name, value in losses.items()}


@torch.no_grad()
def reach(editor: ReferenceEditor, witness: LatentClassifier, targets: Tensor, codes: Tensor) -> float:
    """The share of the way to the reference that a step goes, as a classifier tells that did not teach it.

    targets: (A,) weights; codes: (2 N, L, D), sources, then references. It is the slope of least squares:
    at 1, what the references have more of arrives in full.
    """
    source, reference = codes.chunk(2)
    before, wanted, after = (witness(w) for w in (source, reference, source + editor(source, reference)))
    way, gone = wanted - before, after - before  # (N, A)
    return float(((way * gone).sum(0) @ targets) / (way.square().sum(0) @ targets))


def calibrate(editor: ReferenceEditor, witness: LatentClassifier, targets: Tensor, codes: Tensor) -> float:
    """Scale what the editor gives until `reach` is about 1, as far as GAIN_RANGE allows; returns the gain."""
    low, high = GAIN_RANGE
    gain = min(high, max(low, 1 / max(1e-6, reach(editor, witness, targets, codes))))
    editor.out.weight.data.mul_(gain)
    return gain


def drawn(generator: MobileGenerator, told: Told, count: int, seed: int) -> Tensor:
    """(N + count, L, D): the labelled samples, and as many more; every fourth's codes differ."""
    apart = told.codes[(told.codes - told.codes[:, :1]).abs().amax((1, 2)) > 1e-6]
    return torch.cat([told.codes, draw(generator, count, np.random.default_rng(seed), apart)])


def train_group(
    group: Group,
    config: ReferenceEditorConfig,
    tellers: Sequence[LatentClassifier],
    told: Told,
    codes: Tensor,
    args: argparse.Namespace,
) -> tuple[ReferenceEditor, str]:
    """The module of one group, and what its training says of itself."""
    torch.manual_seed(args.seed)
    editor = ReferenceEditor(config)
    editor.moved.zero_()[slice(*group.codes)] = 1
    targets, held = weights_of(group, told)
    *teachers, witness = tellers
    norm, some = StepNorm(codes), told.codes[: 2 * CALIBRATION_PAIRS]
    objectives = [Objective(teacher, targets, held, some, norm) for teacher in teachers]
    losses = train_editor(editor, objectives, codes, args.steps, args.batch, args.seed)
    gain = calibrate(editor, witness, targets, some[: len(some) // 2 * 2])
    words = "  ".join(f"{loss} {value:.3f}" for loss, value in losses.items())
    return editor, f"{group.name:12} {words}  gain {gain:.2f}"


def save_editors(out: Path, config: ReferenceEditorConfig, editors: dict[str, ReferenceEditor]) -> None:
    """Write the modules in half precision, and their description."""
    out.mkdir(parents=True, exist_ok=True)
    state = {k: t.half().contiguous() for k, t in nn.ModuleDict(editors).state_dict().items()}
    with replacing(out / "reference_editors.safetensors") as new:
        save_file(state, new)
    text = json.dumps(dataclasses.asdict(config), indent=2)
    write_whole(out / "reference_editors.json", (text + "\n").encode())


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.loops.reference", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--bundle", type=Path, required=True, help="of the generator that is sampled")
    parser.add_argument("--faces", type=Path, required=True, help="shards of sampled faces")
    parser.add_argument("--labels", type=Path, required=True, help="what training.data.label wrote")
    parser.add_argument("--shapes", type=Path, required=True, help="what training.data.hair_shapes wrote")
    parser.add_argument("--last", type=int, required=True, help="the first shard that is not fitted on")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", metavar="GROUP", default=[g.name for g in GROUPS])
    parser.add_argument("--steps", type=int, default=200, help="for each module")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--drawn", type=int, default=4000, help="samples beside the labelled ones")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of the classifiers")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    pick_device("cpu")
    generator = load_bundle(args.bundle).generator
    assert isinstance(generator, MobileGenerator)
    told = load_told(args.faces, args.labels, args.shapes, args.last)
    tellers = fit_tellers(told, TELLERS, args.epochs, NOISE)
    if (args.labels / f"{args.last:03d}.npz").exists():
        unseen = load_told(args.faces, args.labels, args.shapes, args.last + 1)[slice(len(told.codes), None)]
        print(report(tellers[0], unseen), flush=True)
    codes = drawn(generator, told, args.drawn, args.seed)
    groups = [group for group in GROUPS if group.name in args.only]
    config = ReferenceEditorConfig(
        codes.shape[1],
        tuple(group.name for group in groups),
        codes.shape[2],
        EDITOR_WIDTH,
        EDITOR_HEADS,
        tuple(group.label for group in groups),
        EDITOR_LONGEST,
        tuple(group.region for group in groups),
    )
    editors = {}
    for group in groups:
        editors[group.name], words = train_group(group, config, tellers, told, codes, args)
        print(words, flush=True)
    save_editors(args.out, config, editors)


if __name__ == "__main__":
    main()
