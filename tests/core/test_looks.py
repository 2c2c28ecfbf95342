"""Looks: a model's own, and files that strangers wrote."""

import dataclasses
import json

import pytest

from core.checkpoints import DEFAULT_BUNDLE, find_bundle, read_config
from core.config import BundleConfig, LookConfig
from core.errors import BadLook
from core.looks import MAX_BYTES, find_look, looks_of, read_look, write_look

LOOK = LookConfig("Fröhlich", {"smile": 1.25, "young": -1})


@pytest.fixture
def config(tiny_config: BundleConfig) -> BundleConfig:
    looks = (LookConfig("Big smile", {"smile": 2}, "Mood"), LookConfig("In a hat", {"hat": 2, "smile": 1}))
    return dataclasses.replace(tiny_config, looks=looks)


def test_a_look_is_read_as_it_was_written() -> None:
    text = write_look(LOOK)
    assert json.loads(text) == {
        "visagist": "look", "format": 1, "name": "Fröhlich", "sliders": {"smile": 1.25, "young": -1},
    }  # fmt: skip
    assert read_look(text.encode()) == LOOK
    assert read_look(b"\xef\xbb\xbf" + text.encode()) == LOOK  # as some editors save it


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"visagist": "project"}, "another kind"),
        ({"format": 2}, "later version"),
        ({"format": True}, "later version"),
        ({"name": ""}, "has a name"),
        ({"name": "\x1b[2J"}, "name"),
        ({"name": "x" * 41}, "40 letters"),
        ({"name": 3}, "name"),
        ({"sliders": {}}, "no slider"),
        ({"sliders": {"smile": 0}}, "no slider"),
        ({"sliders": {"smile": 3.01}}, "from -3 to 3"),
        ({"sliders": {"smile": True}}, "smile"),
        ({"sliders": {"smile": "1"}}, "smile"),
        ({"sliders": {"smile": 1e300}}, "smile"),
        ({"sliders": {"a\nb": 1}}, "name"),
        ({"sliders": {"x" * 81: 1}}, "name"),
        ({"sliders": [1]}, "sliders"),
        ({"more": 1}, "entries"),
    ],
)
def test_what_is_no_look_is_one_sentence(change: dict[str, object], reason: str) -> None:
    text = json.dumps({**json.loads(write_look(LOOK)), **change})
    with pytest.raises(BadLook, match=reason) as caught:
        read_look(text.encode())
    message = str(caught.value)
    assert message.startswith("This is no look that Visagist can read: ")
    assert message.endswith(".")
    assert message.isprintable()


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"null", b"{", b"\xff\xfe", b"[" * MAX_BYTES, b'{"sliders": NaN}', b" " * (MAX_BYTES + 1),
        b'{"visagist": "look", "format": 1, "name": "n", "sliders": {"smile": Infinity}}',
        b'{"visagist": "look", "format": ' + b"9" * 10000 + b', "name": "n", "sliders": {"smile": 1}}',
    ],
)  # fmt: skip
def test_what_is_no_json_is_one_sentence(data: bytes) -> None:
    with pytest.raises(BadLook):
        read_look(data)


def test_a_model_offers_the_looks_whose_sliders_it_has(config: BundleConfig) -> None:
    assert [look.name for look in looks_of(config)] == ["Big smile"]
    for word in ("Big smile", "big-smile", "BIG_SMILE ", "big  smile"):
        assert find_look(config, word) == config.looks[0]
    assert find_look(config, "in a hat") is None
    assert find_look(config, "smile") is None


def test_a_description_keeps_its_looks(config: BundleConfig) -> None:
    written = json.loads(json.dumps(config.to_dict()))
    assert BundleConfig.from_dict(written) == config
    written["looks"][0]["sliders"]["smile"] = 4
    with pytest.raises(ValueError, match="from -3 to 3"):
        BundleConfig.from_dict(written)
    del written["looks"]  # as models were described before there were any
    assert BundleConfig.from_dict(written).looks == ()


def test_the_built_in_model_can_show_all_of_its_looks() -> None:
    config = read_config(find_bundle(DEFAULT_BUNDLE))
    assert len(config.looks) >= 12
    assert looks_of(config) == config.looks
    assert len({look.name for look in config.looks}) == len(config.looks)
    steps = [value / 0.05 for look in config.looks for value in look.sliders.values()]
    assert max(abs(step - round(step)) for step in steps) < 1e-6  # where a slider can stand
