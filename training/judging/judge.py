"""An independent judge of attributes: a small network that looks at pictures of faces.

    python -m training.judging.judge --data DIR --out judge.safetensors --minutes 6

It learns from real faces of the training split alone and enters no loss of the editor, so that it can say
whether an edit did what its slider promises (`training.judging.edits`). Prints its quality on the test split.
"""

import argparse
import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from core.images import to_tensor
from training.data.batches import Batches
from training.data.packs import Faces, load
from training.loops.classifier import BINARY, balanced_accuracy
from training.loops.loop import autocast, pick_device

INPUT_SIZE = 64
STEM = 32
# Output channels at 32, 16, 8 and 4 px: 0.057 GMACs, 0.75 M parameters.
WIDTHS = (32, 64, 128, 160)
# Scores whose sign is a side of the picture: a mirrored face has the opposite one.
SIGNED = ("yaw", "light_right")
LEARNING_RATE, WEIGHT_DECAY = 2e-3, 2e-2
WARM_UP = 50


class _Block(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.residual(x) + self.shortcut(x))


class Judge(nn.Module):
    """Aligned faces (B, 3, S, S) in [-1, 1] -> (B, A) float32: z-scores of scores, logits of binary labels.

    A z-score is in units of `mean` and `deviation`, the training split's; both are 0 and 1 for a binary one.
    """

    def __init__(self, attributes: tuple[str, ...], binary: tuple[str, ...] = BINARY) -> None:
        super().__init__()
        self.attributes = attributes
        self.binary = tuple(name for name in attributes if name in binary)
        self.register_buffer("mean", torch.zeros(len(attributes)))
        self.register_buffer("deviation", torch.ones(len(attributes)))
        self.mean: Tensor
        self.deviation: Tensor
        layers: list[nn.Module] = [nn.Conv2d(3, STEM, 3, 2, 1, bias=False), nn.BatchNorm2d(STEM), nn.ReLU()]
        for index, (inputs, outputs) in enumerate(zip((STEM, *WIDTHS), WIDTHS, strict=False)):
            layers.append(_Block(inputs, outputs, stride=2 if index else 1))
        # Flattened, not averaged: which side is lit, or where the brows are, is a matter of place.
        side = INPUT_SIZE // 16
        layers += [nn.Flatten(), nn.Dropout(0.2), nn.Linear(WIDTHS[-1] * side * side, len(attributes))]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Any side S; pictures are averaged down to 64 px."""
        return self.layers(F.interpolate(images, size=(INPUT_SIZE,) * 2, mode="area")).float()

    @property
    def is_binary(self) -> np.ndarray:
        """(A,) bool."""
        return np.array([name in self.binary for name in self.attributes])

    def measure(self, faces: Faces) -> None:
        """Set mean and deviation of every score to those of `faces`."""
        for index, name in enumerate(self.attributes):
            if name not in self.binary:
                self.mean[index] = float(faces.score(name).mean())
                self.deviation[index] = float(faces.score(name).std())

    def save(self, path: Path) -> None:
        """Write weights, and the attributes' names as metadata."""
        names = {"attributes": ",".join(self.attributes), "binary": ",".join(self.binary)}
        save_file({k: v.detach().cpu().contiguous() for k, v in self.state_dict().items()}, path, names)

    @classmethod
    def load(cls, path: Path) -> "Judge":
        """Frozen, in evaluation mode. Raises RuntimeError where names or shapes do not match."""
        with safe_open(path, "pt") as file:
            names = file.metadata()
        judge = cls(*(tuple(filter(None, names[key].split(","))) for key in ("attributes", "binary")))
        judge.load_state_dict(load_file(path))
        return judge.eval().requires_grad_(False)


def wanted_values(faces: Faces, attributes: tuple[str, ...], index: np.ndarray, mirror: np.ndarray) -> Tensor:
    """(B, A) raw scores and labels; of mirrored faces the signed ones are negated.

    index: (B,) int; mirror: (B,) bool.
    """
    values = np.stack([faces.score(name)[index] for name in attributes], 1)
    signed = np.array([name in SIGNED for name in attributes])
    return torch.from_numpy(np.where(mirror[:, None] & signed, -values, values).astype(np.float32))


def judge_loss(judge: Judge, found: Tensor, values: Tensor) -> Tensor:
    """Mean over attributes: squared error of z-scores, binary cross-entropy on (soft) labels.

    found: (B, A) of the judge; values: (B, A) of `wanted_values`.
    """
    wanted = (values - judge.mean) / judge.deviation
    binary = torch.from_numpy(judge.is_binary).to(found.device)
    squared = F.mse_loss(found, wanted, reduction="none")
    entropy = F.binary_cross_entropy_with_logits(found, wanted, reduction="none")
    return torch.where(binary, entropy, squared).mean()


def _progress(minutes: float, steps: int) -> Iterator[tuple[int, float]]:
    """Step number and the share of the run that is done, by steps where given, else by the clock."""
    began, step = time.monotonic(), 0
    while (done := step / steps if steps else (time.monotonic() - began) / (60 * minutes)) < 1:
        yield step, done
        step += 1


def fit(faces: Faces, batch: int, minutes: float, steps: int, device: torch.device, seed: int = 0) -> Judge:
    """A judge of all attributes of `faces`, trained for `minutes`, or for `steps` where that is not 0.

    AdamW; the rate falls along a cosine from start to end. Half of the faces are mirrored.
    """
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    judge = Judge(faces.attributes)
    judge.measure(faces)
    judge = judge.to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(judge.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    batches = Batches(faces, batch, device, seed)
    left = np.empty(0, int)
    for step, done in _progress(minutes, steps):
        if len(left) < batch:
            left = random.permutation(len(faces))
        index, left = left[:batch], left[batch:]
        mirror = random.random(len(index)) < 0.5
        images, _ = batches.take(index, mirror)
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1, (step + 1) / WARM_UP) * (1 + math.cos(math.pi * done)) / 2
        with autocast(device):
            found = judge(images.contiguous(memory_format=torch.channels_last))
        loss = judge_loss(judge, found, wanted_values(faces, judge.attributes, index, mirror).to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if step % 200 == 0:
            print(f"step {step}  done {done:.0%}  loss {loss.item():.4f}", flush=True)
    return judge.eval().requires_grad_(False)


@torch.no_grad()
def judge_pictures(judge: Judge, pictures: np.ndarray, device: torch.device) -> np.ndarray:
    """(N, S, S, 3) uint8 -> (N, A) float32. In full precision: half of it would hide small moves."""
    found = []
    for start in range(0, len(pictures), 64):
        found.append(judge(to_tensor(pictures[start : start + 64], device)).cpu())
    return torch.cat(found).numpy()


def quality(judge: Judge, faces: Faces, found: np.ndarray) -> dict[str, float]:
    """Per attribute: correlation of a score, balanced accuracy of a binary label (NaN if all faces agree).

    found: (N, A) of `judge_pictures` on the faces.
    """
    figures = {}
    for name, column in zip(judge.attributes, found.T, strict=True):
        values = faces.score(name)
        if name in judge.binary:
            logits, labels = torch.from_numpy(column)[:, None], torch.from_numpy(values)[:, None]
            figures[name] = float(balanced_accuracy(logits, labels))
        else:
            figures[name] = float(np.corrcoef(column, values)[0, 1])
    return figures


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.judging.judge", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="file to write (safetensors)")
    parser.add_argument("--minutes", type=float, default=6)
    parser.add_argument("--steps", type=int, default=0, help="stop after this many (0: by time alone)")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="faces per split (a rehearsal)")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args(argv)
    device = pick_device(args.device)
    faces = load(args.data, "train", args.limit)
    judge = fit(faces, args.batch, args.minutes, args.steps, device, args.seed)
    judge.save(args.out)
    test = load(args.data, "test", args.limit)
    for name, figure in quality(judge, test, judge_pictures(judge, test.images, device)).items():
        measure = "balanced accuracy" if name in judge.binary else "correlation"
        print(f"{name:14} {measure} on the test split {figure:.3f}")


if __name__ == "__main__":
    main()
