"""The files of a model bundle, which strangers may have written: read and checked."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from core.config import BundleConfig
from core.errors import BadCheckpoint

MODEL_FILE = "model.json"
HASH_BLOCK = 2**22


def file_hash(path: Path, progress: Callable[[int], None] = lambda _: None) -> str:
    """SHA-256 of a file, in hexadecimal; progress is told how many bytes were read since it was last."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(HASH_BLOCK):
            digest.update(block)
            progress(len(block))
    return digest.hexdigest()


def read_description(folder: Path) -> tuple[BundleConfig, Mapping[str, Any]]:
    """The description of a bundle, and the SHA-256 of its files by name. Raises: BadCheckpoint."""
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
        raise BadCheckpoint(f"{path} does not describe a model: {one_line(error)}.") from error
    return config, hashes


def read_tensors(path: Path, hashes: Mapping[str, Any]) -> dict[str, Tensor]:
    """A weight file that is what its hash says. Raises: BadCheckpoint."""
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
        raise BadCheckpoint(f"{path} is not a safetensors file: {one_line(error)}.") from error


def check_shapes(path: Path, tensors: Mapping[str, Tensor], expected: Mapping[str, torch.Size]) -> None:
    """Raises: BadCheckpoint where the file's tensors are not those that the description asks for."""
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


def on_disk(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """What is written of a weight. Raises: ValueError where it is not finite as `dtype`."""
    # A copy of its own: two names of one tensor cannot be written.
    tensor = tensor.detach().cpu().contiguous()
    if not tensor.is_floating_point():
        return tensor
    stored = tensor.to(dtype)
    # Smallest and largest in one pass, which NaN survives: isfinite of a gigabyte takes seconds.
    if stored.numel() and not torch.stack(stored.aminmax()).isfinite().all():
        raise ValueError(f"{name} holds values that {str(dtype).removeprefix('torch.')} cannot")
    return stored


def one_line(error: Exception) -> str:
    """What an error says, to stand within a sentence."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
