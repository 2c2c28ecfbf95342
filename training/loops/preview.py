"""Train the heads that make small pictures, from patches of features and of the full picture made small.

    python -m training.loops.preview --data DIR --minutes 10 --out previews.safetensors

DIR is what `training.data.sampled` wrote. Each head's first styles begin as the generator's own, its last
layer in closed form (ridge regression); then all of it follows the squared error. The run goes on where it
was stopped; the weights are written in half precision.
"""

import argparse
import dataclasses
import math
import time
from pathlib import Path
from typing import NamedTuple, cast

import safetensors
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.files import replacing
from core.generators.mobile.network import Block, MobileGenerator
from core.generators.mobile.preview import PreviewHead, preview_heads
from training.data.sampled import OPENED_EVERY, preview_sizes, published
from training.loops.loop import Log, pick_device, restore, save

LEARNING_RATE, BATCH, WARM_UP, CLIP = 3e-3, 48, 30, 0.3
# px of a patch in a step: pixels beside each other teach little that is new, other faces do.
PART = 16
# Of the rate. A style sums over hundreds of coordinates of w that move together: at the full rate it jumps.
STYLE_SHARE = 0.03
ABSOLUTE = 0.02  # weight of the absolute error beside the squared one
RIDGE, RIDGE_FACES = 1e-3, 150  # the first relative to the mean diagonal
CHECKPOINT_SECONDS = 60.0


class Patches(NamedTuple):
    """Of one size: codes (N, L, D), and P patches of each face, as `training.data.sampled` says."""

    codes: Tensor
    features: Tensor
    targets: Tensor
    corners: Tensor

    def take(self, faces: Tensor, patches: Tensor) -> "Patches":
        """Both (B,): one patch of each face, codes (B, L, D), features (B, C, T+2, T+2) and so on."""
        return Patches(self.codes[faces], *(part[faces, patches] for part in self[1:]))

    def part(self, side: int) -> "Patches":
        """Of what `take` gave, squares of `side` px at one random place in all patches."""
        top, left = torch.randint(self.targets.shape[-1] - side + 1, (2,)).tolist()
        return Patches(
            self.codes,
            self.features[:, :, top : top + side + 2, left : left + side + 2],
            self.targets[:, :, top : top + side, left : left + side],
            self.corners + torch.tensor([top, left]),
        )


def load(folder: Path, size: int) -> tuple[Patches, Patches]:
    """The patches of one size: those to learn from, and the last shard's to hold the head against.

    Raises: SystemExit if fewer than two shards have patches of this size.
    """
    shards = []
    for path in sorted(folder.glob("*.safetensors")):
        with safetensors.safe_open(path, "pt") as file:
            names = ("codes", *(f"{part}_{size}" for part in ("features", "targets", "corners")))
            if set(names) <= set(file.keys()):
                shards.append(Patches(*(file.get_tensor(name) for name in names)))
    if len(shards) < 2:
        raise SystemExit(f"{folder} holds {len(shards)} shards with patches at {size} px; two are needed.")
    return Patches(*(torch.cat(parts) for parts in zip(*shards[:-1], strict=True))), shards[-1]


def hidden(head: PreviewHead, patches: Patches) -> Tensor:
    """The second layer (B, width, T+2, T+2), zero outside of the picture, as the last one takes it."""
    size, side = head.fixed.shape[-1], patches.features.shape[-1]
    at = patches.corners[:, :, None] + torch.arange(-1, side - 1)  # (B, 2, T+2): rows, columns
    rows, columns = ((at >= 0) & (at < size)).float().unbind(1)
    y = head.hidden(patches.features.float(), patches.codes)
    return y * (rows[:, :, None] * columns[:, None])[:, None]


def predict(head: PreviewHead, patches: Patches) -> Tensor:
    """(B, 3, T, T): the head's picture at the patches' places."""
    side = patches.targets.shape[-1]
    fixed = [head.fixed[:, y : y + side, x : x + side] for y, x in patches.corners.tolist()]
    return head.coloured(hidden(head, patches), patches.codes)[..., 1:-1, 1:-1] + torch.stack(fixed)


@torch.no_grad()
def begin(head: PreviewHead, generator: MobileGenerator, data: Patches) -> None:
    """The generator's own styles, features scaled to a mean square of one; the last layer by ridge."""
    block = cast(Block, generator.blocks[(generator.layout.num_codes - head.later - 1) // 2])
    head.bands.load_state_dict(block.up.state_dict())
    head.groups.load_state_dict(block.conv1.affine.state_dict())
    count = min(RIDGE_FACES, len(data.codes))
    some = data.take(torch.arange(count) * len(data.codes) // count, torch.zeros(count, dtype=torch.long))
    styled = some.features.float() * head.style(some.codes)[:, :, None, None]
    scale = styled.square().mean().rsqrt()
    head.groups.weight.mul_(scale)
    head.groups.bias.mul_(scale)
    seen = hidden(head, some) * head.last_style(some.codes)[:, :, None, None]
    x = F.unfold(seen, 3).transpose(1, 2).flatten(0, 1).double()  # (B * T * T, 9 * width)
    y = some.targets.flatten(2).transpose(1, 2).flatten(0, 1).double()  # (B * T * T, 3)
    x = torch.cat([x, torch.ones_like(x[:, :1])], 1)
    gram = x.T @ x
    gram.diagonal().add_(RIDGE * gram.diagonal().mean())
    solved = torch.linalg.solve(gram, x.T @ y)  # (9 * width + 1, 3)
    head.colour_weight.copy_(solved[:-1].T.unflatten(1, head.colour_weight.shape[1:]))
    head.colour_bias.copy_(solved[-1].view_as(head.colour_bias))  # (3,) -> (3, 1, 1)


def step(head: PreviewHead, optimizer: torch.optim.Optimizer, batch: Patches) -> float:
    """One step of squared error and a little of the absolute one; returns the first."""
    error = predict(head, batch) - batch.targets
    squared = error.square().mean()
    optimizer.zero_grad()
    (squared + ABSOLUTE * error.abs().mean()).backward()
    nn.utils.clip_grad_norm_(head.parameters(), CLIP)
    optimizer.step()
    return float(squared.detach())


@torch.no_grad()
def measure(head: PreviewHead, data: Patches) -> dict[str, float]:
    """PSNR (peak 2) in dB over each face's patches: mean, worst, mean of those with opened codes."""
    squared = []
    for patch in range(data.features.shape[1]):
        for faces in torch.arange(len(data.codes)).split(BATCH):
            batch = data.take(faces, torch.full_like(faces, patch))
            squared.append((predict(head, batch) - batch.targets).square().mean((1, 2, 3)))
    decibels = 10 * (4 / torch.cat(squared).view(-1, len(data.codes)).mean(0)).log10()  # (N,)
    opened = decibels[OPENED_EVERY - 1 :: OPENED_EVERY]
    return {"mean": float(decibels.mean()), "worst": float(decibels.min()), "opened": float(opened.mean())}


def fit(
    head: PreviewHead, data: Patches, held_out: Patches, seconds: float, checkpoint: Path, log: Log
) -> None:
    """Adam for so long, its rate falling by a cosine; goes on from `checkpoint` if it is there."""
    styles = [p for part in (head.bands, head.groups, head.second, head.third) for p in part.parameters()]
    others = [p for p in head.parameters() if all(p is not style for style in styles)]
    groups = [{"params": others, "share": 1.0}, {"params": styles, "share": STYLE_SHARE}]
    optimizer = torch.optim.Adam(groups, LEARNING_RATE, betas=(0.9, 0.98))
    spent, steps = 0.0, 0
    if checkpoint.exists():
        plain = restore(checkpoint, head=head, optimizer=optimizer)
        spent, steps = plain["spent"], plain["steps"]
    began, reported, squared = time.monotonic() - spent, spent, []
    while spent < seconds:
        rate = LEARNING_RATE * min(1, (steps + 1) / WARM_UP)
        rate *= 0.01 + 0.495 * (1 + math.cos(math.pi * spent / seconds))
        for group in optimizer.param_groups:
            group["lr"] = rate * group["share"]
        faces = torch.randint(len(data.codes), (BATCH,))
        patches = torch.randint(data.features.shape[1], (BATCH,))
        batch = data.take(faces, patches)
        squared.append(step(head, optimizer, batch.part(min(PART, batch.targets.shape[-1]))))
        steps += 1
        spent = time.monotonic() - began
        if spent - reported > CHECKPOINT_SECONDS or spent >= seconds:
            train = 10 * math.log10(4 * len(squared) / sum(squared))
            log.write({"steps": steps, "seconds": spent, "train": train, **measure(head, held_out)})
            save(checkpoint, head=head, optimizer=optimizer, spent=spent, steps=steps)
            reported, squared = spent, []


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.loops.preview", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="checkpoints and logs are written beside it")
    parser.add_argument("--minutes", type=float, default=10.0, help="for each size")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    pick_device("cpu")
    torch.manual_seed(args.seed)
    generator = published()
    heads = preview_heads(dataclasses.replace(generator.config, previews=preview_sizes(generator)))
    for size, head in heads.items():
        data, held_out = load(args.data, size)
        begin(head, generator, data)
        beside = args.out.with_name(f"{args.out.stem}.{size}")
        log = Log(beside.with_suffix(f".{size}.csv"))
        fit(head, data, held_out, 60 * args.minutes, beside.with_suffix(f".{size}.pt"), log)
    state = nn.ModuleDict({str(size): head for size, head in heads.items()}).state_dict()
    with replacing(args.out) as new:
        safetensors.torch.save_file({name: t.half().contiguous() for name, t in state.items()}, new)


if __name__ == "__main__":
    main()
