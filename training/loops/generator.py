"""Train StyleGAN2 as a GAN: for a machine with a GPU (`training/PLAN.md` has the command and the time).

    python -m training.loops.generator --data DIR --out runs/g --minutes 25

Non-saturating logistic loss, lazy R1 (every 16 steps), differentiable augmentation, style mixing,
averaged weights, bfloat16 where the device multiplies matrices in it.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from core.generators.stylegan2.network import Generator
from training.data.augment import augment
from training.data.packs import load
from training.loops.discriminator import Discriminator
from training.loops.loop import Average, Log, autocast, pick_device, restore, save, sheet
from training.loops.presets import PORTRAIT128_GENERATOR
from training.loops.weights import save_half

R1_EVERY = 16
REPORT = 50


def pictures(images: Tensor, batch: int) -> Iterator[Tensor]:
    """Endless random batches (B, 3, S, S) in [-1, 1], half of them mirrored. images: (N, S, S, 3) uint8."""
    while True:
        order = torch.randperm(len(images), device=images.device)
        for start in range(0, len(order) - batch + 1, batch):
            x = images[order[start : start + batch]].permute(0, 3, 1, 2).float() / 127.5 - 1
            mirror = torch.rand(batch, 1, 1, 1, device=images.device) < 0.5
            yield torch.where(mirror, x.flip(3), x).contiguous(memory_format=torch.channels_last)


def mixed_codes(generator: Generator, batch: int, device: torch.device) -> Tensor:
    """(B, L, D): with probability 0.9 the codes from a random layer on come from a second z."""
    config = generator.config
    first, second = generator.mapping(torch.randn(2 * batch, config.z_dim, device=device)).chunk(2)
    cut = torch.randint(1, config.num_codes, (batch, 1, 1), device=device)
    cut = torch.where(torch.rand(batch, 1, 1, device=device) < 0.9, cut, config.num_codes)
    layer = torch.arange(config.num_codes, device=device)[None, :, None]
    codes = torch.where(layer < cut, first[:, None], second[:, None])
    # The average w follows what the mapping network makes.
    generator.w_mean.lerp_(first.detach().float().mean(0).expand_as(generator.w_mean), 0.005)
    return codes


def discriminator_step(
    discriminator: Discriminator,
    optimizer: torch.optim.Optimizer,
    real: Tensor,
    fake: Tensor,
    penalise: bool,
    gamma: float,
) -> dict[str, float]:
    with autocast(real.device):
        loss = (
            F.softplus(discriminator(augment(fake))).mean() + F.softplus(-discriminator(augment(real))).mean()
        )
    terms = {"discriminator": loss}
    if penalise:
        # R1 (Mescheder et al. 2018): half gamma times the squared gradient at real pictures, in
        # float32 and without augmentation; its weight makes up for the steps in between.
        x = real.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
        terms["r1"] = gradient.square().sum((1, 2, 3)).mean()
        loss = loss + terms["r1"] * (gamma / 2 * R1_EVERY)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return {name: value.item() for name, value in terms.items()}


def train(args: argparse.Namespace) -> None:
    device = pick_device(args.device)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    data = torch.from_numpy(load(args.data, "train", args.limit).images).to(device)
    generator = Generator(PORTRAIT128_GENERATOR).to(device, memory_format=torch.channels_last)
    discriminator = Discriminator(PORTRAIT128_GENERATOR.channels).to(
        device, memory_format=torch.channels_last
    )
    average = Average(generator, 0.999)
    optimizer_g = torch.optim.Adam(generator.parameters(), args.rate, betas=(0.0, 0.99))
    ratio = R1_EVERY / (R1_EVERY + 1)  # lazy regularisation: Adam's constants follow (appendix B)
    optimizer_d = torch.optim.Adam(discriminator.parameters(), args.rate * ratio, betas=(0.0, 0.99**ratio))
    parts = {"generator": generator, "average": average.module, "discriminator": discriminator}
    parts |= {"optimizer_g": optimizer_g, "optimizer_d": optimizer_d}
    step, last = 0, args.out / "last.pt"
    if args.resume and last.exists():
        step = restore(last, **parts)["step"]
    synthesis = torch.compile(generator.synthesis) if args.compile else generator.synthesis
    log, began, first_step, r1 = Log(args.out / "log.csv"), time.monotonic(), step, 0.0
    shown = torch.randn(32, generator.config.z_dim, generator=torch.Generator().manual_seed(0)).to(device)
    for real in pictures(data, args.batch):
        if time.monotonic() - began > 60 * args.minutes or (args.steps and step - first_step >= args.steps):
            break
        with autocast(device):
            fake = synthesis(mixed_codes(generator, args.batch, device))
        penalise = step % R1_EVERY == 0
        terms = discriminator_step(discriminator, optimizer_d, real, fake.detach(), penalise, args.gamma)
        discriminator.requires_grad_(False)
        with autocast(device):
            loss = F.softplus(-discriminator(augment(fake))).mean()
        optimizer_g.zero_grad(set_to_none=True)
        loss.backward()
        optimizer_g.step()
        discriminator.requires_grad_(True)
        step += 1
        average.update(generator, step)
        r1 = terms.get("r1", r1)
        if step % REPORT == 0:
            seconds = time.monotonic() - began
            rate = (step - first_step) * args.batch / seconds
            row = {"step": step, "seconds": seconds, "per_second": rate, "generator": loss.item()}
            log.write({**row, "discriminator": terms["discriminator"], "r1": r1})
        if step % args.save_every == 0:
            finish(args, average.module, shown, step)
            save(last, step=step, **parts)
    finish(args, average.module, shown, step)
    save(last, step=step, **parts)


@torch.no_grad()
def finish(args: argparse.Namespace, generator: Generator, z: Tensor, step: int) -> None:
    """A sheet at psi 0.7, and the averaged weights alone in half precision (small enough to bring home)."""
    with autocast(z.device):
        samples = generator(z, 0.7)
    sheet(args.out / f"samples-{step:06d}.jpg", list(samples.chunk(4)))
    save_half(args.out / "generator-average.pt", generator)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.loops.generator", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--steps", type=int, default=0, help="stop after this many (0: by time alone)")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=2.5e-3)
    parser.add_argument("--gamma", type=float, default=0.5, help="R1 weight")
    parser.add_argument("--save-every", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="faces of the split (a rehearsal)")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--compile", action="store_true", help="torch.compile the synthesis (CUDA)")
    parser.add_argument("--resume", action="store_true")
    train(parser.parse_args(argv))


if __name__ == "__main__":
    main()
