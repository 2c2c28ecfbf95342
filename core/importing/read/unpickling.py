"""A pickle read as data: an interpreter of its instructions that can call nothing but `stand_ins`.

Why not Python's own `pickle.Unpickler` with a `find_class`, or torch's `weights_only` one: the first reserves
whatever memory a file claims (a memo of 32 GB takes five bytes to ask for), torch's knows neither protocols
3 to 5 nor classes that are not installed, takes extra types only by changing a list of the whole process, and
believes the sizes of a tensor. This one serves torch's files and NVIDIA's pickles alike.
"""

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from core.importing.read.pickle_code import Refused, instructions
from core.importing.read.stand_ins import (
    ClassName,
    Function,
    Instance,
    NumpyArray,
    NumpyType,
    Place,
    StorageName,
    checked_key,
    numpy_tensor,
    stand_in,
)
from core.importing.read.storages import Storage

# NVIDIA's networks nest some twenty containers deep.
MAX_DEPTH = 100
# Of everything in a file, that many times as it is found: [[x, x], [x, x]] holds x four times.
MAX_VALUES = 2_000_000
# Of a whole number; torch's legacy files begin with one of ten bytes.
MAX_LONG = 16
_MARK = object()


@dataclass(frozen=True)
class PersistentObject:
    """A module in one of NVIDIA's pickles, as data.

    class_name: NVIDIA's own without its module ("SynthesisNetwork"), torch's with it
    ("torch.nn.modules.linear.Linear"); state: the module's attributes: `_parameters`, `_buffers`, `_modules`,
    `_init_args`, `_init_kwargs`, and plain values.
    """

    class_name: str
    state: Mapping[str, Any]


def persistent_tensors(module: PersistentObject) -> dict[str, Tensor]:
    """A module's parameters and persistent buffers, and its children's, named as `state_dict()` does."""
    hidden = module.state.get("_non_persistent_buffers_set")
    hidden = hidden if isinstance(hidden, list | tuple) else ()
    found = _tensors_of(module, "_parameters")
    found |= {name: t for name, t in _tensors_of(module, "_buffers").items() if name not in hidden}
    for name, child in _members(module, "_modules").items():
        if isinstance(child, PersistentObject):
            found |= {f"{name}.{inner}": t for inner, t in persistent_tensors(child).items()}
    return found


def _tensors_of(module: PersistentObject, kind: str) -> dict[str, Tensor]:
    return {str(name): t for name, t in _members(module, kind).items() if isinstance(t, Tensor)}


def _members(module: PersistentObject, kind: str) -> Mapping[str, Any]:
    members = module.state.get(kind)
    return members if isinstance(members, dict) else {}


def unpickle(
    data: memoryview, start: int, place: Place, persistent: Callable[[Any], Any] | None = None
) -> tuple[Any, int]:
    """What a pickle that begins at `start` holds, still to be made plain, and where it ends.

    persistent: what stands for an id, of those that lie elsewhere in the file.
    Raises: Refused, or whatever Python raises where instructions make no sense together.
    """
    machine = _Machine(place, persistent)
    end = start
    for code, argument, after in instructions(data, start):
        place.budget.steps(1)
        if code != pickle.STOP[0]:
            machine.step(code, argument)
        end = after
    return machine.pop(), end


class _Machine:
    """A stack, a memo, and a method for each instruction."""

    def __init__(self, place: Place, persistent: Callable[[Any], Any] | None) -> None:
        self._place = place
        self._persistent = persistent
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def step(self, code: int, argument: Any) -> None:
        """Run one instruction."""
        if code in _VALUES:
            self._stack.append(_VALUES[code](argument))
        elif code in _METHODS:
            _METHODS[code](self, argument)
        elif code == pickle.INST[0]:
            stand_in(argument)
            raise Refused("is damaged: it makes an instance in a way that no file of weights does")
        elif code not in _IGNORED:
            raise Refused(f"is damaged, or no file of weights: it holds the instruction {code}")

    def pop(self) -> Any:
        """The value on top."""
        value = self._stack.pop()
        if value is _MARK:
            raise Refused("is damaged: its instructions make no sense together")
        return value

    def proto(self, version: int) -> None:
        if not 2 <= version <= 5:
            raise Refused(f"is damaged: there is no pickle of version {version}")

    def mark(self, _: None) -> None:
        self._stack.append(_MARK)

    def _pop_mark(self) -> list[Any]:
        values: list[Any] = []
        while (value := self._stack.pop()) is not _MARK:
            values.append(value)
        return values[::-1]

    def text(self, argument: memoryview) -> None:
        self._place.budget.text(len(argument))
        self._stack.append(str(argument, "utf-8", "replace"))

    def old_text(self, argument: memoryview) -> None:
        # Python 2 did not tell text from bytes; latin1 loses neither.
        self._place.budget.text(len(argument))
        self._stack.append(str(argument, "latin1"))

    def put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def memoize(self, _: None) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def get(self, index: int) -> None:
        self._stack.append(self._memo[index])

    def tuple_of(self, count: int) -> None:
        values = [self.pop() for _ in range(count)]
        self._stack.append(tuple(values[::-1]))

    def tuple_marked(self, _: None) -> None:
        self._stack.append(tuple(self._pop_mark()))

    def extend(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not list:
            raise Refused("is damaged: it adds to what is no list")
        target.extend(values)

    def set_items(self, values: list[Any]) -> None:
        top = self._stack[-1]
        target = top.entries if isinstance(top, Instance) and top.of.dictionary else top
        if type(target) is not dict:
            raise Refused("is damaged: it makes entries in what is no dictionary")
        for key, value in zip(values[::2], values[1::2], strict=True):
            target[checked_key(key)] = value

    def global_name(self, name: str) -> None:
        self._stack.append(stand_in(name))

    def stack_global(self, _: None) -> None:
        name, module = self.pop(), self.pop()
        self._stack.append(stand_in(f"{module:.200}.{name:.200}"))

    def reduce(self, _: None) -> None:
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, Function) or type(arguments) is not tuple:
            raise Refused("is damaged: it calls what is no function")
        self._place.budget.steps(len(arguments))
        self._stack.append(function.call(self._place, *arguments))

    def new_object(self, _: None) -> None:
        arguments, of = self.pop(), self.pop()
        if not isinstance(of, ClassName) or arguments != ():
            raise Refused("is damaged: it makes an instance of what is no class")
        self._stack.append(Instance(of))

    def build(self, _: None) -> None:
        state, target = self.pop(), self._stack[-1]
        if isinstance(target, Instance):
            target.state = state
        elif isinstance(target, NumpyType):
            target.big_endian = state[1] == ">"
        elif isinstance(target, NumpyArray):
            _, shape, dtype, columns_first, raw = state
            target.tensor = numpy_tensor(self._place, raw, shape, dtype, columns_first is True)
        # An OrderedDict with attributes: torch's state dicts carry `_metadata`.
        elif type(target) is not dict:
            raise Refused("is damaged: it gives attributes to what has none")

    def persistent_id(self, _: None) -> None:
        if self._persistent is None:
            raise Refused("is damaged: it names parts of a torch file, and is none")
        self._stack.append(self._persistent(self.pop()))


def _long(argument: memoryview) -> int:
    if len(argument) > MAX_LONG:
        raise Refused(f"is damaged: a number in it has {len(argument)} bytes")
    return int.from_bytes(argument, "little", signed=True)


def _constant(value: Any) -> Callable[[Any], Any]:
    return lambda _: value


_VALUES: dict[int, Callable[[Any], Any]] = {
    pickle.NONE[0]: _constant(None),
    pickle.NEWTRUE[0]: _constant(True),
    pickle.NEWFALSE[0]: _constant(False),
    pickle.EMPTY_TUPLE[0]: _constant(()),
    pickle.EMPTY_LIST[0]: lambda _: [],
    pickle.EMPTY_DICT[0]: lambda _: {},
    pickle.EMPTY_SET[0]: lambda _: [],
    pickle.LONG1[0]: _long,
    pickle.LONG4[0]: _long,
} | {
    code[0]: lambda argument: argument
    for code in (
        *(pickle.BININT, pickle.BININT1, pickle.BININT2, pickle.BINFLOAT),
        *(pickle.SHORT_BINBYTES, pickle.BINBYTES, pickle.BINBYTES8, pickle.BYTEARRAY8),
    )
}
_METHODS: dict[int, Callable[[_Machine, Any], None]] = {
    pickle.PROTO[0]: _Machine.proto,
    pickle.MARK[0]: _Machine.mark,
    pickle.SHORT_BINUNICODE[0]: _Machine.text,
    pickle.BINUNICODE[0]: _Machine.text,
    pickle.BINUNICODE8[0]: _Machine.text,
    pickle.SHORT_BINSTRING[0]: _Machine.old_text,
    pickle.BINSTRING[0]: _Machine.old_text,
    pickle.BINPUT[0]: _Machine.put,
    pickle.LONG_BINPUT[0]: _Machine.put,
    pickle.MEMOIZE[0]: _Machine.memoize,
    pickle.BINGET[0]: _Machine.get,
    pickle.LONG_BINGET[0]: _Machine.get,
    pickle.TUPLE[0]: _Machine.tuple_marked,
    pickle.TUPLE1[0]: lambda machine, _: machine.tuple_of(1),
    pickle.TUPLE2[0]: lambda machine, _: machine.tuple_of(2),
    pickle.TUPLE3[0]: lambda machine, _: machine.tuple_of(3),
    pickle.FROZENSET[0]: _Machine.tuple_marked,
    pickle.APPEND[0]: lambda machine, _: machine.extend([machine.pop()]),
    pickle.APPENDS[0]: lambda machine, _: machine.extend(machine._pop_mark()),
    pickle.ADDITEMS[0]: lambda machine, _: machine.extend(machine._pop_mark()),
    pickle.SETITEM[0]: lambda machine, _: machine.set_items([machine.pop(), machine.pop()][::-1]),
    pickle.SETITEMS[0]: lambda machine, _: machine.set_items(machine._pop_mark()),
    pickle.GLOBAL[0]: _Machine.global_name,
    pickle.STACK_GLOBAL[0]: _Machine.stack_global,
    pickle.REDUCE[0]: _Machine.reduce,
    pickle.NEWOBJ[0]: _Machine.new_object,
    pickle.BUILD[0]: _Machine.build,
    pickle.BINPERSID[0]: _Machine.persistent_id,
}
# How the stream is cut into frames is of no interest to who has all of it.
_IGNORED = {pickle.FRAME[0]}


class _Made(NamedTuple):
    """A plain value, how many it holds as often as they are found, and how deep they nest."""

    value: Any
    size: int = 1
    height: int = 0


class Plain:
    """Makes what `unpickle` gives into plain containers and `PersistentObject`s, each thing once."""

    def __init__(self) -> None:
        # The thing itself is kept, since another may not get its id.
        self._done: dict[int, tuple[Any, _Made]] = {}

    def __call__(self, value: Any) -> Any:
        """Raises: Refused if it holds itself, nests too deep, or shares parts until they are too many."""
        return self._plain(value, 0).value

    def _plain(self, value: Any, depth: int) -> _Made:
        if value is None or isinstance(value, str | int | float | Tensor):
            return _Made(value)
        if id(value) not in self._done:
            if depth > MAX_DEPTH:
                raise Refused(_TOO_DEEP)
            self._done[id(value)] = value, self._made(value, depth + 1)
        _, made = self._done[id(value)]
        if depth + made.height > MAX_DEPTH:
            raise Refused(_TOO_DEEP)
        if made.size > MAX_VALUES:
            raise Refused("claims far more than a file of its size can hold")
        return made

    def _made(self, value: Any, depth: int) -> _Made:
        if isinstance(value, dict):
            parts = [self._plain(item, depth) for item in value.values()]
            return _container(dict(zip(value, [part.value for part in parts], strict=True)), parts)
        if isinstance(value, list | tuple):
            parts = [self._plain(item, depth) for item in value]
            return _container(type(value)(part.value for part in parts), parts)
        if isinstance(value, Instance):
            return self._instance(value, depth)
        if isinstance(value, NumpyArray) and value.tensor is not None:
            return _Made(value.tensor)
        if isinstance(value, memoryview):
            return _Made(bytes(value))
        if isinstance(value, Storage):
            return _Made(value.numbers)
        if isinstance(value, ClassName | Function | NumpyType):
            return _Made(value.name)
        if isinstance(value, StorageName):
            return _Made(str(value.dtype))
        raise Refused("is damaged: something in it was never finished")

    def _instance(self, value: Instance, depth: int) -> _Made:
        # With slots, a pair: what the slots hold belongs to no class that is read here.
        state = value.state[0] if isinstance(value.state, tuple) else value.state
        held = value.entries or ({} if state is None else state)
        if not isinstance(held, dict):
            raise Refused("is damaged: the attributes of something in it have no names")
        made = self._plain(held, depth)
        return (
            made if value.of.dictionary else made._replace(value=PersistentObject(value.of.name, made.value))
        )


def _container(value: Any, parts: list[_Made]) -> _Made:
    height = 1 + max((part.height for part in parts), default=0)
    return _Made(value, 1 + sum(part.size for part in parts), height)


_TOO_DEEP = "is damaged: it nests far deeper than a file of weights does, or holds itself"
