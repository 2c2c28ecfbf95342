"""Put trained refiners into a bundle; its other networks stay bit for bit.

python -m training.loops.add_refiners --bundle BUNDLE --refiners runs/r --version 0.3.0
"""

import argparse
import dataclasses
from pathlib import Path

from core.checkpoints import load_bundle, save_bundle
from core.models.refine_style import RefineStyle
from training.loops.presets import refiner_configs
from training.loops.weights import load_half


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.loops.add_refiners", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument(
        "--refiners", type=Path, required=True, help="folder of a training's STAGE-average.pt"
    )
    parser.add_argument("--version", required=True, help="of the bundle from now on")
    parser.add_argument("--out", type=Path, help="where to write it (by default, in place)")
    args = parser.parse_args(argv)
    bundle = load_bundle(args.bundle)
    refiners: dict[str, RefineStyle] = {}
    kernels = bundle.generator.low_rank or ()
    configs = refiner_configs(len(kernels))
    for config in configs:
        refiners[config.stage] = RefineStyle(config, kernels)
        load_half(args.refiners / f"{config.stage}-average.pt", refiners[config.stage])
    described = dataclasses.replace(bundle.config, version=args.version, refiners=configs)
    save_bundle(args.out or args.bundle, dataclasses.replace(bundle, config=described, refiners=refiners))


if __name__ == "__main__":
    main()
