"""Train a generator together with its inverter: the way to a face model where there is no GPU.

    python -m training.loops.autoencoder --data DIR --out runs/a \
        --resolution 64 --minutes 50
    python -m training.loops.autoencoder ... --resume --resolution 128 --adversarial --minutes 35

The loss is reconstruction alone (and, late, an adversary), so the codes of real faces carry the model:
its samples are drawn from a Gaussian fitted to them (`training.loops.export`), not from the mapping network.
Both stages train the same two modules; the first stops the synthesis at `--resolution`. A later run goes on
from a bundle with `--start checkpoints/portrait128`.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.checkpoints import load_bundle
from core.faces.dlib_network import DlibFaceNetwork
from core.generators.stylegan2.layers import ToRGB
from core.generators.stylegan2.network import Generator
from core.models.inverter import invert
from core.models.style_transformer import StyleTransformer
from training.data.batches import Batches
from training.data.packs import load
from training.loops.loop import Average, Log, autocast, pick_device, restore, save, sheet
from training.loops.losses import (
    PatchDiscriminator,
    Weights,
    hinge_discriminator,
    load_face_network,
    reconstruction_losses,
    total,
)
from training.loops.presets import PORTRAIT128_GENERATOR, PORTRAIT128_INVERTER
from training.loops.trained import inverter_of
from training.loops.weights import load_started, save_half

LEARNING_RATE = {"generator": 2.5e-3, "inverter": 6e-4, "discriminator": 4e-4}
REPORT = 100
EVALUATE = 1000


class Autoencoder(nn.Module):
    """Inverter and generator as one module, so that they are averaged and saved together."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = Generator(PORTRAIT128_GENERATOR)
        self.inverter = StyleTransformer(PORTRAIT128_INVERTER)
        for module in self.generator.modules():
            if isinstance(module, ToRGB):
                nn.init.zeros_(module.weight)  # a resolution enters silently

    def forward(self, images: Tensor, resolution: int) -> Tensor:
        """(B, 3, S, S) -> (B, 3, resolution, resolution)."""
        return self.generator.synthesis(invert(self.generator, self.inverter, images), size=resolution)


def shrink(images: Tensor, resolution: int) -> Tensor:
    """Area average to `resolution`."""
    return (
        images
        if images.shape[-1] == resolution
        else F.interpolate(images, size=(resolution,) * 2, mode="area")
    )


@torch.no_grad()
def evaluate(
    model: Autoencoder, batches: Batches, network: DlibFaceNetwork, resolution: int
) -> dict[str, float]:
    """Mean squared error and identity term on the first 192 validation faces, unmirrored."""
    sums = {"mse": 0.0, "identity": 0.0}
    count = min(192, len(batches.images))
    for start in range(0, count, 32):
        index = np.arange(start, min(start + 32, count))
        images, theta = batches.take(index, np.zeros(len(index), bool))
        with autocast(images.device):
            output = model(images, resolution).float()
            terms = reconstruction_losses(output, shrink(images, resolution), theta, network)
        sums["mse"] += F.mse_loss(output, shrink(images, resolution)).item() * len(index)
        sums["identity"] += terms["identity"].item() * len(index)
    return {name: value / count for name, value in sums.items()}


def train(args: argparse.Namespace) -> None:
    device = pick_device(args.device)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    faces = Batches(load(args.data, "train", args.limit), args.batch, device, args.seed)
    validation = Batches(load(args.data, "validation", args.limit), args.batch, device, 0)
    network = load_face_network(device)
    model = Autoencoder()
    if args.start:
        bundle = load_bundle(args.start)
        model.generator.load_state_dict(bundle.generator.state_dict())
        load_started(model.inverter, inverter_of(bundle).state_dict())
    model = model.to(device, memory_format=torch.channels_last)
    average = Average(model)
    discriminator = PatchDiscriminator().to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(
        [
            {"params": model.generator.parameters(), "lr": LEARNING_RATE["generator"]},
            {"params": model.inverter.parameters(), "lr": LEARNING_RATE["inverter"]},
        ],
        betas=(0.9, 0.99),
        fused=True,
    )
    optimizer_d = torch.optim.Adam(
        discriminator.parameters(), LEARNING_RATE["discriminator"], betas=(0.5, 0.99), fused=True
    )
    base_rates = [group["lr"] for group in optimizer.param_groups]
    step, last = 0, args.out / "last.pt"
    parts = {"model": model, "average": average.module, "discriminator": discriminator}
    parts |= {"optimizer": optimizer, "optimizer_d": optimizer_d}
    if args.resume and last.exists():
        step = restore(last, **parts)["step"]
    weights = Weights(adversarial=args.adversarial)
    log, began, start_step, sums = Log(args.out / "log.csv"), time.monotonic(), step, dict[str, float]()
    for images, theta in faces:
        done = (time.monotonic() - began) / (60 * args.minutes)
        if done >= 1 or (args.steps and step - start_step >= args.steps):
            break
        fall = 1.0 if args.hold else max(1 - done, 0.02)
        for group, rate in zip(optimizer.param_groups, base_rates, strict=True):
            group["lr"] = args.rate * rate * fall * min(1.0, (step - start_step + 1) / 100)
        target = shrink(images, args.resolution)
        with autocast(device):
            output = model(images, args.resolution)
            terms = reconstruction_losses(output, target, theta, network)
            if weights.adversarial:
                terms["adversarial"] = -discriminator(output).mean()
        loss = total(terms, weights)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), args.clip)
        optimizer.step()
        if weights.adversarial:
            with autocast(device):
                loss_d = hinge_discriminator(discriminator(target), discriminator(output.detach()))
            optimizer_d.zero_grad(set_to_none=True)
            loss_d.backward()
            optimizer_d.step()
            terms["discriminator"] = loss_d
        step += 1
        average.update(model, step)
        for name, value in {**terms, "norm": norm}.items():
            sums[name] = sums.get(name, 0.0) + value.item()
        if step % REPORT == 0:
            spent = time.monotonic() - began
            rate = (step - start_step) * args.batch / spent
            log.write(
                {
                    "step": step,
                    "seconds": spent,
                    "per_second": rate,
                    **{k: v / REPORT for k, v in sums.items()},
                }
            )
            sums = {}
        if step % EVALUATE == 0:
            report(args, average.module, validation, network, step)
            save(last, step=step, **parts)
    report(args, average.module, validation, network, step)
    save(last, step=step, **parts)


@torch.no_grad()
def report(
    args: argparse.Namespace, model: Autoencoder, faces: Batches, network: DlibFaceNetwork, step: int
) -> None:
    """Validation figures into their own CSV, a sheet of originals above reconstructions, averaged weights."""
    figures = evaluate(model, faces, network, args.resolution)
    Log(args.out / "validation.csv").write({"step": step, **figures})
    images, _ = faces.take(np.arange(12), np.zeros(12, bool))
    with autocast(images.device):
        rows = [images, model(images, args.resolution)]
    sheet(args.out / f"sheet-{step:06d}.jpg", rows)
    save_half(args.out / "generator-average.pt", model.generator)
    save_half(args.out / "inverter-average.pt", model.inverter)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.loops.autoencoder", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="bundle whose weights to go on from")
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--adversarial", type=float, default=0.0, help="weight of the adversarial term")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--steps", type=int, default=0, help="stop after this many (0: by time alone)")
    parser.add_argument("--rate", type=float, default=1.0, help="factor of the two models' learning rates")
    parser.add_argument("--hold", action="store_true", help="no decay: another stage follows")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--clip", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="faces per split (a rehearsal)")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--resume", action="store_true")
    train(parser.parse_args(argv))


if __name__ == "__main__":
    main()
