"""Train the face parser on CelebAMask-HQ's masks of the training split.

    python -m training.loops.parser --faces FACES --trunk mobilenet_v2-b0353104.pth --out runs/p --minutes 60
    python -m training.loops.parser ... --resume

FACES: the unpacked folder of aligned faces with masks/. Cross entropy, rare classes weighted more, on faces
that are mirrored, moved and varied as photos vary. OUT holds log.csv, validation.csv, last.pt, and the
averaged weights in half precision, parser.safetensors. Figures of the test split: `training.judging.parser`.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from core.files import replacing
from core.images import to_tensor
from core.models.face_parser import CLASSES, FaceParser
from training.data.aligned import AlignedFaces
from training.data.masks import mask_names, mirrored, moved, read_mask
from training.data.photo_variation import photo_variation
from training.judging.parser import POOLED, intersections, ious
from training.loops.loop import Average, Log, Run, autocast, pick_device

REPORT, CHECKPOINT_SECONDS, VALIDATION_SECONDS = 50, 180.0, 600.0
WARM_UP, CLIP = 200, 1.0
TRUNK_SHARE = 0.3
# Of the loss: a class that covers a hundredth as much counts so many times more for each of its pixels.
RARE_POWER = 0.35
DECAY = 0.995


class Batches:
    """Endless: pictures (B, 3, S, S) in [-1, 1] and classes (B, S, S) int64."""

    def __init__(
        self, folder: Path, faces: AlignedFaces, names: Sequence[str], batch: int, seed: int
    ) -> None:
        """Raises: ValueError if there are fewer names than a batch holds."""
        if len(names) < batch:
            raise ValueError(f"A batch of {batch} is more than the {len(names)} masks there are")
        self._folder, self._faces, self._names, self._batch = folder, faces, names, batch
        self._random = np.random.default_rng(seed)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            order = self._random.permutation(len(self._names))
            for start in range(0, len(order) - self._batch + 1, self._batch):
                yield self._take([self._names[i] for i in order[start : start + self._batch]])

    def _take(self, names: Sequence[str]) -> tuple[Tensor, Tensor]:
        pictures, masks = [], []
        for name in names:
            crop, mask = self._faces[name].crop, read_mask(self._folder, name)
            if self._random.random() < 0.5:
                crop, mask = mirrored(crop, mask)
            crop, mask = moved(crop, mask, self._random)
            pictures.append(to_tensor(crop))
            masks.append(torch.from_numpy(mask.astype(np.int64)))
        varied = photo_variation(torch.cat(pictures), int(self._random.integers(2**31)))
        return varied, torch.stack(masks)


def class_weights(folder: Path, names: Sequence[str]) -> Tensor:
    """(len(CLASSES),), one on average over pixels: what a pixel of each class counts."""
    counts = np.zeros(len(CLASSES))
    for name in names:
        counts += np.bincount(read_mask(folder, name).ravel(), minlength=len(CLASSES))
    share = counts / counts.sum()
    weights = np.maximum(share, 1e-5) ** -RARE_POWER
    return torch.from_numpy(weights / (share * weights).sum()).float()


@torch.no_grad()
def validate(parser: FaceParser, folder: Path, faces: AlignedFaces, names: Sequence[str]) -> dict[str, float]:
    """IoU of each pooled class over these faces, and the mean."""
    sums = np.zeros((2, len(POOLED)))
    for name in names:
        sums += intersections(parser.classes(to_tensor(faces[name].crop))[0].numpy(), read_mask(folder, name))
    return ious(sums)


class Trainer:
    """The parser with all that one step needs."""

    def __init__(self, parser: FaceParser, weights: Tensor, rate: float) -> None:
        """weights: of `class_weights`."""
        self.parser, self.weights, self.rate = parser, weights, rate
        own = [p for name, p in parser.named_parameters() if not name.startswith("trunk.")]
        trunk = [*parser.trunk.parameters()]
        groups = [{"params": own, "share": 1.0}, {"params": trunk, "share": TRUNK_SHARE}]
        self.optimizer = torch.optim.AdamW(groups, rate, weight_decay=0.02)
        self.average = Average(parser, DECAY)

    @property
    def parts(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {"parser": self.parser, "average": self.average.module, "optimizer": self.optimizer}

    def step(self, pictures: Tensor, masks: Tensor, number: int, left: float) -> float:
        """One step, counted from 0, and its loss; left: what share of the run is."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * group["share"] * min(1.0, (number + 1) / WARM_UP) * max(0.02, left)
        with autocast(pictures.device):
            scores = self.parser(pictures.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(scores.float(), masks, self.weights)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.parser.parameters(), CLIP)
        self.optimizer.step()
        self.average.update(self.parser, number + 1)
        return float(loss.detach())


def train(args: argparse.Namespace) -> None:
    pick_device("cpu")
    torch.manual_seed(args.seed)
    faces = AlignedFaces.open(args.faces)
    names, held = (mask_names(args.faces, faces.rows, split) for split in ("train", "val"))
    parser = FaceParser()
    parser.trunk.load_published(torch.load(args.trunk, map_location="cpu", weights_only=True))
    parser.to(memory_format=torch.channels_last)
    trainer = Trainer(parser, class_weights(args.faces, names), args.rate)
    run = Run(args.out, trainer.parts, args.minutes, args.resume)
    validation = Log(args.out / "validation.csv")
    for pictures, masks in Batches(args.faces, faces, names, args.batch, args.seed + run.number):
        over = run.clock.over
        if run.clock.due("validation", VALIDATION_SECONDS):
            figures = validate(trainer.average.module, args.faces, faces, held)
            validation.write({"step": run.number, "seconds": run.clock.spent, **figures})
        if run.clock.due("checkpoint", CHECKPOINT_SECONDS):
            run.save()
            save_half(args.out / "parser.safetensors", trainer.average.module)
        if over:
            break
        run.passed({"loss": trainer.step(pictures, masks, run.number, run.left)}, REPORT)


def save_half(path: Path, module: nn.Module) -> None:
    """In half precision."""
    with replacing(path) as new:
        save_file({name: tensor.half().contiguous() for name, tensor in module.state_dict().items()}, new)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.loops.parser", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--faces", type=Path, required=True, help="folder of aligned faces with masks/")
    parser.add_argument("--trunk", type=Path, required=True, help="torchvision's MobileNetV2 weights")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60.0, help="of this call")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true")
    train(parser.parse_args(argv))


if __name__ == "__main__":
    main()
