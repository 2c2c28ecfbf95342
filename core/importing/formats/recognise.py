"""Which published format a checkpoint is in, and its converter."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from core.errors import BadCheckpoint
from core.importing.formats import (
    classifier,
    ganspace,
    gradual,
    interfacegan,
    nvidia,
    rosinality,
    style_transformer,
)
from core.importing.formats.parts import Parts
from core.importing.read.reading import Checkpoint
from core.importing.read.unpickling import PersistentObject

# Of a file that nobody knows, the first few keys say what it may be.
SHOWN = 5


@dataclass(frozen=True)
class Format:
    """One published format. recognises: cheap, never raises; convert: of content and the file's stem."""

    words: str
    recognises: Callable[[Any], bool]
    convert: Callable[[Any, str], Parts]


# In this order: a Style Transformer file has what a pSp file has, and both hold a rosinality generator.
FORMATS = (
    Format("NVIDIA StyleGAN2 and StyleGAN2-ADA (.pkl, PyTorch)", nvidia.recognises, nvidia.convert),
    Format("Style Transformer", style_transformer.recognises, style_transformer.convert),
    Format("e4e and pSp", gradual.recognises, gradual.convert),
    Format("rosinality StyleGAN2", rosinality.recognises, rosinality.convert),
    Format("the 40-attribute latent classifier", classifier.recognises, classifier.convert),
    Format("InterFaceGAN directions", interfacegan.recognises, interfacegan.convert),
    Format("GANSpace components", ganspace.recognises, ganspace.convert),
)


def convert(checkpoint: Checkpoint) -> Parts:
    """What the file gives a bundle.

    Raises: BadCheckpoint if it is of no known format, or not as its format says.
    """
    content, path = checkpoint.content, checkpoint.path
    for known in FORMATS:
        if known.recognises(content):
            return known.convert(content, path.stem)
    formats = "; ".join(known.words for known in FORMATS)
    raise BadCheckpoint(
        f"{path.name} is of no format that can be imported: it holds {_found(content)}; known are {formats}."
    )


def _found(content: Any) -> str:
    if isinstance(content, PersistentObject):
        return f"a {content.class_name:.80}"
    if isinstance(content, Mapping):
        keys = ", ".join(f"{key!s:.60}" for key in list(content)[:SHOWN])
        more = f" and {len(content) - SHOWN} more" if len(content) > SHOWN else ""
        return f"the keys {keys}{more}" if content else "nothing"
    if isinstance(content, torch.Tensor):
        return f"a tensor of the shape {tuple(content.shape)}"
    return f"a {type(content).__name__}"
