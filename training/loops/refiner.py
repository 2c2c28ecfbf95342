"""Train RefineStyle refiners for a bundle whose generator and inverter stay frozen.

    python -m training.loops.refiner --data DIR \
        --bundle BUNDLE --out runs/r --minutes 60

One- and two-stage refiners share a step's batch, its codes and its inversion. The losses are the inverter's
own; those of identity and features, the costly ones, are taken on `--judged` faces of each batch. Always at
full resolution: stopped earlier, the sum of the generator's RGB layers is another picture, not a smaller one.
Writes `one_stage-average.pt` and `two_stage-average.pt` for `training.loops.add_refiners`.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from core.checkpoints import load_bundle
from core.faces.dlib_network import DlibFaceNetwork
from core.generators.residual import LowRank
from core.generators.stylegan2.network import Generator
from core.models.refine_style import RefineStyle, resize
from core.models.style_transformer import StyleTransformer
from core.ops.modulated_conv import LowRankPair
from training.data.batches import Batches
from training.data.packs import load
from training.loops.loop import Average, Log, autocast, pick_device, restore, save, sheet
from training.loops.losses import Weights, load_face_network, reconstruction_losses, total
from training.loops.presets import refiner_configs
from training.loops.trained import inverter_of
from training.loops.weights import save_half

LEARNING_RATE = 1e-3
REPORT = 50
EVALUATE = 500
WEIGHTS = Weights()


class Frozen:
    """Generator and inverter of a bundle, and what a refiner is given of a picture."""

    def __init__(self, generator: Generator, inverter: StyleTransformer) -> None:
        self.generator, self.inverter = generator, inverter

    @torch.no_grad()
    def invert(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3, R, R) -> codes (B, L, D), F3 of the inverter's trunk, inversions (B, 3, R, R)."""
        features: list[Tensor] = []
        handle = self.inverter.trunk.register_forward_hook(lambda *call: features.extend(call[2]))
        try:
            offsets = self.inverter(resize(images, self.inverter.config.input_resolution))
        finally:
            handle.remove()
        codes = self.generator.w_mean + offsets.float()
        return codes, features[2], self.generator.synthesis(codes)


def residuals(
    refiner: RefineStyle, images: Tensor, finest: Tensor, inversions: Tensor
) -> list[LowRankPair | None]:
    """One pair for each 3x3 convolution, whichever stage the refiner is."""
    if refiner.config.stage == "one_stage":
        return refiner.one_stage(finest)
    return refiner.two_stage(images, inversions)


@torch.no_grad()
def evaluate(
    frozen: Frozen, refiners: Sequence[RefineStyle], faces: Batches, network: DlibFaceNetwork
) -> dict[str, float]:
    """MSE and identity term of 192 spread validation faces: without refinement, and with each."""
    index = np.linspace(0, len(faces.images) - 1, min(192, len(faces.images))).astype(int)
    sums: dict[str, float] = {}
    for part in np.array_split(index, max(1, len(index) // 16)):
        images, theta = faces.take(part, np.zeros(len(part), bool))
        with autocast(images.device):
            codes, finest, inversions = frozen.invert(images)
            outputs = {"off": inversions}
            for refiner in refiners:
                found = LowRank(tuple(residuals(refiner, images, finest, inversions)))
                outputs[refiner.config.stage] = frozen.generator.synthesis(codes, residual=found)
            for name, output in outputs.items():
                terms = reconstruction_losses(output.float(), images, theta, network)
                for key, value in (("mse", terms["squared"]), ("identity", terms["identity"])):
                    sums[f"{name}_{key}"] = sums.get(f"{name}_{key}", 0.0) + value.item() * len(part)
    return {name: value / len(index) for name, value in sums.items()}


def loss_of(
    output: Tensor, images: Tensor, theta: Tensor, network: DlibFaceNetwork, judged: int
) -> dict[str, Tensor]:
    """Terms of one batch; the first `judged` of its faces count for identity and features."""
    faces = reconstruction_losses(output[:judged], images[:judged], theta[:judged], network)
    return faces | {"pixel": F.l1_loss(output, images), "squared": F.mse_loss(output, images)}


def train(args: argparse.Namespace) -> None:
    device = pick_device(args.device)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    faces = Batches(load(args.data, "train", args.limit), args.batch, device, args.seed)
    validation = Batches(load(args.data, "validation", args.limit), args.batch, device, 0)
    network = load_face_network(device)
    bundle = load_bundle(args.bundle, device)
    frozen = Frozen(
        bundle.generator.to(memory_format=torch.channels_last),
        inverter_of(bundle).to(memory_format=torch.channels_last),
    )
    kernels = bundle.generator.low_rank or ()
    chosen = [c for c in refiner_configs(len(kernels)) if c.stage in args.stages]
    refiners = [RefineStyle(c, kernels).to(device, memory_format=torch.channels_last) for c in chosen]
    averages = [Average(refiner, args.decay) for refiner in refiners]
    optimizers = [torch.optim.Adam(r.parameters(), LEARNING_RATE, (0.9, 0.99), fused=True) for r in refiners]
    parts: dict[str, nn.Module | torch.optim.Optimizer] = {}
    for refiner, average, optimizer in zip(refiners, averages, optimizers, strict=True):
        stage = refiner.config.stage
        parts |= {stage: refiner, f"{stage}_average": average.module, f"{stage}_optimizer": optimizer}
    step, last = 0, args.out / "last.pt"
    if args.resume and last.exists():
        step = restore(last, **parts)["step"]
    log, began, start_step, sums = Log(args.out / "log.csv"), time.monotonic(), step, dict[str, float]()
    for images, theta in faces:
        done = (time.monotonic() - began) / (60 * args.minutes)
        if done >= 1 or (args.steps and step - start_step >= args.steps):
            break
        with autocast(device):
            codes, finest, inversions = frozen.invert(images)
        for refiner, optimizer in zip(refiners, optimizers, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * args.rate * max(1 - done, 0.02) * min(1, (step + 1) / 100)
            # The default attention kernel's backward pass takes three times as long on a CPU.
            with autocast(device), sdpa_kernel(SDPBackend.MATH):
                pairs = residuals(refiner, images, finest, inversions)
                output = frozen.generator.synthesis(codes, residual=LowRank(tuple(pairs))).float()
                terms = loss_of(output, images, theta, network, args.judged)
                loss = total(terms, WEIGHTS)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            terms["norm"] = nn.utils.clip_grad_norm_(refiner.parameters(), args.clip)
            optimizer.step()
            for name, value in terms.items():
                key = f"{refiner.config.stage}_{name}"
                sums[key] = sums.get(key, 0.0) + value.item()
        sums["off_squared"] = sums.get("off_squared", 0.0) + F.mse_loss(inversions.float(), images).item()
        step += 1
        for average, refiner in zip(averages, refiners, strict=True):
            average.update(refiner, step)
        if step % REPORT == 0:
            spent = time.monotonic() - began
            means = {k: v / REPORT for k, v in sums.items()}
            log.write({"step": step, "seconds": spent, **dict(sorted(means.items()))})
            sums = {}
        if step % EVALUATE == 0:
            report(args.out, frozen, [a.module for a in averages], validation, network, step)
            save(last, step=step, **parts)
    report(args.out, frozen, [a.module for a in averages], validation, network, step)
    save(last, step=step, **parts)


@torch.no_grad()
def report(
    out: Path,
    frozen: Frozen,
    refiners: Sequence[RefineStyle],
    faces: Batches,
    network: DlibFaceNetwork,
    step: int,
) -> None:
    """Validation figures, a sheet (originals, inversions, one row for each refiner), averaged weights."""
    Log(out / "validation.csv").write({"step": step, **evaluate(frozen, refiners, faces, network)})
    index = np.linspace(0, len(faces.images) - 1, min(12, len(faces.images))).astype(int)
    images, _ = faces.take(index, np.zeros(len(index), bool))
    with autocast(images.device):
        codes, finest, inversions = frozen.invert(images)
        rows = [images, inversions]
        for refiner in refiners:
            pairs = residuals(refiner, images, finest, inversions)
            rows.append(frozen.generator.synthesis(codes, residual=LowRank(tuple(pairs))))
    sheet(out / f"sheet-{step:06d}.jpg", rows)
    for refiner in refiners:
        save_half(out / f"{refiner.config.stage}-average.pt", refiner)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.loops.refiner", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, required=True, help="whose generator and inverter to refine")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--stages", nargs="+", choices=("one_stage", "two_stage"), default=["one_stage", "two_stage"]
    )
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--judged", type=int, default=4, help="faces of a batch whose identity counts")
    parser.add_argument("--steps", type=int, default=0, help="stop after this many (0: by time alone)")
    parser.add_argument("--rate", type=float, default=1.0, help="factor of the learning rate")
    parser.add_argument("--decay", type=float, default=0.995, help="of the averaged weights")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--clip", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="faces per split (a rehearsal)")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--resume", action="store_true")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    train(parse(argv))


if __name__ == "__main__":
    main()
