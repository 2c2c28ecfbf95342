"""What an iterative inverter sees of samples, computed beforehand: its trunk's maps and dlib's descriptors.

    python -m training.data.seen --bundle checkpoints/portrait1024 --trunk mobilenet_v2-b0353104.pth --out DIR

While the trunk is frozen, a first pass learns many times as fast from these as from pictures. A shard is one
safetensors file: coordinates (N, L, K), map_0 (N, C, h, w) and on, finest first, descriptors (N, D), all in
half precision; 80 MB for 500 faces. `--first` lets two processes of one thread each share the work.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from core.models.iterative_inverter import Seen
from training.data.sampled import shard_files
from training.data.samples import Samples
from training.loops.iterative_parts import descending, first_inverter, passes_of
from training.loops.loop import autocast, pick_device

BATCH = 10


def shard(samples: Samples, look: Callable[[Tensor], Seen], count: int) -> dict[str, Tensor]:
    """The tensors of one shard, as the module's docstring says; look: what is seen of (B, 3, S, S)."""
    found: dict[str, list[Tensor]] = {}
    for first in range(0, count, BATCH):
        coordinates, pictures = samples(min(BATCH, count - first))
        with torch.no_grad(), autocast(pictures.device):
            seen = look(pictures)
        parts = {f"map_{i}": m for i, m in enumerate(seen.maps)}
        for name, part in {"coordinates": coordinates, "descriptors": seen.descriptors, **parts}.items():
            found.setdefault(name, []).append(part.half())
    return {name: torch.cat(parts).contiguous() for name, parts in found.items()}


def read_seen(folder: Path) -> tuple[Tensor, Seen]:
    """Of all shards, in half precision: coordinates (N, L, K), and what is seen.

    Raises: ValueError where there is none.
    """
    shards = [safetensors.torch.load_file(path) for path in shard_files(folder)]
    whole = {name: torch.cat([part[name] for part in shards]) for name in shards[0]}
    maps = tuple(whole[f"map_{i}"] for i in range(len(whole) - 2))
    return whole["coordinates"], Seen(maps, whole["descriptors"])


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.data.seen", description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--trunk", type=Path, help="torchvision's MobileNetV2 weights")
    parser.add_argument("--out", type=Path, required=True, help="a folder; shards that are there stay")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--shards", type=int, default=20)
    parser.add_argument("--faces", type=int, default=500, help="of a shard")
    args = parser.parse_args(argv)
    pick_device("cpu")
    bundle, descents = descending(args.bundle)
    passes = passes_of(descents, first_inverter(bundle, args.trunk, None).eval())
    args.out.mkdir(parents=True, exist_ok=True)
    for number in range(args.first, args.first + args.shards):
        path = args.out / f"{number:03d}.safetensors"
        if path.exists():
            continue
        parts = shard(Samples(descents, bundle.generator, number), passes.look, args.faces)
        temporary = path.with_suffix(".tmp")
        safetensors.torch.save_file(parts, temporary)
        temporary.replace(path)
        print(path, flush=True)


if __name__ == "__main__":
    main()
