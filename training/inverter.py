"""Train the Style Transformer inverter against a frozen generator.

    python -m training.inverter --data DIR --generator runs/g/generator-average.pt \
        --identity mobilefacenet.safetensors --out runs/i --minutes 20

The paper's objective (section 3.2) is L2 + LPIPS + identity; MobileFaceNet's features take the place of
LPIPS, whose weights cannot be assumed. The MLP that maps z starts as the generator's, and is trained.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.style_transformer import StyleTransformer, invert
from core.models.stylegan2 import Generator
from training.batches import Batches
from training.data import load
from training.loop import Average, Log, autocast, pick_device, restore, save, sheet
from training.losses import Weights, reconstruction_losses, total
from training.mobilefacenet import MobileFaceNet
from training.presets import PORTRAIT128_GENERATOR, PORTRAIT128_INVERTER

REPORT = 100


def load_generator(path: Path, device: torch.device) -> Generator:
    """A frozen generator from the half-precision file that training.generator writes."""
    generator = Generator(PORTRAIT128_GENERATOR)
    state = torch.load(path, map_location="cpu", weights_only=True)
    generator.load_state_dict({k: v.float() for k, v in state.items()})
    return generator.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)


def train(args: argparse.Namespace) -> None:
    device = pick_device(args.device)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    generator = load_generator(args.generator, device)
    faces = Batches(load(args.data, "train", args.limit), args.batch, device, args.seed)
    validation = Batches(load(args.data, "validation", args.limit), args.batch, device, 0)
    network = MobileFaceNet.load(args.identity).to(device, memory_format=torch.channels_last)
    inverter = StyleTransformer(PORTRAIT128_INVERTER)
    inverter.mapping.load_state_dict(generator.mapping.state_dict())
    inverter = inverter.to(device, memory_format=torch.channels_last)
    average = Average(inverter)
    optimizer = torch.optim.RAdam(inverter.parameters(), args.rate, betas=(0.95, 0.999))
    parts = {"inverter": inverter, "average": average.module, "optimizer": optimizer}
    step, last = 0, args.out / "last.pt"
    if args.resume and last.exists():
        step = restore(last, **parts)["step"]
    log, began, first_step, weights = Log(args.out / "log.csv"), time.monotonic(), step, Weights()
    for images, theta in faces:
        if time.monotonic() - began > 60 * args.minutes or (args.steps and step - first_step >= args.steps):
            break
        with autocast(device):
            output = generator.synthesis(invert(generator, inverter, images))
            terms = reconstruction_losses(output, images, theta, network)
        optimizer.zero_grad(set_to_none=True)
        total(terms, weights).backward()
        nn.utils.clip_grad_norm_(inverter.parameters(), args.clip)
        optimizer.step()
        step += 1
        average.update(inverter, step)
        if step % REPORT == 0:
            seconds = time.monotonic() - began
            rate = (step - first_step) * args.batch / seconds
            figures = {name: value.item() for name, value in terms.items()}
            log.write({"step": step, "seconds": seconds, "per_second": rate, **figures})
        if step % args.save_every == 0:
            finish(args, generator, average.module, validation, step)
            save(last, step=step, **parts)
    finish(args, generator, average.module, validation, step)
    save(last, step=step, **parts)


@torch.no_grad()
def finish(
    args: argparse.Namespace, generator: Generator, inverter: StyleTransformer, faces: Batches, step: int
) -> None:
    """A sheet of validation faces above their inversions, and the averaged weights alone."""
    images, _ = faces.take(np.arange(min(12, len(faces.images))), np.zeros(min(12, len(faces.images)), bool))
    with autocast(images.device):
        output: Tensor = generator.synthesis(invert(generator, inverter, images))
    sheet(args.out / f"sheet-{step:06d}.jpg", [images, output])
    state = {k: v.half().cpu() for k, v in inverter.state_dict().items() if v.is_floating_point()}
    torch.save(state, args.out / "inverter-average.pt")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.inverter", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument(
        "--generator", type=Path, required=True, help="generator-average.pt of training.generator"
    )
    parser.add_argument("--identity", type=Path, required=True, help="MobileFaceNet weights (safetensors)")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--steps", type=int, default=0, help="stop after this many (0: by time alone)")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--clip", type=float, default=1.0)
    parser.add_argument("--save-every", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="faces per split (a rehearsal)")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--resume", action="store_true")
    train(parser.parse_args(argv))


if __name__ == "__main__":
    main()
