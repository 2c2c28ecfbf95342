"""Model bundles on disk: find, verify, load, save.

A bundle is a folder: `model.json` (the `BundleConfig`, and the SHA-256 of every weight file),
`generator.safetensors` and, where it has them, `inverter.safetensors`, `classifier.safetensors`,
`directions.safetensors`, `refiner_one_stage.safetensors`, `refiner_two_stage.safetensors`,
`reference_editors.safetensors`, `gallery.safetensors`, `start.safetensors`, `gradient_basis.safetensors`,
`iterative_inverter.safetensors`, `lpips.safetensors`, `parser.safetensors`, `covers.safetensors`; and
`MODEL_CARD.md`. Where the description names a package, the generator's file holds only what the installed
package does not.
Every failure while finding or loading one is a `BadCheckpoint` with one sentence.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import platformdirs
import safetensors.torch
import torch
from torch import Tensor, nn

from core.bundle_files import (
    MODEL_FILE,
    check_shapes,
    file_hash,
    on_disk,
    one_line,
    read_description,
    read_tensors,
)
from core.config import BundleConfig
from core.errors import BadCheckpoint, BadRequest
from core.files import replacing
from core.generators.family import GeneratorFamily
from core.generators.registry import build_generator, installed_weights
from core.inversion.gradient_basis import GradientBasis
from core.inversion.start import Start
from core.models.cover_finder import CoverFinder
from core.models.face_parser import FaceParser
from core.models.inverter import Inverter, build_inverter
from core.models.iterative_inverter import IterativeInverter
from core.models.latent_classifier import LatentClassifier
from core.models.lpips import Lpips
from core.models.reference_editor import ReferenceEditor
from core.models.refine_style import RefineStyle

DEFAULT_BUNDLE = "portrait1024"
BUILT_IN = Path(__file__).resolve().parent.parent / "checkpoints"
# Travels in the classifier's file: both say what an attribute is in W+.
LINEAR = "linear_directions"
EDITORS, GALLERY, DIRECTIONS = "reference_editors", "gallery", "directions"


@dataclass(frozen=True)
class Bundle:
    """Networks in evaluation mode, without gradients.

    linear_directions: (A, L, D), A the classifier's; directions: (F, L, D), the fixed ones.
    refiners: by stage, "one_stage" or "two_stage";
    reference_editors: by attribute, those that the config lists; gallery: (N, L, D), reference faces' codes.
    start or iterative_inverter, and lpips: what opening by descent needs; gradient_basis: what makes it fast.
    parser: tells the person from the background; covers: finds what lies before a face, by its trunk.
    fingerprint: SHA-256 of all weights, in hexadecimal, but of `covers`, on which no code depends: a project
    is of the same model with or without it.
    """

    config: BundleConfig
    generator: GeneratorFamily
    inverter: Inverter | None
    classifier: LatentClassifier | None
    linear_directions: Tensor
    directions: Tensor
    refiners: Mapping[str, RefineStyle]
    reference_editors: Mapping[str, ReferenceEditor]
    gallery: Tensor
    fingerprint: str
    start: Start | None = None
    lpips: Lpips | None = None
    parser: FaceParser | None = None
    iterative_inverter: IterativeInverter | None = None
    gradient_basis: GradientBasis | None = None
    covers: CoverFinder | None = None

    @classmethod
    def of(
        cls,
        config: BundleConfig,
        generator: GeneratorFamily,
        inverter: Inverter | None = None,
        classifier: LatentClassifier | None = None,
        linear_directions: Tensor | None = None,
        directions: Tensor | None = None,
        refiners: Mapping[str, RefineStyle] = MappingProxyType({}),
        reference_editors: Mapping[str, ReferenceEditor] = MappingProxyType({}),
        gallery: Tensor | None = None,
        start: Start | None = None,
        lpips: Lpips | None = None,
        parser: FaceParser | None = None,
        iterative_inverter: IterativeInverter | None = None,
        gradient_basis: GradientBasis | None = None,
        covers: CoverFinder | None = None,
    ) -> "Bundle":
        """One that was never on disk, and so has no fingerprint; it has no more than is given."""
        none = torch.zeros(0, *generator.w_mean.shape)
        return cls(
            config,
            generator,
            inverter,
            classifier,
            none if linear_directions is None else linear_directions,
            none if directions is None else directions,
            refiners,
            reference_editors,
            none if gallery is None else gallery,
            "",
            start,
            lpips,
            parser,
            iterative_inverter,
            gradient_basis,
            covers,
        )

    def refiner(self, stage: str | None = None) -> RefineStyle | None:
        """The refiner of this stage; of none, the first that the config lists, or None without any.

        Raises: BadRequest if there is no refiner of this stage.
        """
        stages = [refiner.stage for refiner in self.config.refiners]
        if stage is None:
            return self.refiners[stages[0]] if stages else None
        if stage not in stages:
            raise BadRequest(f"This model has no refiner {stage}; it has {', '.join(stages) or 'none'}.")
        return self.refiners[stage]


def user_folder() -> Path:
    """Where a user keeps bundles: VISAGIST_HOME/checkpoints, or where the platform keeps a user's data."""
    home = os.environ.get("VISAGIST_HOME") or platformdirs.user_data_dir("visagist", appauthor=False)
    return Path(home).expanduser() / "checkpoints"


def list_bundles() -> tuple[Path, ...]:
    """Folders of all bundles, the built-in ones first; a user's bundle of the same name is hidden."""
    found: dict[str, Path] = {}
    for root in (BUILT_IN, user_folder()):
        for file in sorted(root.glob(f"*/{MODEL_FILE}")):
            found.setdefault(file.parent.name, file.parent)
    return tuple(found.values())


def find_bundle(name_or_path: str | Path) -> Path:
    """Folder of a bundle, by its name or its path.

    Raises: BadCheckpoint if there is no such bundle.
    """
    known = {folder.name: folder for folder in list_bundles()}
    folder = known.get(str(name_or_path), Path(name_or_path).expanduser())
    if not (folder / MODEL_FILE).is_file():
        names = ", ".join(known) or "none"
        raise BadCheckpoint(
            f"There is no model '{name_or_path}': give the path of a folder that holds {MODEL_FILE}, "
            f"or one of these names: {names}."
        )
    return folder


def save_bundle(folder: Path, bundle: Bundle, dtype: torch.dtype = torch.float16) -> None:
    """Write the weights as `dtype`, and `model.json` with their hashes; a model card is left alone.

    Nothing that was there is touched until all is on the disk. Of a bundle that was there and had more,
    what is no part of this one is removed.
    Raises: ValueError if a weight is not finite as `dtype`, or the parts are not the config's; BadCheckpoint
    if the config names a package that is not there.
    """
    config = bundle.config
    _check_parts(bundle)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = _tables(bundle)
    for name in installed_weights(config.package) if config.package else ():
        del tensors["generator"][name]
    with contextlib.ExitStack() as renaming:  # from the last to the first: the description after its weights
        description = renaming.enter_context(replacing(folder / MODEL_FILE))
        hashes = {}
        for part, content in tensors.items():
            file = f"{part}.safetensors"
            new = renaming.enter_context(replacing(folder / file))
            safetensors.torch.save_file({name: on_disk(name, t, dtype) for name, t in content.items()}, new)
            hashes[file] = file_hash(new)
        text = json.dumps({**config.to_dict(), "files": hashes}, indent=2, ensure_ascii=False)
        description.write_text(text + "\n", encoding="utf-8")
    for part in _ALL_PARTS - tensors.keys():
        (folder / f"{part}.safetensors").unlink(missing_ok=True)


def _check_parts(bundle: Bundle) -> None:
    config = bundle.config
    editor, inverter, classifier = config.reference_editor, bundle.inverter, bundle.classifier
    iterative, basis = bundle.iterative_inverter, bundle.gradient_basis
    for what, described, given in (
        ("generator", config.generator, bundle.generator.config),
        ("refiners", sorted(refiner.stage for refiner in config.refiners), sorted(bundle.refiners)),
        ("reference editors", sorted(editor.attributes if editor else ()), sorted(bundle.reference_editors)),
        ("inverter", config.inverter, inverter and inverter.config),
        ("classifier", config.classifier, classifier and classifier.config),
        ("number of directions", len(config.directions), len(bundle.directions)),
        ("number of gallery faces", config.gallery, len(bundle.gallery)),
        ("start", config.start, bundle.start and bundle.start.config),
        ("LPIPS", config.lpips, bundle.lpips.channels if bundle.lpips else ()),
        ("face parser", config.parser, bundle.parser is not None),
        ("finder of things before a face", config.covers, bundle.covers is not None),
        ("iterative inverter", config.iterative_inverter, iterative and iterative.config),
        ("gradient basis", config.gradient_basis, basis and basis.config),
    ):
        if given != described:
            raise ValueError(f"The config describes the {what} {described}, given are {given}")


def load_bundle(folder: Path, device: torch.device | str = "cpu") -> Bundle:
    """Verify and load a bundle; the weights become float32 on `device`.

    Raises: BadCheckpoint if anything is missing, unknown, of another shape, or not what its hash says.
    """
    config, hashes = read_description(folder)
    # Without memory of their own: what is read becomes the weights, not a copy of it.
    blank = _blank(folder, config)
    installed = installed_weights(config.package) if config.package else {}
    shapes = _expected_shapes(folder, blank, installed)
    tensors = {part: read_tensors(folder / f"{part}.safetensors", hashes) for part in shapes}
    for part in shapes:
        check_shapes(folder / f"{part}.safetensors", tensors[part], shapes[part])
    none = torch.zeros(0, *blank.generator.w_mean.shape)
    linear = tensors["classifier"].pop(LINEAR) if config.classifier else none
    gallery, fixed = (
        tensors[part][name] if part in tensors else none
        for part, name in ((GALLERY, "codes"), (DIRECTIONS, "directions"))
    )
    tensors["generator"] |= installed
    for part, network in _by_part(blank).items():
        network.load_state_dict({name: _wide(t) for name, t in tensors.pop(part).items()}, assign=True)
        network.eval().requires_grad_(False).to(device)
    # The files' hashes were checked a moment ago; of others that the description may name nothing was read.
    told = [hashes[f"{part}.safetensors"] for part in sorted(shapes) if part != "covers"]
    told += [config.package.files[name] for name in sorted(config.package.files)] if config.package else []
    fingerprint = hashlib.sha256("".join(told).encode()).hexdigest()
    linear, fixed, gallery = (tensor.float().to(device) for tensor in (linear, fixed, gallery))
    return dataclasses.replace(
        blank, linear_directions=linear, directions=fixed, gallery=gallery, fingerprint=fingerprint
    )


def _wide(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def read_config(folder: Path) -> BundleConfig:
    """What a bundle says of itself, without loading its weights.

    Raises: BadCheckpoint if `model.json` is missing or does not describe a model.
    """
    return read_description(folder)[0]


def _blank(folder: Path, config: BundleConfig) -> Bundle:
    """The bundle on the meta device: all networks, and tensors of the shapes that the config says.

    There a description of a terabyte costs nothing; the files must match it first.
    """
    editor = config.reference_editor
    try:
        with torch.device("meta"):
            generator = build_generator(config.generator)
            refiners: dict[str, RefineStyle] = {}
            refiners |= {r.stage: RefineStyle(r, generator.low_rank or ()) for r in config.refiners}
            codes = generator.w_mean.shape
            return Bundle.of(
                config,
                generator,
                build_inverter(config.inverter) if config.inverter else None,
                LatentClassifier(config.classifier) if config.classifier else None,
                torch.empty(len(config.classifier.attributes) if config.classifier else 0, *codes),
                torch.empty(len(config.directions), *codes),
                refiners,
                {name: ReferenceEditor(editor) for name in editor.attributes} if editor else {},
                torch.empty(config.gallery, *codes),
                Start(config.start) if config.start else None,
                Lpips(config.lpips) if config.lpips else None,
                FaceParser() if config.parser else None,
                IterativeInverter(config.iterative_inverter) if config.iterative_inverter else None,
                GradientBasis(config.gradient_basis) if config.gradient_basis else None,
                CoverFinder() if config.covers else None,
            )
    except Exception as error:  # whatever a constructor says to a nonsensical but well-formed description
        reason = one_line(error)
        raise BadCheckpoint(
            f"{folder / MODEL_FILE} describes no network that can be built: {reason}."
        ) from error


def _by_part(bundle: Bundle) -> dict[str, nn.Module]:
    """The networks that there are, by the names of their files."""
    optional: dict[str, nn.Module | None] = {
        "inverter": bundle.inverter,
        "classifier": bundle.classifier,
        "start": bundle.start,
        "lpips": bundle.lpips,
        "parser": bundle.parser,
        "covers": bundle.covers,
        "iterative_inverter": bundle.iterative_inverter,
        "gradient_basis": bundle.gradient_basis,
    }
    editors = bundle.reference_editors
    return {
        "generator": bundle.generator,
        **{name: network for name, network in optional.items() if network is not None},
        **{_refiner_part(stage): network for stage, network in bundle.refiners.items()},
        **({EDITORS: nn.ModuleDict(editors)} if editors else {}),
    }


def _tables(bundle: Bundle) -> dict[str, dict[str, Tensor]]:
    """All tensors of the bundle, by the names of their files and by their own."""
    tensors = {part: dict(network.state_dict()) for part, network in _by_part(bundle).items()}
    if bundle.classifier is not None:
        tensors["classifier"][LINEAR] = bundle.linear_directions
    if len(bundle.gallery):
        tensors[GALLERY] = {"codes": bundle.gallery}
    if len(bundle.directions):
        tensors[DIRECTIONS] = {"directions": bundle.directions}
    return tensors


def _refiner_part(stage: str) -> str:
    return f"refiner_{stage}"


_ALL_PARTS = {
    "inverter", "classifier", "start", "lpips", "parser", "covers", "iterative_inverter", "gradient_basis",
    EDITORS, GALLERY, DIRECTIONS, *map(_refiner_part, ("one_stage", "two_stage")),
}  # fmt: skip


def _expected_shapes(
    folder: Path, blank: Bundle, installed: Mapping[str, Tensor]
) -> dict[str, dict[str, torch.Size]]:
    """Of the tensors in the bundle's own files; those of the package are looked at here."""
    shapes = {part: {name: t.shape for name, t in table.items()} for part, table in _tables(blank).items()}
    for name, tensor in installed.items():
        if shapes["generator"].pop(name, None) != tensor.shape:
            raise BadCheckpoint(
                f"{folder / MODEL_FILE} describes another generator than its package holds ({name})."
            )
    return shapes
