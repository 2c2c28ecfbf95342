"""Put the built-in model together: what was fitted here, beside the package that its generator is read from.

    python -m training.loops.bundle --preview preview.safetensors --lpips lpips_alex.safetensors --out BUNDLE
    python -m training.loops.bundle --directions FOLDER --gallery SEED SEED ... --out BUNDLE
    python -m training.loops.bundle --inverter runs/i/inverter.safetensors --out BUNDLE
    python -m training.loops.bundle --parser runs/p/parser.safetensors --out BUNDLE
    python -m training.loops.bundle --covers runs/c/covers.safetensors --out BUNDLE
    python -m training.loops.bundle --editors EDITORS --out BUNDLE

The first makes a bundle without sliders that opens no photos yet; `training.loops.start` adds where descent
begins. The others change one that is there, and leave alone what they are not given.
"""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from core.bundle_files import MODEL_FILE
from core.checkpoints import Bundle, load_bundle, save_bundle
from core.config import AlignmentTemplate, AttributeConfig, BundleConfig, PackageConfig
from core.generators.mobile.config import FFHQ_1024
from core.generators.mobile.network import MobileGenerator, statistics
from core.generators.mobile.package import PACKAGE, SHA256, VERSION
from core.generators.registry import installed_weights
from core.models.cover_finder import CoverFinder
from core.models.face_parser import FaceParser
from core.models.iterative_inverter import IterativeInverter
from core.models.lpips import CHANNELS, Lpips, from_torchvision_names
from core.models.reference_editor import ReferenceEditor
from core.network_config import IterativeInverterConfig, ReferenceEditorConfig

NAME, TITLE = "portrait1024", "Portrait 1024"
PREVIEWS = (256,)  # of the heads that are trained; nothing asks for smaller pictures
LICENCE = (
    "Generator: package random-face 2021.7.21.1, Apache-2.0; its weights were distilled from NVIDIA's "
    "StyleGAN2 for FFHQ, whose licence is for non-commercial use. LPIPS: BSD. What was fitted here used "
    "research data sets: non-commercial. For commercial use ask a lawyer."
)
GALLERY_PSI = 0.75


def new_bundle(preview: dict[str, Tensor], lpips: dict[str, Tensor], version: str) -> Bundle:
    """The generator with its statistics and previews, and LPIPS; it opens no photos yet and has no sliders.

    preview: `training.loops.preview`'s; lpips: with torchvision's names.
    """
    generator = MobileGenerator(dataclasses.replace(FFHQ_1024, previews=PREVIEWS))
    package = PackageConfig(PACKAGE, VERSION, dict(SHA256))
    config = BundleConfig(
        name=NAME,
        title=TITLE,
        version=version,
        generator=generator.config,
        inverter=None,
        classifier=None,
        template=AlignmentTemplate(),
        attributes=(),
        licence=LICENCE,
        package=package,
        lpips=CHANNELS,
    )
    own = {
        f"previews.{name}": tensor.float()
        for name, tensor in preview.items()
        if int(name.split(".")[0]) in PREVIEWS
    }
    left = generator.load_state_dict({**installed_weights(package), **own}, strict=False)
    if left.unexpected_keys or set(left.missing_keys) != {"w_mean", "w_basis"}:
        raise ValueError(f"The previews are not this generator's: {left}")
    mean, basis = statistics(generator.mapping, FFHQ_1024.z_dim)
    generator.w_mean.copy_(mean)
    generator.w_basis.copy_(basis)
    network = Lpips(CHANNELS)
    network.load_state_dict(from_torchvision_names(lpips))
    return Bundle.of(config, generator.eval().requires_grad_(False), lpips=network)


def with_directions(bundle: Bundle, folder: Path) -> Bundle:
    """The bundle with other sliders: directions.safetensors and attributes.json of this folder."""
    attributes = tuple(
        AttributeConfig(**entry)
        for entry in json.loads((folder / "attributes.json").read_text(encoding="utf-8"))
    )
    names = tuple(attribute.name for attribute in attributes)
    config = dataclasses.replace(bundle.config, attributes=attributes, directions=names)
    directions = load_file(folder / "directions.safetensors")["directions"].float()
    return dataclasses.replace(bundle, config=config, directions=directions)


def with_inverter(bundle: Bundle, path: Path) -> Bundle:
    """The bundle with what `training.loops.iterative` wrote, beside the start that it begins from."""
    with safe_open(path, "pt") as file:
        config = IterativeInverterConfig(**json.loads(file.metadata()["config"]))
    inverter = IterativeInverter(config)
    inverter.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()})
    described = dataclasses.replace(bundle.config, iterative_inverter=config)
    inverter.eval().requires_grad_(False)
    return dataclasses.replace(bundle, config=described, iterative_inverter=inverter)


def with_parser(bundle: Bundle, path: Path) -> Bundle:
    """The bundle with the face parser that `training.loops.parser` wrote."""
    parser = FaceParser()
    parser.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()})
    config = dataclasses.replace(bundle.config, parser=True)
    return dataclasses.replace(bundle, config=config, parser=parser.eval().requires_grad_(False))


def with_covers(bundle: Bundle, path: Path) -> Bundle:
    """The bundle with what `training.loops.covers` wrote, which goes with its face parser."""
    covers = CoverFinder()
    covers.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()})
    config = dataclasses.replace(bundle.config, covers=True)
    return dataclasses.replace(bundle, config=config, covers=covers.eval().requires_grad_(False))


def with_editors(bundle: Bundle, folder: Path) -> Bundle:
    """The bundle with the reference editors that `training.loops.reference` wrote."""
    described = json.loads((folder / "reference_editors.json").read_text(encoding="utf-8"))
    parts: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in described.items()}
    config = ReferenceEditorConfig(**parts)
    editors = nn.ModuleDict({name: ReferenceEditor(config) for name in config.attributes})
    state = load_file(folder / "reference_editors.safetensors")
    editors.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    editors.eval().requires_grad_(False)
    return dataclasses.replace(
        bundle,
        config=dataclasses.replace(bundle.config, reference_editor=config),
        reference_editors={name: cast(ReferenceEditor, editors[name]) for name in config.attributes},
    )


def with_gallery(bundle: Bundle, seeds: list[int]) -> Bundle:
    """The bundle with the faces that these seeds sample as its gallery."""
    codes = torch.cat([bundle.generator.sample(1, GALLERY_PSI, seed) for seed in seeds])
    config = dataclasses.replace(bundle.config, gallery=len(seeds))
    return dataclasses.replace(bundle, config=config, gallery=codes)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.loops.bundle", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preview", type=Path)
    parser.add_argument("--lpips", type=Path, help="AlexNet's LPIPS with torchvision's names")
    parser.add_argument("--directions", type=Path, help="folder of training.loops.directions")
    parser.add_argument("--inverter", type=Path, help="weights of training.loops.iterative")
    parser.add_argument("--parser", type=Path, help="weights of training.loops.parser")
    parser.add_argument("--covers", type=Path, help="weights of training.loops.covers")
    parser.add_argument("--editors", type=Path, help="folder of training.loops.reference")
    parser.add_argument("--gallery", type=int, nargs="*", metavar="SEED", default=[])
    parser.add_argument("--version", help="of the bundle")
    args = parser.parse_args(argv)
    if (args.out / MODEL_FILE).is_file() and not args.preview:
        bundle = load_bundle(args.out)
    elif args.preview and args.lpips:
        bundle = new_bundle(load_file(args.preview), load_file(args.lpips), "0.1.0")
    else:
        parser.error("a new bundle needs --preview and --lpips")
    if args.directions:
        bundle = with_directions(bundle, args.directions)
    if args.inverter:
        bundle = with_inverter(bundle, args.inverter)
    if args.parser:
        bundle = with_parser(bundle, args.parser)
    if args.covers:
        bundle = with_covers(bundle, args.covers)
    if args.editors:
        bundle = with_editors(bundle, args.editors)
    if args.gallery:
        bundle = with_gallery(bundle, args.gallery)
    if args.version:
        bundle = dataclasses.replace(bundle, config=dataclasses.replace(bundle.config, version=args.version))
    save_bundle(args.out, bundle)


if __name__ == "__main__":
    main()
