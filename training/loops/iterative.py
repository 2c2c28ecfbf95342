"""Train the iterative inverter of a bundle that opens photos by descent, against its frozen generator.

    python -m training.loops.iterative --bundle checkpoints/portrait1024 --faces faces256.tar \\
        --trunk mobilenet_v2-b0353104.pth --out runs/i --minutes 60
    python -m training.loops.iterative ... --resume            (goes on where a run was stopped)

A batch holds generator's samples, whose codes are known, and photos: wherever a pass takes them, descent goes
on by some steps, and there the pass should have gone. That is the gradient of descent's own loss, with its
pull towards the mean and towards equal codes, e4e's principle, in the directions in which it is normalised
(`core.inversion.gradient_basis`): of the plain gradient two directions hold half, and teach nothing else.
--targets adds codes that descent found for photos (`training.judging.opened --split train`). Codes are
compared in W's own units, each direction by how much of it shows; on request photos pay e4e's latent
discriminator too. Every pass is judged; gradients stay within one.

OUT holds log.csv, validation.csv (photos of the validation split after each pass), sheets, last.pt, and the
averaged weights in half precision, inverter.safetensors, which `training.loops.bundle --inverter` takes.
"""

import argparse
import dataclasses
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core.checkpoints import Bundle
from core.images import to_tensor
from core.inversion.descent import Descent
from core.inversion.descents import Descents
from core.inversion.losses import OpeningLoss
from core.models.iterative_inverter import IterativeInverter
from training.data.aligned import AlignedFace, AlignedFaces
from training.data.batches import MIRROR
from training.data.sampled import read_codes
from training.data.samples import Samples
from training.judging.opened import file_name
from training.loops.iterative_parts import descending, first_inverter, passes_of, save_weights, validate
from training.loops.latent_discriminator import LatentAdversary
from training.loops.loop import Average, Log, Run, autocast, pick_device
from training.loops.visibility import visible

REPORT, CHECKPOINT_SECONDS, VALIDATION_SECONDS = 25, 180.0, 600.0
VALIDATED = 12
# Of the rate: the trunk knows pictures already.
TRUNK_SHARE = 0.1
WARM_UP = 200
CLIP = 1.0
WALKERS = 2
# A few steps are short beside the error of a sample's code.
PHOTOS_WEIGHT = 4.0


@dataclass(frozen=True)
class Batch:
    """pictures: (S + P, 3, 256, 256) in [-1, 1], samples first; codes: (S, L, K) of the samples; photos: (P)
    what each shows, mirrored where it is; targets: (P) coordinates (L, K) or None."""

    pictures: Tensor
    codes: Tensor
    photos: tuple[AlignedFace, ...]
    targets: tuple[Tensor | None, ...]


class Data:
    """Endless batches. Photos in random order, half of them mirrored; samples anew each time."""

    def __init__(
        self,
        descents: Descents,
        bundle: Bundle,
        faces: AlignedFaces,
        targets: Path | None,
        counts: tuple[int, int],
        seed: int,
        opened: Tensor | None = None,
    ) -> None:
        """counts: of samples and photos; targets: the folder codes/ of `training.judging.opened`; opened: as
        for `sampled.draw`. Raises: ValueError without faces, or codes, of the training split.
        """
        self._samples = Samples(descents, bundle.generator, seed, opened)
        self._faces, self._counts, self._targets = faces, counts, targets
        mean = descents.whitening.mean
        self._none, self._device = mean.new_zeros(0, len(mean), len(descents.whitening.basis)), mean.device
        self._random = np.random.default_rng(seed)
        self._names = [row["name"] for row in faces.rows if row["split"] == "train"]
        self._sources = {row["name"]: row["source"] for row in faces.rows}
        if counts[1] and not self._names:
            raise ValueError("None of these faces is of the training split")
        if targets is not None and not any(self._target(name) is not None for name in self._names):
            raise ValueError(f"{targets} holds no code of a face of the training split")

    def __iter__(self) -> Iterator[Batch]:
        names: list[str] = []
        while True:
            while len(names) < self._counts[1]:
                names += [self._names[i] for i in self._random.permutation(len(self._names))]
            taken, names = names[: self._counts[1]], names[self._counts[1] :]
            yield self.batch(taken)

    def batch(self, names: Sequence[str]) -> Batch:
        count = self._counts[0]
        codes, drawn = self._samples(count) if count else (self._none, None)
        photos, targets = [], []
        for name in names:
            mirrored = bool(self._random.random() < 0.5)
            face = self._faces[name]
            photos.append(mirror(face) if mirrored else face)
            # The mirrored face's code is another one, which nobody knows.
            targets.append(None if mirrored else self._target(name))
        shown = [to_tensor(face.crop).to(self._device) for face in photos]
        pictures = torch.cat(shown if drawn is None else [drawn, *shown])
        return Batch(pictures, codes, tuple(photos), tuple(targets))

    def _target(self, name: str) -> Tensor | None:
        if self._targets is None:
            return None
        path = self._targets / f"{file_name({'source': self._sources[name], 'name': name})}.npy"
        if not path.is_file():
            return None
        w = torch.from_numpy(np.load(path, allow_pickle=False)).to(self._device)
        return self._samples.coordinates(w[None])[0]


def mirror(face: AlignedFace) -> AlignedFace:
    """Left for right."""
    points = face.landmarks[MIRROR] * (-1, 1) + (face.crop.shape[1] - 1, 0)
    return dataclasses.replace(face, crop=np.ascontiguousarray(face.crop[:, ::-1]), landmarks=points)


class Trainer:
    """The inverter with all that one step needs."""

    def __init__(
        self, descents: Descents, inverter: IterativeInverter, rate: float, latent: float, descended: int = 1
    ) -> None:
        """latent: weight of e4e's discriminator; 0: none. descended: by how many steps photos are ahead."""
        self.descents, self.inverter, self.latent, self.descended = descents, inverter, latent, descended
        self.passes = inverter.config.passes
        trunk = {id(p) for p in inverter.trunk.parameters()}
        others = [p for p in inverter.parameters() if id(p) not in trunk]
        groups = [
            {"params": others, "share": 1.0},
            {"params": [*inverter.trunk.parameters()], "share": TRUNK_SHARE},
        ]
        self.rate = rate
        self.counts = visible(descents)
        self.optimizer = torch.optim.AdamW(groups, rate, betas=(0.9, 0.98), weight_decay=0.01)
        self.average = Average(inverter)
        self.adversary = LatentAdversary(descents.whitening.mean.shape[1], descents.whitening.mean.device)
        self.looking = passes_of(descents, inverter)
        self._walkers = ThreadPoolExecutor(WALKERS, initializer=torch.set_num_threads, initargs=(1,))

    @property
    def parts(self) -> dict[str, Any]:
        """What a checkpoint holds, whatever the options."""
        return {
            "inverter": self.inverter,
            "average": self.average.module,
            "optimizer": self.optimizer,
            "judge": self.adversary.judge,
            "optimizer_judge": self.adversary.optimizer,
        }

    def step(self, batch: Batch, number: int) -> dict[str, float]:
        """One step, counted from 0; its terms, of each pass."""
        losses = [self._loss(photo) for photo in batch.photos]
        terms: dict[str, Tensor] = {}
        device = batch.pictures.device
        with autocast(device):
            for i, v in enumerate(self.looking.steps(batch.pictures, self.passes), start=1):
                for name, value in self._terms(v.float(), batch, losses).items():
                    terms[f"{name}_{i}"] = value
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * group["share"] * min(1.0, (number + 1) / WARM_UP)
        self.optimizer.zero_grad(set_to_none=True)
        torch.stack([value for name, value in terms.items() if not name.startswith("told")]).sum().backward()
        nn.utils.clip_grad_norm_(self.inverter.parameters(), CLIP)
        self.optimizer.step()
        self.average.update(self.inverter, number + 1)
        if self.latent:
            # Each code of a sample is W's, or near to it, if not all of them are the same.
            found = v.detach().float()[len(batch.codes) :]
            self.adversary.learn(batch.codes.flatten(0, 1), found.flatten(0, 1))
        return {name: float(value.detach()) for name, value in terms.items()}

    def _loss(self, photo: AlignedFace) -> OpeningLoss:
        d = self.descents
        picture = to_tensor(photo.crop).to(self.counts.device).contiguous(memory_format=torch.channels_last)
        return OpeningLoss(picture, photo.landmarks, d.face_network, d.lpips, d.weights, d.dtype)

    def _terms(self, v: Tensor, batch: Batch, losses: Sequence[OpeningLoss]) -> dict[str, Tensor]:
        """Weighted, of one pass; v: (S + P, L, K). What is only told is called so."""
        samples, photos = v[: len(batch.codes)], v[len(batch.codes) :]
        terms = {}
        if len(samples):
            terms["codes"] = (self.counts * (samples - batch.codes).square()).mean()
        if losses:
            terms["photos"], terms["told"] = self._photo_terms(photos, losses)
        known = [(a, b) for a, b in zip(photos, batch.targets, strict=True) if b is not None]
        if known:
            errors = torch.stack([(a - b).square() for a, b in known])  # (known, L, K)
            terms["targets"] = (self.counts * errors).mean()
        if self.latent:
            terms["latent"] = self.latent * self.adversary.loss(photos.flatten(0, 1))
        return terms

    def _photo_terms(self, v: Tensor, losses: Sequence[OpeningLoss]) -> tuple[Tensor, Tensor]:
        """How far coordinates (P, L, K) are from where descent takes them, weighted; the photos' mean loss.

        Photo by photo, so that no maps of the generator are kept beside the inverter's own; two at a time, as
        one alone hardly fills two cores.
        """
        walked = [*self._walkers.map(self._walk, v.detach(), losses)]
        ahead = torch.stack([place for place, _ in walked])
        return PHOTOS_WEIGHT * (v - ahead).square().mean(), torch.tensor([loss for _, loss in walked]).mean()

    def _walk(self, place: Tensor, loss: OpeningLoss) -> tuple[Tensor, float]:
        """Coordinates (L, K) of a photo's code -> where descent takes them, and what they lost before."""
        d = self.descents
        descent = Descent(d.synthesis, d.whitening, loss, place, d.settings, d.free, d.basis)
        lost = [descent.step() for _ in range(self.descended)]
        return descent.coordinates, lost[0]


def train(args: argparse.Namespace) -> None:
    device = pick_device(args.device)
    torch.manual_seed(args.seed)
    bundle, descents = descending(args.bundle, device)
    inverter = first_inverter(bundle, args.trunk, args.passes).to(device).requires_grad_(True)
    inverter.trunk.requires_grad_(not args.frozen_trunk)
    trainer = Trainer(descents, inverter, args.rate, args.latent_adversarial, args.descended)
    faces = AlignedFaces.open(args.faces)
    held = [faces[name] for name in faces.first(VALIDATED // 4, "val")][:VALIDATED]
    run = Run(args.out, trainer.parts, args.minutes, args.resume)
    opened = read_codes(args.targets) if args.targets else None
    counts = args.samples, args.photos
    data = Data(descents, bundle, faces, args.targets, counts, args.seed + run.number, opened)
    validation = Log(args.out / "validation.csv")
    for batch in data:
        over = run.clock.over
        if run.number == 0 or run.clock.due("validation", VALIDATION_SECONDS):
            path = args.out / f"sheet-{run.number:06d}.jpg"
            figures = validate(descents, trainer.average.module, held, path)
            validation.write({"step": run.number, "seconds": run.clock.spent, **figures})
        if run.clock.due("checkpoint", CHECKPOINT_SECONDS):
            run.save()
            save_weights(args.out / "inverter.safetensors", trainer.average.module)
        if over:
            break
        run.passed(trainer.step(batch, run.number), REPORT)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.loops.iterative", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--faces", type=Path, required=True, help="aligned faces of 256 px")
    parser.add_argument("--trunk", type=Path, help="torchvision's MobileNetV2 weights, to begin with")
    parser.add_argument("--targets", type=Path, help="folder codes/ of training.judging.opened")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60.0, help="of this call")
    parser.add_argument("--samples", type=int, default=4, help="in each batch")
    parser.add_argument("--photos", type=int, default=4, help="in each batch")
    parser.add_argument("--passes", type=int, help="of each photo; else as the bundle's, or two")
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--latent-adversarial", type=float, default=0.0, help="weight of e4e's discriminator")
    parser.add_argument("--descended", type=int, default=1, help="steps of descent that photos are ahead")
    parser.add_argument("--frozen-trunk", action="store_true")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true")
    args = parser.parse_args(argv)
    if min(args.samples, args.photos) < 0 or args.samples + args.photos < 1:
        parser.error("a batch needs samples, photos or both")
    if args.latent_adversarial and not (args.samples and args.photos):
        parser.error("the latent discriminator tells photos' codes from samples': a batch needs both")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    train(parse(argv))


if __name__ == "__main__":
    main()
