"""How much of things before faces is found, and how much of bare faces is taken for one.

    python -m training.judging.covers --faces FACES --bundle BUNDLE

FACES: the unpacked folder of aligned faces. Things are drawn before faces of the test split, which no
training saw (`training.data.things`); of each face the bare one is looked at as well. What real things those
bare faces have counts as falsely found.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from core.checkpoints import load_bundle
from training.data.aligned import AlignedFaces
from training.loops.covers import Samples, validate


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.judging.covers", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--faces", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--count", type=int, default=120, help="faces of the test split, about")
    args = parser.parse_args(argv)
    bundle = load_bundle(args.bundle)
    if bundle.parser is None or bundle.covers is None:
        parser.error("this bundle finds no things before faces")
    samples = Samples(args.faces, AlignedFaces.open(args.faces), "test")
    found = validate(bundle.covers, bundle.parser.trunk, samples, args.count)
    print(f"of what lies before a face's middle, found: {found['found']:.1%}")
    print(f"of what is found there, right: {found['right']:.1%}")
    print(f"pixels of 65536 on a bare face: {found['false']:.1f}; one in twenty: {found['false_worst']:.0f}")


if __name__ == "__main__":
    main()
