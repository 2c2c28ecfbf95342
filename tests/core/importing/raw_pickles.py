"""Pickles and torch files that name whatever a test likes, without its being on this machine."""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor


class Global:
    """A dotted name of a class or function; the last part is the name in its module."""

    def __init__(self, path: str) -> None:
        self.module, _, self.name = path.rpartition(".")

    def __call__(self) -> None:
        raise AssertionError("Only a pickle's reader calls it.")


class Call:
    """What a pickle makes by calling a name, and by giving the result a state."""

    def __init__(self, path: str, *arguments: Any, state: Any = None) -> None:
        self.parts = (Global(path), arguments, state)


class Stored:
    """A storage that lies beside the pickle of a torch file."""

    def __init__(self, kind: str, key: str, count: int) -> None:
        self.identity = ("storage", Global(f"torch.{kind}"), key, "cpu", count)


class _Pickler(pickle._Pickler):  # type: ignore[name-defined, misc]
    def reducer_override(self, value: Any) -> Any:
        return value.parts if isinstance(value, Call) else NotImplemented

    def persistent_id(self, value: Any) -> Any:
        return value.identity if isinstance(value, Stored) else None

    def _save_global(self, value: Global) -> None:
        self.write(pickle.GLOBAL + f"{value.module}\n{value.name}\n".encode())
        self.memoize(value)

    dispatch: ClassVar = {**pickle._Pickler.dispatch, Global: _save_global}  # type: ignore[attr-defined]


def dump(value: Any, protocol: int = 2) -> bytes:
    """A pickle."""
    file = io.BytesIO()
    _Pickler(file, protocol).dump(value)
    return file.getvalue()


def legacy_bytes(value: Any) -> bytes:
    """A torch file of before 1.6."""
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=False)
    return file.getvalue()


def legacy_with(code: bytes, keys: Any = (), storages: bytes = b"") -> bytes:
    """A torch file of before 1.6, of this pickle; storages: each with its length before it."""
    magic, version, machine = 0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}
    head = b"".join(pickle.dumps(value, 2) for value in (magic, version, machine))
    return head + code + dump(list(keys)) + storages


def archive_bytes(code: bytes, parts: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A torch file of today; parts: by storage key."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("archive/data.pkl", code)
        for key, data in parts.items():
            archive.writestr(f"archive/data/{key}", data)
        archive.writestr("archive/version", b"3\n")
    return file.getvalue()


def tensor_call(storage: Any, size: Any, stride: Any, offset: Any = 0) -> Call:
    """A tensor that claims this of a storage."""
    return Call("torch._utils._rebuild_tensor_v2", storage, offset, size, stride, False, OrderedDict())


def stored_archive(size: Any, stride: Any, offset: Any = 0, count: int = 4) -> bytes:
    """A torch file of one tensor that claims this of a storage of 4 numbers."""
    code = dump(tensor_call(Stored("FloatStorage", "0", count), size, stride, offset))
    return archive_bytes(code, {"0": torch.arange(4.0).numpy().tobytes()})


def storage_call(tensor: Tensor) -> Call:
    """A tensor's storage as a plain pickle holds it: a whole torch file of its own."""
    memory = tensor.untyped_storage()
    storage = torch.storage.TypedStorage(wrap_storage=memory, dtype=tensor.dtype, _internal=True)
    return Call("torch.storage._load_from_bytes", legacy_bytes(storage))


def pickled_tensor(tensor: Tensor) -> Call:
    """A tensor as a plain pickle holds it."""
    return tensor_call(storage_call(tensor), tuple(tensor.shape), tensor.stride(), tensor.storage_offset())


def persistent_call(class_name: str, state: Mapping[str, Any], source: str = "") -> Call:
    """An object as NVIDIA's `torch_utils.persistence` pickles it, with the source of its class."""
    meta = {"type": "class", "version": 6, "module_src": source, "class_name": class_name, "state": state}
    return Call("torch_utils.persistence._reconstruct_persistent_obj", meta)
