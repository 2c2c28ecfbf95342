import torch

from core.inversion.start import Start, chip_outputs, group_sizes, start_features
from core.network_config import StartConfig

from .conftest import World


def random_start() -> Start:
    start = Start(StartConfig(features=7, rank=2, coordinates=5))
    torch.manual_seed(0)
    for buffer in start.buffers():
        buffer.normal_()
    return start


def test_features_come_in_the_groups_that_are_told(world: World) -> None:
    crops = torch.rand(2, 3, 64, 64) * 2 - 1
    groups = group_sizes(world.face_network)

    features = start_features(crops, chip_outputs(world.face_network, crops))

    assert features.shape == (2, sum(groups))
    picture, *_ = features.split(groups, 1)
    torch.testing.assert_close(picture.view(2, 3, 24, 24).mean((2, 3)), crops.mean((2, 3)), atol=0.02, rtol=0)


def test_features_see_the_face_apart_from_the_rest(world: World) -> None:
    crops = torch.rand(1, 3, 64, 64)
    beside = crops.clone()
    beside[:, :, :4] = -1.0  # above what is looked at as the face
    groups = group_sizes(world.face_network)

    (_, *face), (_, *other) = (
        start_features(x, chip_outputs(world.face_network, x)).split(groups, 1) for x in (crops, beside)
    )

    same = [torch.allclose(a, b) for a, b in zip(face, other, strict=True)]
    assert same == [True] * 3 + [False] * 3


def test_it_is_a_linear_map() -> None:
    start, x = random_start(), torch.randn(3, 7)

    found = start(x)

    matrix = start.reduce.double() @ start.expand.double()
    expected = ((x - start.mean) / start.scale).double() @ matrix + start.bias
    torch.testing.assert_close(found, expected.float(), rtol=1e-3, atol=1e-3)
