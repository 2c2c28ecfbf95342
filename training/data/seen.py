"""What an iterative inverter sees of samples, computed beforehand: its trunk's maps and dlib's descriptors.

    python -m training.data.seen --bundle checkpoints/portrait1024 --trunk mobilenet_v2-b0353104.pth --out DIR

While the trunk is frozen, a first pass learns many times as fast from these as from pictures. A shard is one
safetensors file: coordinates (N, L, K); those that passes begin from, begun (N, K); of the sample's picture
and of the begun one's, photo_map_0, picture_map_0 (N, C, h, w) and on, finest first, photo_descriptors and
picture_descriptors (N, D). All in half precision; 160 MB for 500 faces. `--first` lets two processes of one
thread each share the work.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from core.inversion.passes import Passes
from core.models.iterative_inverter import Seen
from training.data.sampled import shard_files
from training.data.samples import Samples
from training.loops.iterative_parts import descending, first_inverter, passes_of
from training.loops.loop import autocast, pick_device

BATCH = 10


@dataclass(frozen=True, eq=False)
class FirstPasses:
    """What first passes are given of N pictures, and what they are to find, coordinates (N, L, K).

    begun: (N, K), of all codes.
    """

    coordinates: Tensor
    begun: Tensor
    photo: Seen
    picture: Seen

    def __len__(self) -> int:
        return len(self.coordinates)

    def take(self, rows: Tensor) -> "FirstPasses":
        """Some of them, in single precision."""
        photo, picture = (
            Seen(tuple(m[rows].float() for m in seen.maps), seen.descriptors[rows].float())
            for seen in (self.photo, self.picture)
        )
        return FirstPasses(self.coordinates[rows].float(), self.begun[rows].float(), photo, picture)


def shard(samples: Samples, passes: Passes, count: int) -> dict[str, Tensor]:
    """The tensors of one shard, as the module's docstring says."""
    found: dict[str, list[Tensor]] = {}
    for first in range(0, count, BATCH):
        coordinates, pictures = samples(min(BATCH, count - first))
        with torch.no_grad(), autocast(pictures.device):
            photo, begun = passes.begin(pictures)
            picture = passes.look(passes.pictures(begun))
        parts = {"coordinates": coordinates, "begun": begun[:, 0]}
        for name, seen in (("photo", photo), ("picture", picture)):
            parts[f"{name}_descriptors"] = seen.descriptors
            parts |= {f"{name}_map_{i}": m for i, m in enumerate(seen.maps)}
        for name, part in parts.items():
            found.setdefault(name, []).append(part.half())
    return {name: torch.cat(parts).contiguous() for name, parts in found.items()}


def read_seen(folder: Path) -> FirstPasses:
    """Of all shards, in half precision. Raises: ValueError where there is none."""
    shards = [safetensors.torch.load_file(path) for path in shard_files(folder)]
    whole = {name: torch.cat([part[name] for part in shards]) for name in shards[0]}
    seen = []
    for name in ("photo", "picture"):
        levels = sorted(part for part in whole if part.startswith(f"{name}_map_"))
        seen.append(Seen(tuple(whole[level] for level in levels), whole[f"{name}_descriptors"]))
    return FirstPasses(whole["coordinates"], whole["begun"], *seen)


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
        parts = shard(Samples(descents, bundle.generator, number), passes, args.faces)
        temporary = path.with_suffix(".tmp")
        safetensors.torch.save_file(parts, temporary)
        temporary.replace(path)
        print(path, flush=True)


if __name__ == "__main__":
    main()
