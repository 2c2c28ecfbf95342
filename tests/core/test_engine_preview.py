"""Smaller pictures of a portrait, for a model that makes them: the same edits, of fewer pixels."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from descending import Beginner

from core import opening
from core.checkpoints import Bundle
from core.config import FFHQ_TEMPLATE, AttributeConfig, BundleConfig, MobileConfig
from core.engine import Engine
from core.generators.mobile.network import MobileGenerator
from core.images import to_array, to_tensor
from core.session import EditRequest, Portrait, View

SMILE = EditRequest({"smile": 2.0})


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """64 px, with a preview of 16, and one slider."""
    generator = MobileConfig(64, (12, 8, 8, 4), w_dim=10, z_dim=7, mapping_layers=2, previews=(16,))
    config = BundleConfig(
        name="small", title="Small", version="1", generator=generator, inverter=None, classifier=None,
        template=FFHQ_TEMPLATE, attributes=(AttributeConfig("smile", "Smile"),), directions=("smile",),
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(2)
        network = MobileGenerator(generator).eval().requires_grad_(False)
        for tensor in (*network.parameters(), network.w_mean):
            tensor.copy_(0.5 * torch.randn_like(tensor))
        return Bundle.of(config, network, directions=torch.randn(1, *network.w_mean.shape))


@pytest.fixture(scope="module")
def engine(bundle: Bundle) -> Iterator[Engine]:
    engine = Engine(bundle, descent=Beginner(bundle.generator))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def portrait(engine: Engine, photo: np.ndarray) -> Portrait:
    return engine.open_portrait(photo, seconds=0)


@pytest.fixture
def preview(engine: Engine, portrait: Portrait, monkeypatch: pytest.MonkeyPatch) -> Portrait:
    monkeypatch.setattr(opening, "PREVIEW_SIDE", 16)
    return engine.preview(portrait)


def test_a_preview_is_the_same_face_of_fewer_pixels(portrait: Portrait, preview: Portrait) -> None:
    assert preview.crop.shape == preview.inversion.shape == (16, 16, 3)
    assert preview.mask.shape == (16, 16)
    assert preview.w_plus is portrait.w_plus
    assert preview.identity is portrait.identity
    small = F.avg_pool2d(to_tensor(portrait.crop), 4)
    assert (to_tensor(preview.crop) - small).abs().max() < 0.01
    np.testing.assert_allclose((preview.landmarks + 0.5) * 4, portrait.landmarks + 0.5, atol=1e-3)


def test_its_edits_are_the_generators_smaller_pictures(
    engine: Engine, portrait: Portrait, preview: Portrait, bundle: Bundle
) -> None:
    w = portrait.w_plus + 2.0 * portrait.directions["first"][0]
    found = engine.edit(preview, SMILE)
    assert np.array_equal(found, to_array(engine.renderer.render(w[None], size=16))[0])
    assert not np.array_equal(found, preview.inversion)
    for start in ("photo", "inversion"):
        assert engine.edit(preview, SMILE.seen(start=start, output="photo")).shape == portrait.photo.shape
        assert engine.edit(preview, SMILE.seen(start=start)).shape == (16, 16, 3)
    untouched = EditRequest(view=View("photo", "photo"))
    assert np.array_equal(engine.edit(preview, untouched), portrait.photo)


def test_the_smallest_picture_that_is_large_enough(
    engine: Engine, portrait: Portrait, monkeypatch: pytest.MonkeyPatch
) -> None:
    for least, size in ((1, 16), (17, 32), (33, 64)):
        monkeypatch.setattr(opening, "PREVIEW_SIDE", least)
        assert len(engine.preview(portrait).crop) == size
    assert engine.preview(portrait) is portrait  # 64 px are its own


def test_a_model_of_one_size_has_none(tiny_engine: Engine, photo: np.ndarray) -> None:
    portrait = tiny_engine.open_portrait(photo)
    assert tiny_engine.preview(portrait) is portrait


def test_a_face_of_this_model_improves_too(engine: Engine, portrait: Portrait) -> None:
    engine._precedence._quiet = 0.0
    better = engine.improve(portrait, 1e6)

    def error(one: Portrait) -> float:
        return float((one.rendered - to_tensor(one.crop)).square().mean())

    assert error(better) < error(portrait)
    assert dataclasses.replace(portrait).identity is better.identity
