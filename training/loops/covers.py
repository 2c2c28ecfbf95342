"""Train what finds things before a face, on the trunk of a bundle's face parser, which stays as it is.

    python -m training.loops.covers --faces FACES --bundle BUNDLE --out runs/c --minutes 60
    python -m training.loops.covers ... --resume

FACES: the unpacked folder of aligned faces, with masks/ for some. Things are drawn before half of the faces
(`training.data.things`). What a published mask calls background in the middle of a face is a thing that
nobody drew, and counts neither way. OUT holds log.csv, validation.csv, last.pt, and the averaged weights in
half precision, covers.safetensors.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.checkpoints import load_bundle
from core.images import to_tensor
from core.models.cover_finder import CoverFinder
from core.models.face_parser import CLASSES
from core.models.mobilenet import MobileNetTrunk
from training.data.aligned import AlignedFace, AlignedFaces
from training.data.masks import mask_names, moved, read_mask
from training.data.photo_variation import photo_variation
from training.data.things import Other, covered
from training.loops.loop import Average, Log, Run, autocast, pick_device
from training.loops.parser import save_half

REPORT, CHECKPOINT_SECONDS, VALIDATION_SECONDS = 50, 120.0, 3000.0
WARM_UP, CLIP, DECAY = 100, 1.0, 0.995
# Faces without a thing; what a pixel beside the face counts.
BARE, BESIDE = 0.45, 0.2
# Classes of masks that cover a face where they are in its middle.
STRANGE = tuple(CLASSES.index(name) for name in ("background", "cloth"))
NOBODY = 255
# A validation looks at so many faces, each with a thing and without.
HELD = 48


def middle_of(face: AlignedFace) -> np.ndarray:
    """(S, S) bool: within the outline of chin and brows."""
    inside = np.zeros(face.crop.shape[:2], np.uint8)
    cv2.fillConvexPoly(inside, cv2.convexHull(np.rint(face.landmarks).astype(np.int32)), 1)
    return inside > 0


class Samples:
    """Faces with and without things, by number: the same number makes the same."""

    def __init__(self, folder: Path, faces: AlignedFaces, split: str) -> None:
        self._folder, self._faces = folder, faces
        self.names = [row["name"] for row in faces.rows if row["split"] == split]
        self._masked = set(mask_names(folder, faces.rows, split))

    def take(self, name: str, bare: bool, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """(S, S, 3) uint8; (S, S) uint8: 1 on the thing, 0 on what is none, NOBODY where nobody knows, plus
        2 beside the face."""
        face, mask = self._faces[name], self._mask(name)
        other = str(random.choice(self.names))
        crop, thing = face.crop, np.zeros(face.crop.shape[:2], bool)
        if not bare:
            crop, thing = covered(face, Other(self._faces[other], self._mask(other)), random)
        middle = middle_of(face)
        label = np.where(middle, thing, thing + np.uint8(2)).astype(np.uint8)
        if mask is not None:
            label[np.isin(mask, STRANGE) & middle & ~thing] = NOBODY
        if random.random() < 0.5:
            crop, label = np.ascontiguousarray(crop[:, ::-1]), np.ascontiguousarray(label[:, ::-1])
        return moved(crop, label, random)

    def _mask(self, name: str) -> np.ndarray | None:
        return read_mask(self._folder, name) if name in self._masked else None

    def batches(self, batch: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Endless: pictures (B, 3, S, S) in [-1, 1] and labels (B, S, S) uint8."""
        random = np.random.default_rng(seed)
        while True:
            names = random.choice(self.names, batch)
            pairs = [self.take(str(name), random.random() < BARE, random) for name in names]
            pictures = torch.cat([to_tensor(crop) for crop, _ in pairs])
            varied = photo_variation(pictures, int(random.integers(2**31)))
            yield varied, torch.from_numpy(np.stack([label for _, label in pairs]))


def loss_of(scores: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of (B, S, S) logits; labels of `Samples`."""
    wanted = (labels & 1).float()
    weight = torch.where(labels >= 2, BESIDE, 1.0) * (labels != NOBODY)
    each = F.binary_cross_entropy_with_logits(scores.float(), wanted, reduction="none")
    return (weight * each).sum() / weight.sum()


@torch.no_grad()
def validate(
    finder: CoverFinder, trunk: MobileNetTrunk, samples: Samples, count: int = HELD
) -> dict[str, float]:
    """Of things in the middle of faces, the share found and, of what is found, the share right; and pixels
    found on the middle of a bare face, on average and of the worst in twenty. Of about `count` faces."""
    sums, false = np.zeros(3), []
    random = np.random.default_rng(1)
    for name in samples.names[:: max(1, len(samples.names) // count)]:
        for bare in (False, True):
            crop, label = samples.take(name, bare, random)
            found = finder.likely(trunk(to_tensor(crop)))[0].numpy() > 0.5
            known = label < 2
            if bare:
                false.append(float((found & known).sum()))
            else:
                sums += ((found & (label == 1)).sum(), (label == 1).sum(), (found & known).sum())
    right, things, finds = sums
    return {
        "found": float(right / things),
        "right": float(right / max(finds, 1)),
        "false": float(np.mean(false)),
        "false_worst": float(np.percentile(false, 95)),
    }


class Trainer:
    """The finder with all that one step needs."""

    def __init__(self, finder: CoverFinder, trunk: MobileNetTrunk, rate: float) -> None:
        self.finder, self.trunk, self.rate = finder, trunk, rate
        self.optimizer = torch.optim.AdamW(finder.parameters(), rate, weight_decay=0.02)
        self.average = Average(finder, DECAY)

    @property
    def parts(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {"finder": self.finder, "average": self.average.module, "optimizer": self.optimizer}

    def step(self, pictures: Tensor, labels: Tensor, number: int, left: float) -> float:
        """One step, counted from 0, and its loss; left: what share of the run is."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * min(1.0, (number + 1) / WARM_UP) * max(0.02, left)
        with torch.no_grad(), autocast(pictures.device):
            features = self.trunk(pictures.contiguous(memory_format=torch.channels_last))
        with autocast(pictures.device):
            scores = self.finder(features)
        loss = loss_of(scores, labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.finder.parameters(), CLIP)
        self.optimizer.step()
        self.average.update(self.finder, number + 1)
        return float(loss.detach())


def train(args: argparse.Namespace) -> None:
    pick_device("cpu")
    torch.manual_seed(args.seed)
    faces = AlignedFaces.open(args.faces)
    samples, held = (Samples(args.faces, faces, split) for split in ("train", "val"))
    parser = load_bundle(args.bundle).parser
    if parser is None:
        raise SystemExit("This bundle has no face parser.")
    trunk = parser.trunk.to(memory_format=torch.channels_last)
    trainer = Trainer(CoverFinder().to(memory_format=torch.channels_last), trunk, args.rate)
    run = Run(args.out, trainer.parts, args.minutes, args.resume)
    validation = Log(args.out / "validation.csv")
    for pictures, labels in samples.batches(args.batch, args.seed + run.number):
        over = run.clock.over
        if run.clock.due("validation", VALIDATION_SECONDS):
            figures = validate(trainer.average.module, trunk, held)
            validation.write({"step": run.number, "seconds": run.clock.spent, **figures})
        if run.clock.due("checkpoint", CHECKPOINT_SECONDS):
            run.save()
            save_half(args.out / "covers.safetensors", trainer.average.module)
        if over:
            break
        run.passed({"loss": trainer.step(pictures, labels, run.number, run.left)}, REPORT)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.loops.covers", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--faces", type=Path, required=True, help="folder of aligned faces, with masks/")
    parser.add_argument("--bundle", type=Path, required=True, help="its face parser's trunk is used")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60.0, help="of this call")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true")
    train(parser.parse_args(argv))


if __name__ == "__main__":
    main()
