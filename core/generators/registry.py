"""The families that there are: from a config, or a package that it names, to a generator and its weights."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from core.config import FamilyConfig, PackageConfig
from core.errors import BadCheckpoint
from core.generators.family import GeneratorFamily
from core.generators.mobile.network import MobileGenerator
from core.generators.mobile.package import PACKAGE, SHA256, VERSION, read_weights
from core.generators.stylegan2.network import Generator

# By the entry `family` of their configs, each of which names the class of its config too (`core.config`).
FAMILIES: Mapping[str, Callable[[Any], GeneratorFamily]] = {"stylegan2": Generator, "mobile": MobileGenerator}


def build_generator(config: FamilyConfig) -> GeneratorFamily:
    """The network that a config describes, with weights that say nothing yet."""
    return FAMILIES[config.family](config)


def installed_weights(package: PackageConfig) -> dict[str, Tensor]:
    """The tensors of an installed package, by the generator's names, read as data; not to be changed.

    Raises: BadCheckpoint if this version knows no such package, or it is missing or altered.
    """
    if package != PackageConfig(PACKAGE, VERSION, dict(SHA256)):
        raise BadCheckpoint(
            f"This version reads weights from the package {PACKAGE} {VERSION} as it was published, not from "
            f"{package.name:.60} {package.version:.20} as the model describes it; fetch the model again."
        )
    return read_weights()
