"""Checkpoints made to do harm: nothing in them runs, what they claim costs nothing, each is named."""

import io
import pickle
import struct
import sys
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from raw_pickles import (
    Call,
    Global,
    Stored,
    archive_bytes,
    dump,
    legacy_bytes,
    legacy_with,
    persistent_call,
    storage_call,
    stored_archive,
    tensor_call,
)

from core.errors import BadCheckpoint
from core.importing.read import storages
from core.importing.read.reading import read_checkpoint

PAYLOAD = "hostile_payload"


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is there as soon as anything of a payload has run, its mere import included."""
    ran = tmp_path / "ran"
    (tmp_path / f"{PAYLOAD}.py").write_text(f"def run(*_):\n    open({str(ran)!r}, 'w').close()\nrun()\n")
    monkeypatch.syspath_prepend(tmp_path)
    return ran


def read(folder: Path, data: bytes) -> Any:
    path = folder / "x.pt"
    path.write_bytes(data)
    return read_checkpoint(path).content


def refused(folder: Path, data: bytes, words: str) -> None:
    """That it is refused for this reason, in one sentence, without memory for what it claims."""
    tracemalloc.start()
    try:
        with pytest.raises(BadCheckpoint, match=words) as refusal:
            read(folder, data)
        assert tracemalloc.get_traced_memory()[1] < len(data) + 100 * 2**20
    finally:
        tracemalloc.stop()
    message = str(refusal.value)
    assert message.startswith("x.pt ")
    assert message.endswith(".")
    assert len(message) < 400
    assert message.isprintable()


def forms(code: bytes) -> list[bytes]:
    """A pickle alone, in an archive, in a legacy file, in a tensor of NVIDIA's."""
    inner = Call("torch.storage._load_from_bytes", legacy_with(code))
    return [code, archive_bytes(code, {}), legacy_with(code), dump(inner, 4)]


def calls(ran: Path) -> dict[str, tuple[Any, str]]:
    """What would create the marker if it ran, and the name that the refusal must give."""
    touch = f"open({str(ran)!r}, 'w')"
    module = Call("importlib.import_module", PAYLOAD)
    system = Call("builtins.getattr", Call("builtins.__import__", "os"), "system")
    return {
        "os.system": (Call("os.system", f"touch {ran}"), "os.system"),
        "posix.system": (Call("posix.system", f"touch {ran}"), "posix.system"),
        "eval": (Call("builtins.eval", touch), "builtins.eval"),
        "python2": (Call("__builtin__.eval", touch), "builtins.eval"),
        "exec": (Call("builtins.exec", touch), "builtins.exec"),
        "open": (Call("builtins.open", str(ran), "w"), "builtins.open"),
        "getattr": (system, "builtins.getattr"),
        "import": (module, "importlib.import_module"),
        "named": (Call(f"{PAYLOAD}.run"), f"{PAYLOAD}.run"),
        "class": (Global(f"{PAYLOAD}.Network"), f"{PAYLOAD}.Network"),
        "partial": (Call("functools.partial", Global("os.system"), f"touch {ran}"), "functools.partial"),
        "attrgetter": (Call("operator.attrgetter", "system"), "operator.attrgetter"),
        "hub": (Call("torch.hub.load", "a/b", "c"), "torch.hub.load"),
        "load": (Call("torch.load", str(ran)), "torch.load"),
        "save": (Call("torch.save", 1, str(ran)), "torch.save"),
        "numpy": (Call("numpy.load", str(ran)), "numpy.load"),
        "unpickle": (Call("pickle.loads", b"cos\nsystem\n."), "pickle.loads"),
        "persistence": (
            Call("torch_utils.persistence._src_to_module", touch),
            "torch_utils.persistence._src_to_module",
        ),
        "factory": (Call("collections.defaultdict", Global(f"{PAYLOAD}.run")), f"{PAYLOAD}.run"),
        "modules": (Global("sys.modules"), "sys.modules"),
        "hook": (persistent_call("G", {"_forward_hooks": {0: Global("os.system")}}), "os.system"),
    }


@pytest.mark.parametrize("kind", list(calls(Path("x"))))
def test_nothing_that_a_file_names_is_run_or_imported(kind: str, marker: Path, tmp_path: Path) -> None:
    value, name = calls(marker)[kind]
    for code in (dump({"state_dict": {}, "args": value}, protocol) for protocol in (2, 4)):
        for data in forms(code):
            refused(tmp_path, data, rf"would run code: it asks for {name}; it was not opened")
    assert not marker.exists()
    assert PAYLOAD not in sys.modules


def test_the_payload_is_one_that_python_would_run(marker: Path) -> None:
    pickle.loads(dump(Call(f"{PAYLOAD}.run")))
    assert marker.exists()
    del sys.modules[PAYLOAD]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (b"cos\nsystem\n(S'touch x'\ntR.", "it asks for os.system"),
        (b"(ios\nsystem\n.", "it asks for os.system"),
        (b"\x80\x02(X\x01\0\0\0xios\nsystem\n.", "it asks for os.system"),
        (b"\x80\x02(cos\nsystem\nX\x01\0\0\0xo.", "it asks for os.system"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "it asks for os.system"),
        (b"\x80\x04\x8c\x08builtins\x8c\x0fobject.__base__\x93.", "it asks for builtins.object.__base__"),
        (b"\x80\x02cos\nsys\x1b[31mtem\n.", "it asks for 'os.sys"),
        (b"\x80\x02\x82\x01.", "holds the instruction 130"),
        (b"\x80\x02cargparse\nNamespace\n}\x92.", "holds the instruction 146"),
        (b"\x80\x02ccollections\nOrderedDict\n)R}X\x01\0\0\0x\x88sbX\x01\0\0\0x\x85\x81.", "no class"),
        (b"\x80\x02X\x02\0\0\0os)R.", "calls what is no function"),
        (b"\x80\x02K\x05}b.", "gives attributes to what has none"),
        (b"\x80\x02K\x05K\x05a.", "no list"),
        (b"\x80\x02K\x05K\x05K\x05s.", "no dictionary"),
        (b"\x80\x02cargparse\nNamespace\n)\x81K\x05b.", "have no names"),
        (b"\x80\x02X\x01\0\0\0xQ.", "names parts of a torch file"),
        (
            b"\x80\x02}(((K\x01K\x01tK\x01tK\x05u.",
            "instructions make no sense|neither short text nor a number",
        ),
        (b"\x80\x02}X\x02\0\0\0a\x1bK\x05s.", "neither short text nor a number"),
        (b"\x80\x07N.", "no pickle of version 7"),
        (b"\x80\x02(.", "make no sense"),
        (b"\x80\x02.", "make no sense"),
        (b"\x80\x02h\x05.", "make no sense"),
        (b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n)R.", "was never finished"),
    ],
)
def test_tricks_with_instructions_are_refused(code: bytes, words: str, tmp_path: Path) -> None:
    refused(tmp_path, code, words)


CLAIM = 10 * 2**30


@pytest.mark.parametrize(
    "code",
    [
        b"\x80\x04\x8e" + struct.pack("<Q", CLAIM) + b"x.",
        b"\x80\x04\x8d" + struct.pack("<Q", CLAIM) + b"x.",
        b"\x80\x05\x96" + struct.pack("<Q", CLAIM) + b"x.",
        b"\x80\x04B" + struct.pack("<I", 2**32 - 1) + b"x.",
        b"\x80\x02X" + struct.pack("<I", 2**32 - 1) + b"x.",
        b"\x80\x02\x8b" + struct.pack("<I", 2**31 - 1) + b"x.",
        b"\x80\x02\x8b" + struct.pack("<i", -1) + b"x.",
    ],
)
def test_a_claim_of_bytes_costs_nothing(code: bytes, tmp_path: Path) -> None:
    for data in forms(code):
        refused(tmp_path, data, "is damaged or was cut off: it claims")


def test_a_memo_of_four_thousand_million_entries_costs_nothing(tmp_path: Path) -> None:
    # Python's own unpickler reserves 32 GB for this one.
    assert read(tmp_path, b"\x80\x02Nr\xff\xff\xff\xff.") is None


def test_a_number_of_a_million_digits_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, b"\x80\x02\x8b" + struct.pack("<i", 10**6) + b"\x7f" * 10**6 + b".", "number in it has")


def doubled(first: bytes, pair: bytes, times: int) -> bytes:
    """x, then (x, x), then ((x, x), (x, x))..."""
    steps = b"".join(b"q" + bytes([i]) + pair.replace(b"#", b"h" + bytes([i])) for i in range(times))
    return b"\x80\x02" + first + steps


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (doubled(b"]", b"#\x86", 90) + b".", "claims far more"),
        (doubled(b"N", b"#\x86", 90) + b".", "claims far more"),
        (b"\x80\x02}" + doubled(b"N", b"#\x86", 100)[2:] + b"K\x05s.", "a key in it"),
        (b"\x80\x02]q\0h\0a.", "holds itself"),
        (b"\x80\x02}q\0X\x01\0\0\0xh\0s.", "holds itself"),
        (b"\x80\x02cargparse\nNamespace\n)\x81q\0}X\x01\0\0\0xh\0sb.", "holds itself"),
        (b"\x80\x02" + b"]" * 3000 + b"a" * 2999 + b".", "nests far deeper"),
        (b"\x80\x02N" + b"\x85" * 9000 + b".", "nests far deeper"),
        (
            b"\x80\x02("
            + b"N" * 4000
            + b"tq\0"
            + b"cnumpy.core.multiarray\n_reconstruct\nh\0R" * 1000
            + b".",
            "far more things",
        ),
        (b"\x80\x02" + b"N" * 12_000 + b".", "far more things"),
        (
            b"\x80\x02](" + b"N" * 4000 + b"eq\0" + b"cbuiltins\nset\nh\0\x85R" * 1000 + b".",
            "far more things",
        ),
        (
            b"\x80\x02(" + b"N" * 4000 + b"tq\0" + b"ctorch\nSize\nh\0R" * 1000 + b".",
            "make no sense|far more",
        ),
        (b"\x80\x02" + (b"X" + struct.pack("<I", 2**20) + b"x" * 2**20) * 70 + b".", "far more text"),
        (
            b"\x80\x02X" + struct.pack("<I", 2**20) + b"x" * 2**20 + b"q\0X\x06\0\0\0latin1q\x01"
            b"c_codecs\nencode\nq\x02" + b"h\x02h\0h\x01\x86R" * 70 + b".",
            "far more text",
        ),
    ],
)
def test_bombs_are_refused_before_they_grow(
    data: bytes, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storages, "MAX_STEPS", 10_000)
    refused(tmp_path, data, words)


def test_a_legacy_files_first_pickles_count_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storages, "MAX_STEPS", 10_000)
    magic = pickle.dumps(0x1950A86A20F9469CFC6C, 2)
    refused(tmp_path, magic + b"\x80\x02" + b"N" * 12_000 + b"." + legacy_with(dump({})), "far more things")


def test_an_archives_part_that_is_elsewhere_is_refused(tmp_path: Path) -> None:
    data = bytearray(stored_archive((4,), (1,)))
    data[data.rindex(b"PK\3\4", 0, data.index(b"archive/data/0"))] ^= 1
    refused(tmp_path, bytes(data), "its parts are not where it says")


def test_nested_keys_of_a_legacy_files_list_are_not_compared(tmp_path: Path) -> None:
    one, other = (doubled(b"K\x01", b"#\x86", 90)[2:] for _ in range(2))
    refused(
        tmp_path,
        legacy_with(dump({}))[: -len(dump([]))] + b"\x80\x02](" + one + other + b"e.",
        "not those that it lists",
    )


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [
        ((2_700_000_000,), (1,), 0),
        ((5,), (1,), 0),
        ((4,), (1,), 1),
        ((2, 2), (3, 1), 0),
        ((2,), (-1,), 1),
        ((-2,), (1,), 0),
        ((4,), (1,), -1),
        ((2**62, 2**62), (0, 0), 0),
        ((2**32, 2**32), (0, 0), 0),
        ((100_000,), (0,), 0),
        ((300, 300), (0, 1), 0),
        ((2**63,), (1,), 0),
        ((2,), (2**64,), 0),
        ((2,), (1, 1), 0),
        ((True,), (1,), 0),
        ((2.0,), (1,), 0),
        (("2",), (1,), 0),
        ((1,) * 40, (1,) * 40, 0),
        (None, (1,), 0),
        (4, 1, 0),
    ],
)
def test_a_tensor_that_claims_more_than_its_storage_is_refused(
    size: Any, stride: Any, offset: Any, tmp_path: Path
) -> None:
    refused(tmp_path, stored_archive(size, stride, offset), "a tensor")
    storage = storage_call(torch.arange(4.0))
    refused(tmp_path, dump(tensor_call(storage, size, stride, offset), 4), "a tensor")


@pytest.mark.parametrize("count", [CLAIM, 2**61, 5, 3, -1, 2**70, None, True])
def test_a_storage_that_claims_another_length_is_refused(count: Any, tmp_path: Path) -> None:
    code = dump(tensor_call(Stored("FloatStorage", "0", count), (1,), (1,)))
    refused(tmp_path, archive_bytes(code, {"0": bytes(16)}), "tensor")
    data = legacy_with(code, ["0"], struct.pack("<q", 4) + bytes(16))
    refused(tmp_path, data, r"a tensor in it|claims far more")


def test_a_hundred_thousand_tensors_of_one_storage_are_refused(tmp_path: Path) -> None:
    storage = Stored("FloatStorage", "0", 2**20)
    tensors = [tensor_call(storage, (2**20,), (1,)) for _ in range(30)]
    refused(tmp_path, archive_bytes(dump(tensors), {"0": bytes(2**22)}), "claims far more")


def test_parts_that_share_parts_nest_no_deeper(tmp_path: Path) -> None:
    # Each of three is 60 deep, but holds the one before it at its bottom.
    value: Any = None
    parts = []
    for _ in range(3):
        for _ in range(60):
            value = [value]
        parts.append(value)
    refused(tmp_path, pickle.dumps(parts), "nests far deeper")


def test_one_storage_under_two_types_is_refused(tmp_path: Path) -> None:
    storages = Stored("IntStorage", "0", 4), Stored("FloatStorage", "0", 4)
    tensors = [tensor_call(storage, (2,), (1,)) for storage in storages]
    refused(tmp_path, archive_bytes(dump(tensors), {"0": bytes(16)}), "gives the same numbers two types")


def test_a_flag_that_is_neither_true_nor_false_is_true(tmp_path: Path) -> None:
    code = dump(tensor_call(Stored("BoolStorage", "0", 3), (3,), (1,)))
    found = read(tmp_path, archive_bytes(code, {"0": b"\0\1\xff"}))
    assert found.view(torch.uint8).tolist() == [0, 1, 1]


@pytest.mark.parametrize("name", ["os; x", "a\x1b[31m", "x" * 1000, None, ["G"], ""])
def test_a_network_whose_name_is_no_name_is_refused(name: Any, tmp_path: Path) -> None:
    refused(tmp_path, dump(persistent_call(name, {})), "one of its networks has no name")


def test_one_storage_of_a_pickle_read_a_thousand_times_is_refused(tmp_path: Path) -> None:
    _, (data,), _ = storage_call(torch.zeros(2**20)).parts
    loads = [Call("torch.storage._load_from_bytes", data) for _ in range(30)]
    refused(tmp_path, dump(loads, 4), "claims far more")


@pytest.mark.parametrize("data", [b"no torch file", legacy_bytes({"a": 1}), legacy_bytes(torch.zeros(3))])
def test_a_storage_that_is_something_else_is_refused(data: bytes, tmp_path: Path) -> None:
    refused(
        tmp_path, dump(tensor_call(Call("torch.storage._load_from_bytes", data), (3,), (1,)), 4), "no numbers"
    )


def test_a_torch_file_in_a_torch_file_is_refused(tmp_path: Path) -> None:
    code = dump(storage_call(torch.zeros(3)))
    refused(tmp_path, archive_bytes(code, {}), "a torch file in a torch file")
    inner = Call("torch.storage._load_from_bytes", legacy_with(code))
    refused(tmp_path, dump(inner, 4), "a torch file in a torch file")


def array_call(kind: str, shape: Any, raw: Any) -> Call:
    dtype = Call("numpy.dtype", kind, False, True, state=(3, "<", None, None, None, -1, -1, 0))
    start = (Global("numpy.ndarray"), (0,), b"b")
    return Call("numpy.core.multiarray._reconstruct", *start, state=(1, shape, dtype, False, raw))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (array_call("O8", (1,), ["x"]), "'O8', which is no kind of number"),
        (array_call("V8", (1,), b"x" * 8), "'V8', which is no kind of number"),
        (array_call("f4", (CLAIM // 4,), b"x" * 8), "an array of .* has 8 bytes"),
        (array_call("f4", (2**32, 2**32), b"x" * 8), "an array of .* has 8 bytes"),
        (array_call("f4", (-1, -2), b"x" * 8), "impossible size"),
        (array_call("f4", (2,), [1.0, 2.0]), "make no sense"),
        (Call("numpy.core.multiarray.scalar", "f8", b"x" * 8), "no kind of number"),
        (Call("numpy.dtype", Call("numpy.dtype", "f4")), "no kind of number"),
    ],
)
def test_arrays_that_claim_or_hold_more_are_refused(value: Any, words: str, tmp_path: Path) -> None:
    for data in (dump(value, 4), archive_bytes(dump(value), {})):
        refused(tmp_path, data, words)


def test_a_compressed_archive_is_refused_unread(tmp_path: Path) -> None:
    code = dump(tensor_call(Stored("FloatStorage", "0", 2**22), (2**22,), (1,)))
    refused(tmp_path, archive_bytes(code, {"0": bytes(2**24)}, zipfile.ZIP_DEFLATED), "compressed")


def test_a_table_of_contents_larger_than_torchs_is_refused(tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for i in range(150):
            info = zipfile.ZipInfo(f"{i}")
            info.comment = b"x" * 65_000
            archive.writestr(info, b"")
    refused(tmp_path, file.getvalue(), "table of contents")


@pytest.mark.parametrize("name", ["../../evil", "not here"])
def test_storages_are_looked_for_in_the_archive_alone(name: str, tmp_path: Path) -> None:
    code = dump(tensor_call(Stored("FloatStorage", name, 4), (4,), (1,)))
    refused(tmp_path, archive_bytes(code, {"0": bytes(16)}), "it lacks its part")
