"""What a pickle may name, and the plain data that each name stands for here.

A pickle asks for classes and functions by name and says what to call them with. Nothing is looked up or
imported for such a name: it is found in these tables, or the file is refused. What the tables give are small
functions of this module, which build tensors, containers and text and call nothing else; classes that hold
attributes, those of `torch.nn` and of NVIDIA's networks too, become an `Instance`: a name and a dictionary.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from core.importing.read.pickle_code import Refused
from core.importing.read.storages import (
    NUMPY_TYPES,
    STORAGE_TYPES,
    Budget,
    Storage,
    array_tensor,
    tensor_view,
)

# Names of tensors, classes and options have fewer characters.
MAX_TEXT = 500
# Of a function, those of torch's tensors.
MAX_ARGUMENTS = 10


class Place(Protocol):
    """The file a pickle lies in: what it may spend, and where other parts of it are."""

    budget: Budget

    def inner_storage(self, data: memoryview) -> Storage:
        """What a whole torch file in some bytes of the pickle holds."""


@dataclass(frozen=True)
class Function:
    """A name that a pickle may call; `call` takes the pickle's place and the arguments."""

    name: str
    call: Callable[..., Any]
    tensor: bool = False


@dataclass(frozen=True)
class ClassName:
    """A class that a pickle may make instances of; dictionary: they are no more than their entries."""

    name: str
    dictionary: bool = False


@dataclass(eq=False)
class Instance:
    """Its entries if it is some kind of dictionary, and its attributes."""

    of: ClassName
    entries: dict[Any, Any] = field(default_factory=dict)
    state: Any = None


@dataclass(eq=False)
class NumpyType:
    """A dtype, whose byte order the pickle tells later."""

    name: str
    big_endian: bool = False


@dataclass(eq=False)
class NumpyArray:
    """An array, whose shape and numbers the pickle tells later."""

    tensor: torch.Tensor | None = None


@dataclass(frozen=True)
class StorageName:
    """A torch storage class, of these numbers."""

    dtype: torch.dtype


_DICTIONARIES = (
    "argparse.Namespace",
    "types.SimpleNamespace",
    "dnnlib.util.EasyDict",
    "easydict.EasyDict",
    "yacs.config.CfgNode",
)
_PATHS = [f"{m}.{n}" for m in ("pathlib", "pathlib._local") for n in ("PosixPath", "WindowsPath")]
_PATHS += ["pathlib.PurePosixPath", "pathlib.PureWindowsPath"]
# Their instances are attributes, tensors and one another.
_MODULES = re.compile(r"torch\.nn\.(modules|parallel)(\.\w+)+", re.ASCII)
_SCALARS = ("bool", "int", "float", "str", "list", "dict", "tuple")
_TEXTS = re.compile(
    r"torch\.(float16|float32|float64|bfloat16|half|float|double|u?int(8|16|32|64)|short|int|long|bool"
    r"|contiguous_format|channels_last|preserve_format|strided)",
    re.ASCII,
)
_TENSORFLOW = re.compile(r"(dnnlib\.tflib|tfutil|tensorflow)(\.\w+)*", re.ASCII)
_LATER = {"numpy._core.": "numpy.core.", "copy_reg.": "copyreg.", "__builtin__.": "builtins."}


def stand_in(name: str) -> Any:
    """What the dotted name of a class, function or constant means here.

    Raises: Refused, naming it, if it is none of those allowed.
    """
    if _TENSORFLOW.fullmatch(name):
        raise Refused(
            "is one of NVIDIA's TensorFlow pickles, which only TensorFlow can read: take the PyTorch pickle "
            "of the same name from NVIDIA's StyleGAN2-ADA-PyTorch page, convert it with legacy.py of that "
            "project, or take rosinality's .pt"
        )
    for later, before in _LATER.items():
        name = before + name.removeprefix(later) if name.startswith(later) else name
    if name in _TABLE:
        return _TABLE[name]
    if _MODULES.fullmatch(name):
        return ClassName(name)
    if _TEXTS.fullmatch(name):
        return name
    shown = name if name.isprintable() else ascii(name)
    raise Refused(f"would run code: it asks for {shown:.120}; it was not opened")


def _reconstructor(place: Place, of: object, base: object = None, state: object = None) -> Instance:
    if not isinstance(of, ClassName) or state is not None:
        raise Refused("is damaged: it makes an instance of what is no class")
    return Instance(of)


def _persistent(place: Place, meta: object) -> Instance:
    """NVIDIA's `torch_utils.persistence`: `module_src`, the source of the class, is left where it is."""
    if not isinstance(meta, dict):
        raise Refused("is damaged: one of its networks is none")
    name = meta.get("class_name")
    if not (isinstance(name, str) and name.isidentifier() and len(name) <= MAX_TEXT):
        raise Refused("is damaged: one of its networks has no name")
    return Instance(ClassName(name), state=meta.get("state"))


def _pairs(place: Place, given: Any = ()) -> dict[Any, Any]:
    if isinstance(given, dict):
        place.budget.steps(len(given))
        return dict(given)
    return {checked_key(key): value for key, value in _listed(place, given)}


def _default_dict(place: Place, factory: object = None) -> dict[Any, Any]:
    return {}


def _listed(place: Place, given: object = ()) -> list[Any]:
    if not isinstance(given, list | tuple):
        raise Refused("is damaged: it makes a list of what is none")
    place.budget.steps(len(given))
    return list(given)


def _tupled(place: Place, given: Any = ()) -> tuple[Any, ...]:
    return tuple(_listed(place, given))


def _encoded(place: Place, text: object, encoding: object = "utf-8") -> memoryview:
    """Bytes, as protocol 2 has to write them: as text of the first 256 characters."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise Refused("is damaged: bytes in it are written as no text of theirs")
    place.budget.text(len(text))
    return memoryview(bytearray(text.encode("latin1")))


def _bytes(place: Place, data: Any = "", encoding: object = "latin1") -> Any:
    # The bytes themselves, since a million copies may be asked for.
    return _encoded(place, data, encoding) if isinstance(data, str) else data


def _path(place: Place, *parts: str) -> str:
    place.budget.text(sum(map(len, parts)))
    return "/".join(parts).replace("//", "/", 1)


def _device(place: Place, kind: object, index: object = None) -> str:
    return f"{kind:.20}" if index is None else f"{kind:.20}:{int(index)}"  # type: ignore[call-overload]


def _tensor(
    place: Place, storage: object, offset: object, size: object, stride: object, *_: object
) -> torch.Tensor:
    return tensor_view(storage, offset, size, stride, place.budget)


def _parameter(place: Place, tensor: object, *_: object) -> torch.Tensor:
    if not isinstance(tensor, torch.Tensor):
        raise Refused("is damaged: a parameter in it is no tensor")
    return tensor


def _typed_tensor(place: Place, rebuild: object, kind: object, arguments: Any, state: object) -> Any:
    """A tensor or parameter with attributes of its own, which are left out."""
    if not isinstance(rebuild, Function) or not rebuild.tensor or len(arguments) > MAX_ARGUMENTS:
        raise Refused("is damaged: a tensor in it is made by no function that makes one")
    return rebuild.call(place, *arguments)


def _load_from_bytes(place: Place, data: Any) -> Storage:
    return place.inner_storage(memoryview(data))


def _numpy_type(place: Place, name: object, *_: object) -> NumpyType:
    if not isinstance(name, str):
        raise Refused("is damaged: an array in it holds no kind of number")
    if name.lstrip("<>=|") not in NUMPY_TYPES:
        raise Refused(f"holds an array of {name[:20]!a}, which is no kind of number that networks have")
    return NumpyType(name.lstrip("<>=|"), name.startswith(">"))


def numpy_tensor(place: Place, data: Any, shape: object, dtype: object, columns_first: bool) -> torch.Tensor:
    """The tensor of an array's parts. Raises: Refused if they do not belong together."""
    if not isinstance(dtype, NumpyType):
        raise Refused("holds an array of no kind of number")
    raw = _encoded(place, data, "latin1") if isinstance(data, str) else memoryview(data)
    numbers = NUMPY_TYPES[dtype.name]
    return array_tensor(raw, shape, numbers, dtype.big_endian, columns_first, place.budget)


def _numpy_array(place: Place, *_: object) -> NumpyArray:
    return NumpyArray()


def _numpy_buffer(place: Place, data: Any, dtype: object, shape: object, order: object) -> torch.Tensor:
    return numpy_tensor(place, data, shape, dtype, order == "F")


def _numpy_number(place: Place, dtype: object, data: Any) -> bool | int | float:
    return numpy_tensor(place, data, (), dtype, False).item()


def checked_key(key: Any) -> Any:
    """A key of a dictionary: a number, or text that can be shown; comparing nested ones may take forever."""
    text = isinstance(key, str) and len(key) <= MAX_TEXT and key.isprintable()
    if not (text or key is None or isinstance(key, float | bool) or (type(key) is int and abs(key) < 2**63)):
        raise Refused("is damaged: a key in it is neither short text nor a number")
    return key


def _functions() -> dict[str, Function]:
    tensors: dict[str, Callable[..., Any]] = {
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch._utils._rebuild_tensor": _tensor,
        "torch._utils._rebuild_parameter": _parameter,
        "torch._utils._rebuild_parameter_with_state": _parameter,
    }
    others: dict[str, Callable[..., Any]] = {
        "torch._tensor._rebuild_from_type_v2": _typed_tensor,
        "torch.storage._load_from_bytes": _load_from_bytes,
        "torch.Size": _tupled,
        "torch.device": _device,
        "torch_utils.persistence._reconstruct_persistent_obj": _persistent,
        "copyreg._reconstructor": _reconstructor,
        "collections.OrderedDict": _pairs,
        "collections.Counter": _pairs,
        "collections.defaultdict": _default_dict,
        "builtins.set": _listed,
        "builtins.frozenset": _tupled,
        "builtins.bytearray": _bytes,
        "builtins.bytes": _bytes,
        "_codecs.encode": _encoded,
        "numpy.dtype": _numpy_type,
        "numpy.core.multiarray._reconstruct": _numpy_array,
        "numpy.core.multiarray.scalar": _numpy_number,
        "numpy.core.numeric._frombuffer": _numpy_buffer,
    }
    others |= dict.fromkeys(_PATHS, _path)
    result = {name: Function(name, call, tensor=True) for name, call in tensors.items()}
    return result | {name: Function(name, call) for name, call in others.items()}


_TABLE: dict[str, Any] = {
    **_functions(),
    **{name: ClassName(name, dictionary=True) for name in _DICTIONARIES},
    **{f"builtins.{name}": f"builtins.{name}" for name in (*_SCALARS, "object")},
    "numpy.ndarray": "numpy.ndarray",
    "torch.Tensor": "torch.Tensor",
    "torch.nn.parameter.Parameter": "torch.nn.parameter.Parameter",
    "torch.nn.parameter.Buffer": "torch.nn.parameter.Buffer",
    **{f"torch.{name}": StorageName(dtype) for name, dtype in STORAGE_TYPES.items()},
    **{f"torch.cuda.{name}": StorageName(dtype) for name, dtype in STORAGE_TYPES.items()},
    **{f"torch.storage.{name}": StorageName(dtype) for name, dtype in STORAGE_TYPES.items()},
}
