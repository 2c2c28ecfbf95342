"""One pass of the iterative inverter: what it compares, and what it knows of the codes."""

import pytest
import torch
from torch import Tensor

from core.models.iterative_inverter import DESCRIPTORS, IterativeInverter, Seen
from core.network_config import IterativeInverterConfig

CODES, WIDTH, SIDE = 5, 16, 64
CONFIG = IterativeInverterConfig(
    CODES, WIDTH, width=8, heads=2, feedforward=12, dense=6, input_resolution=SIDE
)


@pytest.fixture
def inverter() -> IterativeInverter:
    """Trained, as it were: no layer is zero."""
    torch.manual_seed(0)
    network = IterativeInverter(CONFIG)
    for last in (network.spread, network.out):
        torch.nn.init.normal_(last.weight, std=0.3)
    return network.eval().requires_grad_(False)


def seen(inverter: IterativeInverter, seed: int, count: int = 2) -> Seen:
    random = torch.Generator().manual_seed(seed)
    pictures = torch.rand(count, 3, SIDE, SIDE, generator=random) * 2 - 1
    return inverter.look(pictures, torch.randn(count, DESCRIPTORS, generator=random) * 0.1)


def added(inverter: IterativeInverter, photo: Seen, picture: Seen, v: Tensor) -> Tensor:
    return inverter(photo, picture, v) - v


def test_untrained_it_adds_nothing() -> None:
    torch.manual_seed(1)
    fresh = IterativeInverter(CONFIG).eval()
    v = torch.randn(2, CODES, WIDTH)
    assert torch.equal(fresh(seen(fresh, 0), seen(fresh, 1), v), v)


def test_photo_picture_and_code_all_tell(inverter: IterativeInverter) -> None:
    v = torch.randn(2, CODES, WIDTH)
    photo, picture = seen(inverter, 0), seen(inverter, 1)
    first = added(inverter, photo, picture, v)

    assert first.shape == (2, CODES, WIDTH)
    for other in (
        added(inverter, seen(inverter, 2), picture, v),
        added(inverter, photo, seen(inverter, 2), v),
        added(inverter, photo, picture, v + 1),
        added(inverter, photo._replace(descriptors=photo.descriptors + 1), picture, v),
    ):
        assert float((other - first).abs().max()) > 1e-3


def test_each_face_is_its_own(inverter: IterativeInverter) -> None:
    v = torch.randn(2, CODES, WIDTH)
    photo, picture = seen(inverter, 0), seen(inverter, 1)

    both = inverter(photo, picture, v)

    for i in range(2):
        rows = slice(i, i + 1)
        one, other = (Seen(tuple(m[rows] for m in x.maps), x.descriptors[rows]) for x in (photo, picture))
        torch.testing.assert_close(inverter(one, other, v[rows])[0], both[i], rtol=1e-4, atol=1e-5)


def test_queries_keep_apart_through_the_layers(inverter: IterativeInverter) -> None:
    """Of equal codes and without the dense part, only the places tell the queries apart; they suffice."""
    torch.nn.init.zeros_(inverter.spread.weight)
    out = added(inverter, seen(inverter, 0), seen(inverter, 1), torch.zeros(2, CODES, WIDTH))
    assert float((out[:, 1:] - out[:, :1]).abs().amax((0, 2)).min()) > 0.01

    inverter.codes.zero_()
    out = added(inverter, seen(inverter, 0), seen(inverter, 1), torch.zeros(2, CODES, WIDTH))
    torch.testing.assert_close(out[:, 1:], out[:, :1].expand(-1, CODES - 1, -1))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"width": 9}, "Query width 9 must be divisible by num_heads 2"),
        ({"input_resolution": 40}, "n x 32 px"),
        ({"input_resolution": 0}, "n x 32 px"),
        ({"passes": 0}, "one pass or more"),
        ({"dense": 0}, "dense width of 1"),
    ],
)
def test_nonsense_is_one_sentence(change: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        IterativeInverterConfig(**{**vars(CONFIG), **change})
