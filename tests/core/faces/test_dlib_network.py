from pathlib import Path

import dlib
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage import data

from core.faces.alignment import find_faces, model_file
from core.faces.dlib_network import (
    DlibFaceNetwork,
    Unit,
    chip_grid,
    chips,
    file_lengths,
    folded_state,
)


@pytest.fixture(scope="module")
def network() -> DlibFaceNetwork:
    return DlibFaceNetwork.load(Path(model_file("dlib_face_recognition_resnet_model_v1.dat")))


@pytest.fixture(scope="module")
def astronaut() -> tuple[np.ndarray, np.ndarray]:
    photo = data.astronaut()
    return photo, find_faces(photo)[0].landmarks


def as_tensor(photo: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(photo.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1


def detection(landmarks: np.ndarray) -> dlib.full_object_detection:
    points = [dlib.point(int(x), int(y)) for x, y in np.rint(landmarks)]
    return dlib.full_object_detection(dlib.rectangle(0, 0, 511, 511), points)


def test_the_descriptor_is_dlibs(network: DlibFaceNetwork, astronaut) -> None:
    photo, landmarks = astronaut
    chip = dlib.get_face_chip(photo, detection(landmarks), 150, 0.25)
    model = dlib.face_recognition_model_v1(model_file("dlib_face_recognition_resnet_model_v1.dat"))

    for picture in (chip, np.ascontiguousarray(chip[:, ::-1]), np.random.default_rng(0).permutation(chip)):
        expected = np.array(model.compute_face_descriptor(picture))
        found, maps = network(as_tensor(picture))
        np.testing.assert_allclose(found[0], expected, atol=1e-5)
    assert [tuple(m.shape[1:]) for m in maps] == [
        (32, 35, 35),
        (64, 17, 17),
        (128, 8, 8),
        (256, 4, 4),
        (256, 2, 2),
    ]


def test_the_chip_is_dlibs(network: DlibFaceNetwork) -> None:
    """A smooth picture, so that how either resamples does not matter; turned and off the middle."""
    y, x = np.mgrid[:256, :256] / 256
    photo = np.stack([200 * x, 200 * y, 100 * x + 100 * y], 2).astype(np.uint8)
    shape = np.random.default_rng(0).normal(size=(68, 2)) * 3
    shape[17:] += mean_shape() * 95
    turned = shape @ np.array([[0.94, 0.34], [-0.34, 0.94]]) + (110, 60)

    found = chips(as_tensor(photo), chip_grid(turned, 256))

    expected = as_tensor(dlib.get_face_chip(photo, detection(turned), 150, 0.25))
    inside = slice(20, 130)
    assert float((found - expected)[:, :, inside, inside].abs().mean()) * 127.5 < 1.0


def mean_shape() -> np.ndarray:
    """Points 17 to 67 about where they are in a unit face."""
    random = np.random.default_rng(1)
    points = random.uniform(0.1, 0.9, (51, 2))
    points[19:25] = (0.25, 0.2)
    points[25:31] = (0.75, 0.2)
    points[31:] = (0.5, 0.8)
    points[:19] = (0.5, 0.45)
    return points


def test_a_unit_pads_the_smaller_with_zeros() -> None:
    torch.manual_seed(0)
    unit = Unit(2, 3, down=True)
    x = torch.randn(1, 2, 8, 8)  # convolution: 3x3, average: 4x4

    y = F.conv2d(
        F.relu(F.conv2d(x, unit.conv1.weight, unit.conv1.bias, 2)), unit.conv2.weight, None, padding=1
    )
    y = y + unit.conv2.bias[:, None, None]
    expected = torch.zeros(1, 3, 4, 4)
    expected[:, :, :3, :3] += y
    expected[:, :2] += (x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]) / 4

    torch.testing.assert_close(unit(x), expected.clamp(min=0))


def test_affine_layers_are_folded_in() -> None:
    torch.manual_seed(0)
    tiny = DlibFaceNetwork(2, ((2, 1, False),), 3)
    tensors = [
        np.random.default_rng(i).normal(size=n).astype(np.float32) for i, n in enumerate(file_lengths(tiny))
    ]
    tiny.load_state_dict(folded_state(tiny, tensors))
    chip = torch.rand(1, 3, 33, 33) * 2 - 1

    found, _ = tiny(chip)

    x = (chip * 127.5 + 127.5 - torch.tensor([122.782, 117.001, 104.298]).view(1, 3, 1, 1)) / 256

    def affine(x: torch.Tensor, i: int, k: int, **how: int) -> torch.Tensor:
        filters, both = torch.from_numpy(tensors[2 * i]), torch.from_numpy(tensors[2 * i + 1])
        y = F.conv2d(x, filters[:-2].view(2, -1, k, k), filters[-2:], **how)
        return y * both[:2].view(1, 2, 1, 1) + both[2:].view(1, 2, 1, 1)

    x = F.max_pool2d(F.relu(affine(x, 0, 7, stride=2)), 3, 2)
    x = F.relu(x + affine(F.relu(affine(x, 1, 3, padding=1)), 2, 3, padding=1))
    expected = x.mean((2, 3)) @ torch.from_numpy(tensors[-1]).view(2, 3)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_gradients_reach_the_picture(network: DlibFaceNetwork, astronaut) -> None:
    photo, landmarks = astronaut
    picture = as_tensor(photo).requires_grad_()

    descriptor, _ = network(chips(picture, chip_grid(landmarks, 512)))
    descriptor.square().sum().backward()

    assert float(picture.grad.abs().sum()) > 0
    below = int(landmarks[:, 1].max()) + 60
    assert float(picture.grad[:, :, below:].abs().sum()) == 0, "only the chip is looked at"
