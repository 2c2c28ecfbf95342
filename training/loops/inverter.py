"""Train the Style Transformer inverter against a frozen generator.

    python -m training.loops.inverter --data DIR --bundle BUNDLE --out runs/i --minutes 20
    python -m training.loops.inverter --data DIR --bundle BUNDLE --continue --samples 0.5 ...

The paper's objective (section 3.2) is L2 + LPIPS + identity; the features of dlib's face network take
the place of LPIPS. The MLP that maps z starts as the generator's, and is trained.

A share of each batch (`--samples`) may be the generator's own pictures, whose codes are known: they are
judged by pixels and by their codes. They have no landmarks, so no identity is compared. e4e's
principles (`training.data.offsets`, `training.loops.latent_discriminator`) are options. The last line, in
`trade.csv` too, is what the options trade: distortion against editability (`training.judging.editability`).
"""

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.checkpoints import load_bundle
from core.faces.dlib_network import DlibFaceNetwork
from core.generators.stylegan2.network import Generator
from core.models.inverter import invert
from core.models.style_transformer import StyleTransformer
from training.data.batches import Batches
from training.data.known_codes import KnownCodes
from training.data.offsets import free_codes, offset_penalty, tie_codes
from training.data.packs import load
from training.judging.editability import trade
from training.loops.latent_discriminator import LatentAdversary
from training.loops.loop import Average, Log, autocast, pick_device, restore, save, sheet
from training.loops.losses import Weights, load_face_network, reconstruction_losses, total
from training.loops.trained import inverter_of
from training.loops.weights import load_started, save_half

REPORT = 100
# Of the head that tells the codes apart, in an inverter that has none yet.
DENSE_WIDTH = 512


@dataclass(frozen=True)
class InverterWeights(Weights):
    """Beside the reconstruction of real faces: generator samples, and e4e's terms on real faces' codes."""

    sample_pixel: float = 10.0
    sample_codes: float = 1.0
    offset: float = 0.0
    latent: float = 0.0


def load_networks(args: argparse.Namespace, device: torch.device) -> tuple[Generator, StyleTransformer]:
    """The bundle's frozen generator, and its inverter as it starts: fresh, or with `--continue` as it is."""
    bundle = load_bundle(args.bundle)
    generator = bundle.generator.to(device, memory_format=torch.channels_last)
    config = inverter_of(bundle).config
    inverter = StyleTransformer(replace(config, dense_width=config.dense_width or DENSE_WIDTH))
    inverter.mapping.load_state_dict(generator.mapping.state_dict())
    if args.go_on:
        load_started(inverter, inverter_of(bundle).state_dict())
    return generator, inverter.to(device, memory_format=torch.channels_last)


def sample_losses(
    output: Tensor, pictures: Tensor, codes: Tensor, wanted: Tensor, known: KnownCodes
) -> dict[str, Tensor]:
    """Unweighted terms of generator samples. output, pictures: (K, 3, R, R); codes, wanted: (K, L, D).

    Codes are compared in units of their deviation, squared: 1 is no better than the mean code.
    """
    return {
        "sample_pixel": F.l1_loss(output, pictures),
        "sample_codes": F.mse_loss(known.normalise(codes), known.normalise(wanted)),
    }


class Trainer:
    """The inverter with all that one step needs."""

    def __init__(
        self,
        args: argparse.Namespace,
        generator: Generator,
        inverter: StyleTransformer,
        network: DlibFaceNetwork,
    ) -> None:
        self.generator, self.inverter, self.network = generator, inverter, network
        self.device = generator.w_mean.device
        self.clip, self.hold = args.clip, args.progressive
        self.samples = int(args.samples * args.batch)
        self.weights = InverterWeights(offset=args.offset_penalty, latent=args.latent_adversarial)
        self.average = Average(inverter)
        self.optimizer = torch.optim.RAdam(inverter.parameters(), args.rate, betas=(0.95, 0.999))
        self.known = KnownCodes(generator)
        self.adversary = LatentAdversary(generator.config.w_dim, self.device)

    @property
    def parts(self) -> dict[str, Any]:
        """What a checkpoint holds: the same whatever the options, so that a later run may change them."""
        return {
            "inverter": self.inverter,
            "average": self.average.module,
            "optimizer": self.optimizer,
            "judge": self.adversary.judge,
            "optimizer_judge": self.adversary.optimizer,
        }

    def sample(self) -> tuple[Tensor, Tensor]:
        """Pictures (K, 3, R, R) in [-1, 1] of known codes (K, L, D)."""
        codes = self.known.draw(self.samples)
        with torch.no_grad(), autocast(self.device):
            return self.generator.synthesis(codes).clamp(-1, 1), codes

    def losses(self, images: Tensor, theta: Tensor, step: int) -> tuple[dict[str, Tensor], Tensor]:
        """Unweighted terms, and the codes (B, L, D) of the real faces.

        images: (B, 3, R, R) in [-1, 1]; theta: (B, 2, 3) of `chip_grid`; step: counted from 0.
        """
        real = len(images)
        if self.samples:
            pictures, wanted = self.sample()
            images = torch.cat([images, pictures])
        with autocast(self.device):
            codes = invert(self.generator, self.inverter, images)
            codes = tie_codes(codes, self.known.mean, free_codes(step, self.hold, codes.shape[1]))
            output = self.generator.synthesis(codes)
            terms = reconstruction_losses(output[:real], images[:real], theta, self.network)
        if self.samples:
            terms |= sample_losses(output[real:], pictures, codes[real:], wanted, self.known)
        if self.weights.offset:
            terms["offset"] = offset_penalty(codes[:real], self.known.mean)
        if self.weights.latent:
            terms["latent"] = self.adversary.loss(self.known.normalise(codes[:real]))
        return terms, codes[:real]

    def step(self, images: Tensor, theta: Tensor, step: int) -> dict[str, Tensor]:
        """One step of the inverter, then of its judge if it has one; returns the unweighted terms."""
        terms, codes = self.losses(images, theta, step)
        self.optimizer.zero_grad(set_to_none=True)
        total(terms, self.weights).backward()
        nn.utils.clip_grad_norm_(self.inverter.parameters(), self.clip)
        self.optimizer.step()
        self.average.update(self.inverter, step + 1)
        if self.weights.latent:
            known = self.known.normalise(self.known.draw(len(codes)))
            terms |= self.adversary.learn(known, self.known.normalise(codes))
        return {name: value.detach() for name, value in terms.items()}


def train(args: argparse.Namespace) -> None:
    device = pick_device(args.device)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    network = load_face_network(device)
    trainer = Trainer(args, *load_networks(args, device), network)
    train_faces, validation_faces = (load(args.data, split, args.limit) for split in ("train", "validation"))
    faces = Batches(train_faces, args.batch - trainer.samples, device, args.seed)
    validation = Batches(validation_faces, args.batch, device, 0)
    step, last = 0, args.out / "last.pt"
    if args.resume and last.exists():
        step = restore(last, **trainer.parts)["step"]
    log, began, first_step, sums = Log(args.out / "log.csv"), time.monotonic(), step, dict[str, Tensor]()
    for images, theta in faces:
        if time.monotonic() - began > 60 * args.minutes or (args.steps and step - first_step >= args.steps):
            break
        terms = trainer.step(images, theta, step)
        step += 1
        # Summed on the device: reading a number would wait for it.
        sums = {name: value + sums.get(name, 0.0) for name, value in terms.items()}
        if step % REPORT == 0:
            seconds = time.monotonic() - began
            row = {"step": step, "seconds": seconds, "per_second": (step - first_step) * args.batch / seconds}
            log.write({**row, **{name: value.item() / REPORT for name, value in sums.items()}})
            sums = {}
        if step % args.save_every == 0:
            finish(args, trainer, validation, step)
    finish(args, trainer, validation, step)
    figures = trade(trainer.generator, trainer.average.module, train_faces, validation_faces, network)
    Log(args.out / "trade.csv").write({"step": step, **figures})


@torch.no_grad()
def finish(args: argparse.Namespace, trainer: Trainer, faces: Batches, step: int) -> None:
    """A sheet of validation faces above their inversions, the averaged weights alone, and a checkpoint."""
    generator, inverter = trainer.generator, trainer.average.module
    images, _ = faces.take(np.arange(min(12, len(faces.images))), np.zeros(min(12, len(faces.images)), bool))
    with autocast(images.device):
        output: Tensor = generator.synthesis(invert(generator, inverter, images))
    sheet(args.out / f"sheet-{step:06d}.jpg", [images, output])
    save_half(args.out / "inverter-average.pt", inverter)
    save(args.out / "last.pt", step=step, **trainer.parts)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.loops.inverter", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, required=True, help="bundle folder, whose generator to invert")
    parser.add_argument(
        "--continue", dest="go_on", action="store_true", help="start as the bundle's inverter"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--samples", type=float, default=0.0, help="share of each batch: generator's pictures"
    )
    parser.add_argument("--offset-penalty", type=float, default=0.0, help="weight of e4e's offset norm")
    parser.add_argument("--progressive", type=int, default=0, help="steps with the base code alone (0: none)")
    parser.add_argument("--latent-adversarial", type=float, default=0.0, help="weight of e4e's discriminator")
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
    args = parser.parse_args(argv)
    if not 0 <= args.samples < 1:
        parser.error("--samples is a share from 0 to below 1")
    return args


def main(argv: list[str] | None = None) -> None:
    train(parse(argv))


if __name__ == "__main__":
    main()
