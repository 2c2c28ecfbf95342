"""core.inversion.bundled: a bundle whose parts do not go with each other is refused in one sentence."""

import dataclasses

import pytest
import torch

from core.checkpoints import Bundle
from core.config import FFHQ_TEMPLATE, BundleConfig, MobileConfig
from core.errors import BadCheckpoint
from core.generators.registry import build_generator
from core.inversion import bundled
from core.inversion.bundled import descents_of
from core.inversion.descents import Descents
from core.inversion.gradient_basis import GradientBasis
from core.inversion.start import Start, chip_outputs, group_sizes, start_features
from core.models.iterative_inverter import IterativeInverter
from core.network_config import GradientBasisConfig, IterativeInverterConfig, StartConfig

from .conftest import World

SIDE, COORDINATES = 32, 10


@pytest.fixture
def bundle(world: World, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """Opens photos by descent, through its pictures of SIDE px; dlib's network is the world's."""
    monkeypatch.setattr(bundled, "SIZE", SIDE)
    monkeypatch.setattr(bundled.DlibFaceNetwork, "load", lambda path: world.face_network)
    generator = build_generator(MobileConfig(64, (8, 8, 8, 4), w_dim=COORDINATES, z_dim=7))
    start = Start(StartConfig(sum(group_sizes(world.face_network)), 2, COORDINATES))
    config = BundleConfig(
        name="mobile",
        title="Mobile",
        version="1",
        generator=generator.config,
        inverter=None,
        classifier=None,
        template=FFHQ_TEMPLATE,
        attributes=(),
        start=start.config,
        lpips=world.lpips.channels,
    )
    return Bundle.of(config, generator, start=start, lpips=world.lpips)


def small_inverter(**change: int) -> IterativeInverter:
    codes = MobileConfig(64, (8, 8, 8, 4), w_dim=COORDINATES, z_dim=7).num_codes
    sizes = {"w_dim": COORDINATES, "input_resolution": SIDE, "width": 8, "heads": 2, "feedforward": 8}
    return IterativeInverter(IterativeInverterConfig(codes, **{**sizes, "dense": 4, **change}))


def test_parts_that_go_together_make_descents(bundle: Bundle, world: World) -> None:
    made = descents_of(bundle, torch.float32)
    assert isinstance(made, Descents)
    assert (made.start, made.face_network, made.lpips) == (bundle.start, world.face_network, world.lpips)
    assert made.synthesis(bundle.generator.w_mean[None]).shape == (1, 3, SIDE, SIDE)
    assert made.free == bundle.generator.layout.num_codes  # no preview
    assert descents_of(dataclasses.replace(bundle, start=None), torch.float32) is None


def test_an_iterative_inverter_says_where_descent_begins(bundle: Bundle) -> None:
    inverter = small_inverter()
    config = dataclasses.replace(bundle.config, iterative_inverter=inverter.config)
    both = dataclasses.replace(bundle, config=config, iterative_inverter=inverter)

    for other in (both, dataclasses.replace(both, start=None)):
        made = descents_of(other, torch.float32)
        assert made is not None
        assert made.passes is not None
        assert made.passes.inverter is inverter
        photo = torch.zeros(1, 3, SIDE, SIDE)
        _, begun = made.passes.begin(photo)
        if other.start is None:
            assert not begun.any()
        else:
            features = start_features(photo, chip_outputs(made.face_network, photo))
            torch.testing.assert_close(begun[:, -1], other.start(features))


@pytest.mark.parametrize("change", [{"input_resolution": 2 * SIDE}, {"w_dim": COORDINATES + 1}])
def test_an_iterative_inverter_of_other_pictures_or_coordinates(
    bundle: Bundle, change: dict[str, int]
) -> None:
    inverter = small_inverter(**change)
    with pytest.raises(BadCheckpoint, match=r"sees \d+ px and gives \d+ coordinates, not 32 px and 10\."):
        descents_of(dataclasses.replace(bundle, iterative_inverter=inverter), torch.float32)


def test_steps_take_the_directions_of_the_bundle(bundle: Bundle) -> None:
    groups = 1 + bundle.generator.layout.num_codes
    basis = GradientBasis(GradientBasisConfig(groups, COORDINATES, 4))
    made = descents_of(dataclasses.replace(bundle, gradient_basis=basis), torch.float32)
    assert made is not None
    assert made.basis is basis


@pytest.mark.parametrize(("groups", "coordinates"), [(1, 0), (-1, 0), (0, 1), (0, -1)])
def test_directions_of_other_codes_or_coordinates(bundle: Bundle, groups: int, coordinates: int) -> None:
    config = GradientBasisConfig(1 + bundle.generator.layout.num_codes + groups, COORDINATES + coordinates, 4)
    with pytest.raises(BadCheckpoint, match=r"has \d+ groups of \d+ coordinates, not 9 of 10\."):
        descents_of(dataclasses.replace(bundle, gradient_basis=GradientBasis(config)), torch.float32)


def test_without_lpips_or_pictures_of_its_size_there_are_none(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadCheckpoint, match="takes LPIPS and pictures of 32 px"):
        descents_of(dataclasses.replace(bundle, lpips=None), torch.float32)
    monkeypatch.setattr(bundled, "SIZE", 48)
    with pytest.raises(BadCheckpoint, match="pictures of 48 px"):
        descents_of(bundle, torch.float32)


@pytest.mark.parametrize(("features", "coordinates"), [(1, 0), (-1, 0), (0, 1), (0, -1)])
def test_a_start_of_other_features_or_coordinates_is_one_sentence(
    bundle: Bundle, features: int, coordinates: int
) -> None:
    own = bundle.start.config
    other = StartConfig(own.features + features, own.rank, own.coordinates + coordinates)
    with pytest.raises(BadCheckpoint, match=r"makes \d+ coordinates of \d+ features, not 10 of \d+\."):
        descents_of(dataclasses.replace(bundle, start=Start(other)), torch.float32)
