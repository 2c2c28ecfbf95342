"""OpenVINO files, as honest and as hostile ones are."""

import numpy as np
import pytest
import torch

from core.generators.mobile.ir import MAX_XML, constants, tensors

HEAD = '<?xml version="1.0" ?>\n<net name="N" version="10"><layers>'
TAIL = "</layers><edges/></net>"


def layer(
    name: str, shape: str, offset: object, size: object, kind: str = "f32", type_: str = "Const"
) -> str:
    data = f'<data element_type="{kind}" shape="{shape}" offset="{offset}" size="{size}"/>'
    port = '<output><port id="0" precision="FP32"><dim>1</dim></port></output>'
    return f'<layer id="0" name="{name}" type="{type_}" version="opset1">{data}{port}</layer>'


def net(*layers: str) -> bytes:
    return (HEAD + "".join(layers) + TAIL).encode()


def test_constants_are_read_by_name_in_their_order() -> None:
    values = np.arange(10, dtype="<f4")
    xml = net(
        layer("b", "2, 3", 12, 24),
        layer("parameter", "1", 0, 4, type_="Parameter"),
        layer("axes", "1", 0, 8, kind="i64"),
        layer("a", "3", 0, 12),
        layer("scalar", "", 36, 4),
    )
    found = constants(xml)
    assert [c.name for c in found] == ["b", "a", "scalar"]
    b, a, scalar = tensors(found, bytearray(values.tobytes()))
    assert torch.equal(b, torch.tensor([[3.0, 4, 5], [6, 7, 8]]))
    assert torch.equal(a, torch.tensor([0.0, 1, 2]))
    assert scalar.shape == ()
    assert scalar == 9


BOMB = '<!DOCTYPE net [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
FILE = '<!DOCTYPE net [<!ENTITY f SYSTEM "file:///etc/hostname">]>'


@pytest.mark.parametrize("declared", [BOMB, FILE, '<!DOCTYPE net SYSTEM "http://localhost/net.dtd">'])
def test_entities_are_refused_before_they_are_read(declared: str) -> None:
    for name in ("x", "&b;", "&f;"):
        xml = f'<?xml version="1.0"?>{declared}<net><layers>{layer(name, "1", 0, 4)}{TAIL}'.encode()
        with pytest.raises(ValueError, match="document type"):
            constants(xml)


@pytest.mark.parametrize(
    ("xml", "says"),
    [
        (b"", "cannot be read"),
        (net(layer("x", "1", 0, 4))[:-9], "cannot be read"),
        (b"\x80\x04nonsense", "cannot be read"),
        (net(layer("x", "2, 3", 0, 20)), "cannot have 20 bytes"),
        (net(layer("x", "2, -3", 0, -24)), "impossible"),
        (net(layer("x", "0", 0, 0)), "impossible"),
        (net(layer("x", ", ".join("1" * 9), 0, 4)), "impossible"),
        (net(layer("x", "1", -4, 4)), "impossible"),
        (net(layer("x", "1", 2, 4)), "impossible"),
        (net(layer("x", "1", "1e9", 4)), "no readable"),
        (net(layer("x", "one", 0, 4)), "no readable"),
        (net(layer("x", "1", "", 4)), "no readable"),
        (net('<layer name="x" type="Const"><data element_type="f32"/></layer>'), "no readable"),
        (b" " * (MAX_XML + 1), "more than"),
    ],
)
def test_what_is_no_ir_is_refused(xml: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        constants(xml)


def test_too_many_layers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.generators.mobile.ir.MAX_LAYERS", 3)
    assert len(constants(net(*[layer("x", "1", 0, 4)] * 3))) == 3
    with pytest.raises(ValueError, match="more than 3 layers"):
        constants(net(*[layer("x", "1", 0, 4)] * 4))


def test_a_constant_beyond_the_end_is_refused() -> None:
    found = constants(net(layer("x", "2", 4, 8)))
    assert tensors(found, bytearray(12))[0].shape == (2,)
    for raw in (bytearray(11), bytearray()):
        with pytest.raises(ValueError, match="beyond the end"):
            tensors(found, raw)
    huge = constants(net(layer("x", "1000000, 1000000", 0, 4 * 10**12)))
    with pytest.raises(ValueError, match="beyond the end"):
        tensors(huge, bytearray(12))
