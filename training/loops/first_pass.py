"""Teach an iterative inverter its first pass, from what was seen of samples beforehand.

    python -m training.data.seen --bundle checkpoints/portrait1024 --trunk TRUNK --out seen
    python -m training.loops.first_pass --bundle checkpoints/portrait1024 --trunk TRUNK --seen seen \\
        --faces FACES --out runs/first --minutes 30 [--resume]

TRUNK: torchvision's MobileNetV2 weights. What the first pass begins from is fixed, so that with a frozen
trunk nothing that it sees changes. Samples' codes are known: the loss is the error of their coordinates, each
counted by how much of it shows. OUT holds log.csv, validation.csv (what is explained of codes held back,
and photos of the validation split), sheets, last.pt, and inverter.safetensors, from which
`training.loops.iterative` goes on once `training.loops.bundle --inverter` has put it in a bundle.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.inversion.descents import Descents
from core.models.iterative_inverter import IterativeInverter
from training.data.aligned import AlignedFaces
from training.data.seen import FirstPasses, read_seen
from training.loops.iterative_parts import descending, first_inverter, save_weights, validate
from training.loops.loop import Average, Log, Run, autocast, pick_device
from training.loops.visibility import visible

REPORT, CHECKPOINT_SECONDS, VALIDATION_SECONDS = 50, 180.0, 300.0
WARM_UP, CLIP = 200, 1.0
VALIDATED, HELD = 12, 500


class Trainer:
    """The inverter, all but its trunk, with all that one step needs."""

    def __init__(self, descents: Descents, inverter: IterativeInverter, rate: float, decay: float) -> None:
        """decay: AdamW's weight decay."""
        self.inverter, self.rate, self.counts = inverter, rate, visible(descents)
        inverter.requires_grad_(True).trunk.requires_grad_(False)
        own = [p for p in inverter.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(own, rate, betas=(0.9, 0.98), weight_decay=decay)
        self.average = Average(inverter)

    @property
    def parts(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {"inverter": self.inverter, "average": self.average.module, "optimizer": self.optimizer}

    def step(self, batch: FirstPasses, number: int, left: float) -> float:
        """One step, counted from 0, and its loss; left: what share of the run is."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * min(1.0, (number + 1) / WARM_UP) * max(0.02, left)
        error = self.found(self.inverter, batch) - batch.coordinates
        loss = (self.counts * error.square()).mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.inverter.parameters(), CLIP)
        self.optimizer.step()
        self.average.update(self.inverter, number + 1)
        return float(loss.detach())

    def found(self, inverter: IterativeInverter, batch: FirstPasses) -> Tensor:
        """Coordinates (B, L, K) float32, of one pass."""
        v = batch.begun[:, None].expand(-1, *self.counts.shape[:1], -1)
        with autocast(v.device):
            return inverter(batch.photo, batch.picture, v).float()

    @torch.no_grad()
    def explained(self, held: FirstPasses) -> float:
        """By the averaged weights, of the coordinates' variance: 1 is all of it, 0 what the mean tells."""
        inverter, wanted = self.average.module, held.coordinates.float()
        parts = [self.found(inverter, held.take(rows)) for rows in torch.arange(len(wanted)).split(50)]
        error = (self.counts * (torch.cat(parts) - wanted).square()).sum()
        return 1 - float(error / (self.counts * (wanted - wanted.mean(0)).square()).sum())


def train(args: argparse.Namespace) -> None:
    pick_device("cpu")
    torch.manual_seed(args.seed)
    bundle, descents = descending(args.bundle)
    trainer = Trainer(descents, first_inverter(bundle, args.trunk, 1), args.rate, args.decay)
    seen = read_seen(args.seen)
    faces = AlignedFaces.open(args.faces)
    photos = [faces[name] for name in faces.first(VALIDATED // 4, "val")][:VALIDATED]
    rows = torch.arange(len(seen))
    known, held = rows[:-HELD], seen.take(rows[-HELD:])
    run = Run(args.out, trainer.parts, args.minutes, args.resume)
    validation = Log(args.out / "validation.csv")
    while True:
        over = run.clock.over
        if run.clock.due("validation", VALIDATION_SECONDS):
            path = args.out / f"sheet-{run.number:06d}.jpg"
            figures = validate(descents, trainer.average.module, photos, path)
            explained = trainer.explained(held)
            seconds = run.clock.spent
            validation.write({"step": run.number, "seconds": seconds, "explained": explained, **figures})
        if run.clock.due("checkpoint", CHECKPOINT_SECONDS):
            run.save()
            save_weights(args.out / "inverter.safetensors", trainer.average.module)
        if over:
            break
        batch = known[torch.randint(len(known), (args.batch,))]
        loss = trainer.step(seen.take(batch), run.number, run.left)
        run.passed({"loss": loss}, REPORT)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.loops.first_pass", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--trunk", type=Path, help="torchvision's MobileNetV2 weights, to begin with")
    parser.add_argument("--seen", type=Path, required=True, help="a folder of training.data.seen")
    parser.add_argument("--faces", type=Path, required=True, help="aligned faces of 256 px, for validation")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=30.0, help="of this call")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=5e-4)
    parser.add_argument("--decay", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true")
    train(parser.parse_args(argv))


if __name__ == "__main__":
    main()
