"""Model bundles on disk: find, verify, load, save.

A bundle is a folder: `model.json` (the `BundleConfig`, and the SHA-256 of every weight file),
`generator.safetensors` and, where it has them, `inverter.safetensors`, `classifier.safetensors`,
`directions.safetensors`, `refiner_one_stage.safetensors`, `refiner_two_stage.safetensors`,
`reference_editors.safetensors`, `gallery.safetensors`; and `MODEL_CARD.md`.
Every failure while finding or loading one is a `BadCheckpoint` with one sentence.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import platformdirs
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from core.config import BundleConfig
from core.errors import BadCheckpoint, BadRequest
from core.generators.stylegan2.network import Generator
from core.models.inverter import Inverter, build_inverter
from core.models.latent_classifier import LatentClassifier
from core.models.reference_editor import ReferenceEditor
from core.models.refine_style import RefineStyle

DEFAULT_BUNDLE = "portrait128"
BUILT_IN = Path(__file__).resolve().parent.parent / "checkpoints"
MODEL_FILE = "model.json"
HASH_BLOCK = 2**22
# Travels in the classifier's file: both say what an attribute is in W+.
LINEAR = "linear_directions"
EDITORS, GALLERY, DIRECTIONS = "reference_editors", "gallery", "directions"


@dataclass(frozen=True)
class Bundle:
    """Networks in evaluation mode, without gradients.

    linear_directions: (A, L, D), A the classifier's; directions: (F, L, D), the fixed ones.
    refiners: by stage, "one_stage" or "two_stage";
    reference_editors: by attribute, those that the config lists; gallery: (N, L, D), reference faces' codes.
    fingerprint: SHA-256 of all weights, in hexadecimal.
    """

    config: BundleConfig
    generator: Generator
    inverter: Inverter | None
    classifier: LatentClassifier | None
    linear_directions: Tensor
    directions: Tensor
    refiners: Mapping[str, RefineStyle]
    reference_editors: Mapping[str, ReferenceEditor]
    gallery: Tensor
    fingerprint: str

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


def save_bundle(
    folder: Path,
    config: BundleConfig,
    generator: Generator,
    inverter: Inverter | None,
    classifier: LatentClassifier | None,
    linear_directions: Tensor | None,
    refiners: Mapping[str, RefineStyle] = MappingProxyType({}),
    reference_editors: Mapping[str, ReferenceEditor] = MappingProxyType({}),
    gallery: Tensor | None = None,
    directions: Tensor | None = None,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write the weights as `dtype`, then `model.json` with their hashes; a model card is left alone.

    refiners: by stage, reference_editors: by attribute, gallery: (N, L, D), directions: (F, L, D), those that
    the config describes. linear_directions: (A, L, D), where there is a classifier.
    Of a bundle that was there before and had more, what is no part of this one is removed.
    Raises: ValueError if a weight is not finite as `dtype`, or the parts are not the config's.
    """
    fixed, faces = (0 if t is None else len(t) for t in (directions, gallery))
    _check_parts(config, inverter, classifier, refiners, reference_editors, fixed, faces)
    folder.mkdir(parents=True, exist_ok=True)
    networks = _by_part(generator, inverter, classifier, refiners, reference_editors)
    tensors = {part: dict(network.state_dict()) for part, network in networks.items()}
    if linear_directions is not None and classifier is not None:
        tensors["classifier"][LINEAR] = linear_directions
    if gallery is not None and faces:
        tensors[GALLERY] = {"codes": gallery}
    if directions is not None and fixed:
        tensors[DIRECTIONS] = {"directions": directions}
    for part in _ALL_PARTS - tensors.keys():
        (folder / f"{part}.safetensors").unlink(missing_ok=True)
    hashes = {}
    for part, content in tensors.items():
        path = folder / f"{part}.safetensors"
        safetensors.torch.save_file({name: _on_disk(name, t, dtype) for name, t in content.items()}, path)
        hashes[path.name] = file_hash(path)
    text = json.dumps({**config.to_dict(), "files": hashes}, indent=2, ensure_ascii=False)
    (folder / MODEL_FILE).write_text(text + "\n", encoding="utf-8")


def file_hash(path: Path, progress: Callable[[int], None] = lambda _: None) -> str:
    """SHA-256 of a file, in hexadecimal; progress is told how many bytes were read since it was last."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(HASH_BLOCK):
            digest.update(block)
            progress(len(block))
    return digest.hexdigest()


def _check_parts(
    config: BundleConfig,
    inverter: Inverter | None,
    classifier: LatentClassifier | None,
    refiners: Iterable[str],
    reference_editors: Iterable[str],
    directions: int,
    gallery: int,
) -> None:
    editor = config.reference_editor
    for what, described, given in (
        ("refiners", sorted(refiner.stage for refiner in config.refiners), sorted(refiners)),
        ("reference editors", sorted(editor.attributes if editor else ()), sorted(reference_editors)),
        ("inverter", config.inverter, inverter and inverter.config),
        ("classifier", config.classifier, classifier and classifier.config),
        ("number of directions", len(config.directions), directions),
        ("number of gallery faces", config.gallery, gallery),
    ):
        if given != described:
            raise ValueError(f"The config describes the {what} {described}, given are {given}")


def _on_disk(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    # A copy of its own: two names of one tensor cannot be written.
    tensor = tensor.detach().cpu().contiguous()
    if not tensor.is_floating_point():
        return tensor
    stored = tensor.to(dtype)
    # Smallest and largest in one pass, which NaN survives: isfinite of a gigabyte takes seconds.
    if stored.numel() and not torch.stack(stored.aminmax()).isfinite().all():
        raise ValueError(f"{name} holds values that {str(dtype).removeprefix('torch.')} cannot")
    return stored


def load_bundle(folder: Path, device: torch.device | str = "cpu") -> Bundle:
    """Verify and load a bundle; the weights become float32 on `device`.

    Raises: BadCheckpoint if anything is missing, unknown, of another shape, or not what its hash says.
    """
    config, hashes = _read_description(folder)
    shapes = _expected_shapes(folder, config)
    tensors = {part: _read_tensors(folder / f"{part}.safetensors", hashes) for part in shapes}
    for part in shapes:
        _check_shapes(folder / f"{part}.safetensors", tensors[part], shapes[part])
    codes, width = config.generator.num_codes, config.generator.w_dim
    none = torch.zeros(0, codes, width)
    linear = tensors["classifier"].pop(LINEAR) if config.classifier else none
    # Without memory of their own: what was read becomes the weights, not a copy of it.
    with torch.device("meta"):
        generator, inverter, classifier, refiners, editors = _networks(config)
    for part, network in _by_part(generator, inverter, classifier, refiners, editors).items():
        network.load_state_dict({name: _wide(t) for name, t in tensors.pop(part).items()}, assign=True)
        network.eval().requires_grad_(False).to(device)
    gallery, fixed = (
        tensors[part][name] if part in tensors else none
        for part, name in ((GALLERY, "codes"), (DIRECTIONS, "directions"))
    )
    # The files' hashes were checked a moment ago; of others that the description may name nothing was read.
    digest = hashlib.sha256("".join(hashes[f"{part}.safetensors"] for part in sorted(shapes)).encode())
    linear, fixed, gallery = (tensor.float().to(device) for tensor in (linear, fixed, gallery))
    return Bundle(
        config, generator, inverter, classifier, linear, fixed, refiners, editors, gallery, digest.hexdigest()
    )


def _wide(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def read_config(folder: Path) -> BundleConfig:
    """What a bundle says of itself, without loading its weights.

    Raises: BadCheckpoint if `model.json` is missing or does not describe a model.
    """
    return _read_description(folder)[0]


Networks = tuple[
    Generator,
    Inverter | None,
    LatentClassifier | None,
    dict[str, RefineStyle],
    dict[str, ReferenceEditor],
]


def _networks(config: BundleConfig) -> Networks:
    refiners: dict[str, RefineStyle] = {
        refiner.stage: RefineStyle(refiner, config.generator) for refiner in config.refiners
    }
    editor = config.reference_editor
    editors = {name: ReferenceEditor(editor) for name in editor.attributes} if editor else {}
    classifier = LatentClassifier(config.classifier) if config.classifier else None
    inverter = build_inverter(config.inverter) if config.inverter else None
    return Generator(config.generator), inverter, classifier, refiners, editors


def _by_part(
    generator: Generator,
    inverter: Inverter | None,
    classifier: LatentClassifier | None,
    refiners: Mapping[str, RefineStyle],
    editors: Mapping[str, ReferenceEditor],
) -> dict[str, nn.Module]:
    """The networks that there are, by the names of their files."""
    return {
        "generator": generator,
        **({"inverter": inverter} if inverter is not None else {}),
        **({"classifier": classifier} if classifier is not None else {}),
        **{_refiner_part(stage): network for stage, network in refiners.items()},
        **({EDITORS: nn.ModuleDict(editors)} if editors else {}),
    }


def _refiner_part(stage: str) -> str:
    return f"refiner_{stage}"


_ALL_PARTS = {
    "inverter", "classifier", EDITORS, GALLERY, DIRECTIONS, *map(_refiner_part, ("one_stage", "two_stage")),
}  # fmt: skip


def _read_description(folder: Path) -> tuple[BundleConfig, Mapping[str, Any]]:
    path = folder / MODEL_FILE
    try:
        data = json.loads(path.read_bytes())
        if not isinstance(data, dict):
            raise ValueError("it is not a JSON object")
        hashes = data.pop("files", None)
        if not isinstance(hashes, dict):
            raise ValueError("it has no list of files")
        config = BundleConfig.from_dict(data)
        for attribute in config.attributes:
            if not (isinstance(attribute.unit, (int, float)) and math.isfinite(attribute.unit)):
                raise ValueError(f"the unit of {attribute.name} is not a number")
    except OSError as error:
        raise BadCheckpoint(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise BadCheckpoint(f"{path} does not describe a model: {_one_line(error)}.") from error
    return config, hashes


def _expected_shapes(folder: Path, config: BundleConfig) -> dict[str, dict[str, torch.Size]]:
    try:
        # On the meta device a description of a terabyte costs nothing; the files must match it first.
        with torch.device("meta"):
            networks = _by_part(*_networks(config))
    except Exception as error:  # whatever a constructor says to a nonsensical but well-formed description
        reason = _one_line(error)
        raise BadCheckpoint(
            f"{folder / MODEL_FILE} describes no network that can be built: {reason}."
        ) from error
    shapes = {
        part: {name: t.shape for name, t in network.state_dict().items()}
        for part, network in networks.items()
    }
    code = config.generator.num_codes, config.generator.w_dim
    if config.classifier is not None:
        shapes["classifier"][LINEAR] = torch.Size((len(config.classifier.attributes), *code))
    if config.gallery:
        shapes[GALLERY] = {"codes": torch.Size((config.gallery, *code))}
    if config.directions:
        shapes[DIRECTIONS] = {"directions": torch.Size((len(config.directions), *code))}
    return shapes


def _read_tensors(path: Path, hashes: Mapping[str, Any]) -> dict[str, Tensor]:
    try:
        found = file_hash(path)
    except OSError as error:
        raise BadCheckpoint(f"{path} cannot be read: {error.strerror}; fetch the model again.") from error
    if found != hashes.get(path.name):
        raise BadCheckpoint(
            f"{path} is damaged or incomplete (its SHA-256 is not the one in {MODEL_FILE}); "
            "fetch the model again."
        )
    try:
        return safetensors.torch.load_file(path)
    except SafetensorError as error:
        raise BadCheckpoint(f"{path} is not a safetensors file: {_one_line(error)}.") from error


def _check_shapes(path: Path, tensors: Mapping[str, Tensor], expected: Mapping[str, torch.Size]) -> None:
    for name in sorted(expected.keys() | tensors.keys()):
        if name not in tensors:
            raise BadCheckpoint(f"{path} lacks the tensor {name} that {MODEL_FILE} asks for.")
        if name not in expected:
            raise BadCheckpoint(f"{path} holds a tensor {name} that {MODEL_FILE} does not ask for.")
        if tensors[name].shape != expected[name]:
            found, wanted = tuple(tensors[name].shape), tuple(expected[name])
            raise BadCheckpoint(
                f"{path}: the tensor {name} has shape {found}, {MODEL_FILE} asks for {wanted}."
            )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
