"""Constants of OpenVINO IR files, read as data: an XML lists layers, a .bin holds their numbers.

Format: https://docs.openvino.ai (IR, operation set 1). Each `layer` of type Const has a `data` element with
element_type, shape, offset and size, the last two in bytes of the .bin, which is little-endian.
"""

import math
import sys
from dataclasses import dataclass
from xml.parsers import expat

import numpy as np
import torch
from torch import Tensor

# The real files have 430 kB, 1,200 layers and constants of up to five dimensions.
MAX_XML, MAX_BIN, MAX_LAYERS, MAX_DIMENSIONS = 4 * 2**20, 2**28, 20_000, 8


@dataclass(frozen=True)
class Constant:
    """A float32 constant: its layer's name, its shape, and where in the .bin it begins, in bytes."""

    name: str
    shape: tuple[int, ...]
    offset: int


def constants(xml: bytes) -> list[Constant]:
    """The float32 constants that an IR's XML lists, in the file's order; other types are left out.

    Raises: ValueError, with a sentence, if it is no such XML, declares a document type (entities are
    declared there), or is larger than any that we read.
    """
    if len(xml) > MAX_XML:
        raise ValueError(f"the XML has {len(xml)} bytes, more than {MAX_XML}")
    found: list[Constant] = []
    layers = 0
    name: str | None = None  # of the constant whose `data` comes next

    def started(tag: str, attributes: dict[str, str]) -> None:
        nonlocal layers, name
        if tag == "layer":
            layers += 1
            if layers > MAX_LAYERS:
                raise ValueError(f"the XML lists more than {MAX_LAYERS} layers")
            name = attributes.get("name", "") if attributes.get("type") == "Const" else None
        elif tag == "data" and name is not None:
            if attributes.get("element_type") == "f32":
                found.append(_constant(name, attributes))
            name = None

    parser = expat.ParserCreate()
    parser.StartElementHandler = started
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(xml, True)
    except expat.ExpatError as error:
        raise ValueError(f"the XML cannot be read: {error}") from error
    return found


def _refuse_doctype(*_: object) -> None:
    raise ValueError("the XML declares a document type, which no IR file needs")


def _constant(name: str, attributes: dict[str, str]) -> Constant:
    try:
        shape = tuple(int(side) for side in attributes.get("shape", "").split(",") if side.strip())
        offset, size = int(attributes["offset"]), int(attributes["size"])
    except (KeyError, ValueError) as error:
        raise ValueError(f"the constant {name!r} has no readable place or shape") from error
    if len(shape) > MAX_DIMENSIONS or min(shape, default=1) < 1 or offset < 0 or offset % 4:
        raise ValueError(f"the constant {name!r} has an impossible place or shape")
    if math.prod(shape) * 4 != size:
        raise ValueError(f"the constant {name!r} of shape {shape} cannot have {size} bytes")
    return Constant(name, shape, offset)


def tensors(found: list[Constant], raw: bytearray) -> list[Tensor]:
    """The float32 tensors of these constants, in their order; views of `raw`, a whole .bin.

    Raises: ValueError if one lies beyond the file's end.
    """
    for constant in found:
        if constant.offset + 4 * math.prod(constant.shape) > len(raw):
            raise ValueError(f"the constant {constant.name!r} lies beyond the end of the .bin")
    if sys.byteorder == "big":
        raw = bytearray(np.frombuffer(raw[: len(raw) // 4 * 4], "<f4").astype("=f4").tobytes())
    return [
        torch.frombuffer(
            raw, dtype=torch.float32, count=math.prod(constant.shape), offset=constant.offset
        ).view(constant.shape)
        for constant in found
    ]
