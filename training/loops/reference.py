"""Train the reference editors in latent space: one module for each slider (Style Transformer, section 4.1).

    python -m training.loops.reference --data DIR --bundle BUNDLE --version 0.4.0

Sources and references are two random halves of the training split's codes, and no label is used: the
bundle's latent classifier, frozen, says what an attribute is. Each module is then scaled until amount 1, seen
by re-inversion, brings what the reference has. The bundle's other networks stay bit for bit.
"""

import argparse
import dataclasses
from pathlib import Path

import torch
from torch import Tensor, nn

from core.checkpoints import load_bundle, save_bundle
from core.generators.family import GeneratorFamily
from core.models.inverter import invert
from core.models.latent_classifier import LatentClassifier
from core.models.reference_editor import ReferenceEditor
from core.models.style_transformer import StyleTransformer
from core.network_config import ReferenceEditorConfig
from training.data.codes import encode
from training.data.packs import load
from training.loops.loop import autocast, pick_device
from training.loops.presets import EDITOR_HEADS, EDITOR_WIDTH
from training.loops.trained import classifier_of, inverter_of

LEARNING_RATE = 1e-3
# Of the squared distances below. An embedding also holds what its logit does not ask for (all branches share
# a trunk): with Equations 6 and 7 alone, most of a step moved other attributes. The logits' shares lead.
WEIGHTS = {"logit": 1.0, "embedding": 0.03, "kept_logit": 6.0, "kept": 0.3, "step": 0.15}
# With the plain norm of a step open mouths turned violet; with little of it, mouths became nobody's.
ISOTROPY = 20.0
CALIBRATION_PAIRS = 64
# What the weight of the step holds back is given back here: a dear step is a natural one.
GAIN_RANGE = (1.0, 4.0)


class StepNorm(nn.Module):
    """The norm of delta w, squared, where ways in which faces differ cost less.

    d^T (Sigma + c)^-1 d with the codes' covariance Sigma and c = ISOTROPY times their mean variance.
    """

    def __init__(self, codes: Tensor) -> None:
        """codes: (N, L, D)."""
        super().__init__()
        variances, axes = torch.linalg.eigh(torch.cov(codes.flatten(1).T))
        self.c = ISOTROPY * variances.mean()
        saved = variances / (variances + self.c)
        # The others save less than a hundredth of a step's cost.
        self.axes, self.saved = axes[:, saved > 0.01], saved[saved > 0.01]

    def forward(self, step: Tensor) -> Tensor:
        """(B, L, D) -> (B,)."""
        flat = step.flatten(1)  # (B, L*D)
        return (flat.square().sum(1) - ((flat @ self.axes).square() * self.saved).sum(1)) / self.c


class Objective(nn.Module):
    """The three losses of one attribute, as squared distances in units of the classifier's own spread."""

    def __init__(
        self, classifier: LatentClassifier, attribute: int, codes: Tensor, step_norm: StepNorm
    ) -> None:
        """codes: (N, L, D), over which spreads are taken."""
        super().__init__()
        self.classifier, self.attribute, self.step_norm = classifier, attribute, step_norm
        embedded = classifier.embed(codes)  # (N, A, E)
        self.spread = (embedded - embedded.mean(0)).norm(dim=-1).mean(0)[:, None]  # (A, 1)
        self.logit_spread = classifier(codes).std(0)  # (A,)
        self.others = [a for a in range(len(classifier.config.attributes)) if a != attribute]

    def forward(self, source: Tensor, reference: Tensor, step: Tensor) -> dict[str, Tensor]:
        """w_s, w_r and delta w, all (B, L, D).

        -> embedding: Equation 6, to the reference's; kept: Equation 7, every other attribute's to the
        source's; logit, kept_logit: the same of C_l; step: `StepNorm`. Means over the batch.
        """
        with torch.no_grad():
            before, wanted = (self.classifier.embed(w) / self.spread for w in (source, reference))
        after = self.classifier.embed(source + step) / self.spread
        towards = after[:, self.attribute] - wanted[:, self.attribute]  # (B, E)
        away = after - before  # (B, A, E)
        return {
            "embedding": towards.square().sum(-1).mean(),
            "logit": self._logits(after - wanted)[:, self.attribute].square().mean(),
            "kept": away[:, self.others].square().sum(-1).mean(),
            "kept_logit": self._logits(away)[:, self.others].square().mean(),
            "step": self.step_norm(step).mean(),
        }

    def _logits(self, difference: Tensor) -> Tensor:
        """Of embeddings (B, A, E) that of the logits, in their own spread: (B, A)."""
        # C_l is linear in C_f, so its bias drops out.
        weight = self.classifier.logit.weight[:, 0] * self.spread / self.logit_spread[:, None]  # (A, E)
        return (difference * weight).sum(-1)


def train_editor(
    editor: ReferenceEditor, objective: Objective, codes: Tensor, steps: int, batch: int, seed: int
) -> dict[str, float]:
    """Adam on random pairs of source and reference, its rate falling by a cosine; returns the last losses.

    codes: (N, L, D); which half of them is source and which reference is drawn from `seed`.
    """
    random = torch.Generator().manual_seed(seed)
    sources, references = torch.randperm(len(codes), generator=random).chunk(2)
    editor.out.weight.data.mul_(0.1)  # as a start, nearly no edit
    optimizer = torch.optim.Adam(editor.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    losses: dict[str, Tensor] = {}
    for _ in range(steps):
        source, reference = (
            codes[half[torch.randint(len(half), (batch,), generator=random)]]
            for half in (sources, references)
        )
        losses = objective(source, reference, editor(source, reference))
        loss = torch.stack([weight * losses[name] for name, weight in WEIGHTS.items()]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    editor.eval().requires_grad_(False)
    return {name: float(value.detach()) for name, value in losses.items()}


@torch.no_grad()
def reach(
    generator: GeneratorFamily,
    inverter: StyleTransformer,
    editor: ReferenceEditor,
    normal: Tensor,
    codes: Tensor,
) -> float:
    """The share of the way to the reference that a step goes, after rendering and inverting what it makes.

    normal: (L, D), the attribute's linear direction; codes: (2 N, L, D), sources, then references. It is the
    slope of least squares: at 1, what the references have more of arrives in full.
    """
    source, reference = codes.chunk(2)
    wanted = ((reference - source) * normal).sum((1, 2))  # (N,)
    scores = []
    for w in (source, source + editor(source, reference)):
        with autocast(codes.device):
            picture = generator.synthesis(w).clamp(-1, 1)
            scores.append((invert(generator, inverter, picture) * normal).sum((1, 2)))
    return float((wanted @ (scores[1] - scores[0])) / (wanted @ wanted))


def calibrate(
    generator: GeneratorFamily,
    inverter: StyleTransformer,
    editor: ReferenceEditor,
    normal: Tensor,
    codes: Tensor,
) -> float:
    """Scale what the editor gives until `reach` is 1, as far as GAIN_RANGE allows; returns the gain."""
    low, high = GAIN_RANGE
    gain = min(high, max(low, 1 / max(1e-6, reach(generator, inverter, editor, normal, codes))))
    editor.out.weight.data.mul_(gain)
    return gain


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.loops.reference", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--version", required=True, help="of the bundle from now on")
    parser.add_argument("--out", type=Path, help="where to write it (by default, in place)")
    parser.add_argument("--steps", type=int, default=1200, help="for each module")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="faces of the split (a rehearsal)")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args(argv)
    device = pick_device(args.device)
    bundle = load_bundle(args.bundle, device)
    codes = encode(bundle.generator, inverter_of(bundle), load(args.data, "train", args.limit), device).to(
        device
    )
    config = ReferenceEditorConfig(
        num_codes=bundle.config.generator.num_codes,
        attributes=tuple(attribute.name for attribute in bundle.config.attributes),
        w_dim=bundle.config.generator.w_dim,
        width=EDITOR_WIDTH,
        heads=EDITOR_HEADS,
    )
    count = min(CALIBRATION_PAIRS, len(codes) // 2)
    some = codes[torch.randperm(len(codes), generator=torch.Generator().manual_seed(args.seed))[: 2 * count]]
    step_norm = StepNorm(codes)
    editors: dict[str, ReferenceEditor] = {}
    for name in config.attributes:
        index = classifier_of(bundle).config.attributes.index(name)
        torch.manual_seed(args.seed + index)
        editor = editors[name] = ReferenceEditor(config).to(device)
        objective = Objective(classifier_of(bundle), index, codes, step_norm)
        losses = train_editor(editor, objective, codes, args.steps, args.batch, args.seed + index)
        networks = bundle.generator, inverter_of(bundle)
        gain = calibrate(*networks, editor, bundle.linear_directions[index], some)
        told = "  ".join(f"{loss} {value:.3f}" for loss, value in losses.items())
        print(f"{name:14}{told}  gain {gain:.2f}", flush=True)
    described = dataclasses.replace(bundle.config, version=args.version, reference_editor=config)
    save_bundle(
        args.out or args.bundle, dataclasses.replace(bundle, config=described, reference_editors=editors)
    )


if __name__ == "__main__":
    main()
