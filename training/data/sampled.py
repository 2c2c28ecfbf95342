"""Sampled faces for whatever is trained behind the generator: codes, small pictures, patches of features.

    python -m training.data.sampled --out DIR --shards 24 --patch-shards 8 [--opened CODES]

A shard is one safetensors file of 250 faces:
    codes (N, L, D) float32; pictures (N, R/4, R/4, 3) uint8, the full picture made small by area;
and in the first `--patch-shards`, for each size S of a preview head (R/8 and R/4 px):
    features_S (N, P, C, T+2, T+2) float16, patches of the block's features with a margin of one pixel, zero
    outside of the picture; targets_S (N, P, 3, T, T) float16, the picture made S px by area, in [-1, 1];
    corners_S (N, P, 2) int64, the target's top left corner (y, x) in px.
"""

import argparse
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import safetensors
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.generators.mobile.config import FFHQ_1024
from core.generators.mobile.network import Block, MobileGenerator, statistics
from core.generators.mobile.package import read_weights
from training.loops.loop import pick_device

PATCH = 32
# Of a size; at 128 px the features are twice as wide and the picture has a quarter of the places.
PATCHES_A_FACE = {False: 2, True: 4}
PSI = (0.5, 1.0)
# Every fourth face has codes that differ, as opened photos have.
OPENED_EVERY, OFFSET = 4, 0.25
# Of what opened faces' codes have of their own, where some are given: how much of it a sample gets.
OWN_SHARE = (0.2, 1.3)


def shard_files(folder: Path) -> list[Path]:
    """The shards of a folder in their order. Raises: ValueError where there is none."""
    files = sorted(folder.glob("[0-9][0-9][0-9].safetensors"))
    if not files:
        raise ValueError(f"{folder} holds no shards of sampled faces; make them with training.data.sampled")
    return files


def read_part(shard: Path, name: str) -> np.ndarray:
    """One tensor of a shard, "codes" or "pictures" above all."""
    with safetensors.safe_open(shard, "np") as file:
        part: np.ndarray = file.get_tensor(name)
    return part


def read_codes(folder: Path) -> Tensor:
    """(M, L, D) of a folder's NAME.npy. Raises: ValueError where there is none."""
    files = sorted(folder.glob("*.npy"))
    if not files:
        raise ValueError(f"{folder} holds no codes (NAME.npy) of opened faces")
    return torch.from_numpy(np.stack([np.load(path, allow_pickle=False) for path in files]))


def published() -> MobileGenerator:
    """The generator of the installed package, frozen."""
    generator = MobileGenerator(FFHQ_1024)
    weights = read_weights()
    prefix = "mapping."
    mapping = {name.removeprefix(prefix): t for name, t in weights.items() if name.startswith(prefix)}
    generator.mapping.load_state_dict(mapping)
    mean, axes = statistics(generator.mapping, FFHQ_1024.z_dim)
    statistic = {"w_mean": mean.expand_as(generator.w_mean), "w_basis": axes}
    generator.load_state_dict({**weights, **statistic})
    return generator.eval().requires_grad_(False)


def preview_sizes(generator: MobileGenerator) -> tuple[int, int]:
    """The sizes that heads are trained for: an eighth and a quarter of the full picture, in px."""
    return generator.resolution // 8, generator.resolution // 4


@torch.no_grad()
def draw(
    generator: MobileGenerator, n: int, random: np.random.Generator, opened: Tensor | None = None
) -> Tensor:
    """(n, L, D) codes at a psi of their own each; every fourth's differ.

    opened: (M, L, D), codes that descent found; None: these differ by crossing and by random offsets.
    """
    length = generator.layout.num_codes

    def offsets(count: int) -> Tensor:
        """(count, D), of mapped normal z from the mean."""
        z = torch.from_numpy(random.standard_normal((count, generator.config.z_dim), np.float32))
        return generator.mapped(z.to(generator.w_mean.device))[:, 0] - generator.w_mean[0]

    found = []
    for i in range(n):
        psi = random.uniform(*PSI)
        base, *others = psi * offsets(3)
        w = base.expand(length, -1).clone()  # (L, D)
        differs = i % OPENED_EVERY == OPENED_EVERY - 1
        if differs and opened is not None:
            w += own_part(opened, random).to(w.device)
        elif differs:
            share = random.uniform()
            for other in others[: random.integers(1, 3)]:
                cut = int(random.integers(1, length))
                w[cut:] = base + share * (other - base)
            w += random.uniform(0, OFFSET) * offsets(length)
        found.append(generator.w_mean + w)
    return torch.stack(found)


def own_part(opened: Tensor, random: np.random.Generator) -> Tensor:
    """What an opened face's codes (M, L, D) have each of its own, more or less of it, either way: (L, D).

    Of one face up to a code, of another one after it. Offsets that are random in every direction hardly
    reach where descent goes: it takes those that show.
    """
    own = opened - opened.mean(1, keepdim=True)
    first, second = own[random.integers(len(own), size=2)]
    cut = int(random.integers(1, len(first)))
    share = random.uniform(*OWN_SHARE) * random.choice([-1, 1])
    return float(share) * torch.cat([first[:cut], second[cut:]])


@torch.no_grad()
def observe(
    generator: MobileGenerator, w: Tensor, sizes: tuple[int, ...]
) -> tuple[Tensor, dict[int, Tensor]]:
    """w: (B, L, D) -> the picture at half the resolution, and by size what the blocks of `sizes` made."""
    features: dict[int, Tensor] = {}

    def keep(size: int, _block: nn.Module, _inputs: tuple[Tensor, ...], y: Tensor) -> None:
        features[size] = y

    hooks = [
        block.register_forward_hook(partial(keep, block.resolution))
        for block in (cast(Block, module) for module in generator.blocks)
        if block.resolution in sizes
    ]
    try:
        return generator.synthesis(w, size=generator.resolution // 2), features
    finally:
        for hook in hooks:
            hook.remove()


def shard(
    generator: MobileGenerator, n: int, seed: int, patches: bool, opened: Tensor | None = None
) -> dict[str, Tensor]:
    """The tensors of one shard, as the module's docstring says; opened: as for `draw`."""
    random = np.random.default_rng(seed)
    codes = draw(generator, n, random, opened)
    sizes = preview_sizes(generator)
    found: dict[str, list[Tensor]] = {}
    for w in codes:
        picture, features = observe(generator, w[None], sizes if patches else ())
        small = F.adaptive_avg_pool2d(picture, sizes[-1])[0].permute(1, 2, 0)  # (R/4, R/4, 3)
        found.setdefault("pictures", []).append((small * 127.5 + 127.5).round().clamp(0, 255).byte())
        for size, x in features.items():
            count, side = PATCHES_A_FACE[size == sizes[-1]], min(PATCH, size)
            corners = torch.from_numpy(random.integers(0, size - side + 1, (count, 2)))
            padded, target = F.pad(x[0], (1, 1, 1, 1)), F.adaptive_avg_pool2d(picture, size)[0]
            parts = {
                f"features_{size}": _cut(padded, corners, side + 2),
                f"targets_{size}": _cut(target, corners, side),
            }
            for name, part in parts.items():
                found.setdefault(name, []).append(part.half())
            found.setdefault(f"corners_{size}", []).append(corners)
    return {"codes": codes, **{name: torch.stack(parts) for name, parts in found.items()}}


def _cut(x: Tensor, corners: Tensor, side: int) -> Tensor:
    """(C, H, W), (P, 2) -> (P, C, side, side)."""
    return torch.stack([x[:, top : top + side, left : left + side] for top, left in corners.tolist()])


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.data.sampled", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--out", type=Path, required=True, help="a folder; shards that are there stay")
    parser.add_argument("--shards", type=int, default=24)
    parser.add_argument("--patch-shards", type=int, default=8, help="how many of them hold patches too")
    parser.add_argument("--faces", type=int, default=250, help="of a shard")
    parser.add_argument("--opened", type=Path, help="folder of opened faces' codes, NAME.npy (L, D) each")
    parser.add_argument("--seed", type=int, default=0, help="of the first shard; the next has the next")
    args = parser.parse_args(argv)
    pick_device("cpu")
    generator = published()
    opened = read_codes(args.opened) if args.opened else None
    args.out.mkdir(parents=True, exist_ok=True)
    for i in range(args.shards):
        path = args.out / f"{i:03d}.safetensors"
        if not path.exists():
            parts = shard(generator, args.faces, args.seed + i, i < args.patch_shards, opened)
            temporary = path.with_suffix(".tmp")
            safetensors.torch.save_file(parts, temporary)
            temporary.replace(path)
            print(path, flush=True)


if __name__ == "__main__":
    main()
