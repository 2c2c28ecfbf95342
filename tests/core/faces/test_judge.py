"""core.faces.judge: its network against a plain one, its alignment, and whose landmarks it uses."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from core.errors import BadCheckpoint
from core.faces.alignment import find_faces
from core.faces.judge import (
    BOTTLENECKS,
    FIVE_POINTS,
    INPUT_SIZE,
    IdentityJudge,
    MobileFaceNet,
    align,
    five_points,
    landmarks_anew,
    sampling_grids,
)


def random_network() -> MobileFaceNet:
    """Random weights, and the statistics of random pictures: without them all embeddings would be one."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        network = MobileFaceNet()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
                module.bias.uniform_(-0.3, 0.3)
            elif isinstance(module, nn.PReLU):
                module.weight.uniform_(-0.3, 0.3)
        blurred = F.interpolate(torch.rand(8, 3, 7, 6), size=INPUT_SIZE, mode="bilinear")
        network.train()(blurred * 2 - 1)
    return network.eval()


@pytest.fixture(scope="module")
def judge() -> IdentityJudge:
    return IdentityJudge(random_network())


def plain(state: dict[str, Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """The published layout by functions and the weights' names alone: the last map, and the embedding."""

    def conv(x: Tensor, weight: str, bn: str, slope: str | None, stride=1, padding=0, groups=1) -> Tensor:
        x = F.conv2d(x, state[weight], None, stride, padding, groups=groups)
        mean, var = state[f"{bn}.running_mean"], state[f"{bn}.running_var"]
        scale = state[f"{bn}.weight"] / (var + 1e-5).sqrt()
        x = (x - mean[:, None, None]) * scale[:, None, None] + state[f"{bn}.bias"][:, None, None]
        return x if slope is None else torch.where(x > 0, x, x * state[slope][:, None, None])

    def named(x: Tensor, name: str, act=True, **how) -> Tensor:
        return conv(x, f"{name}.conv.weight", f"{name}.bn", f"{name}.prelu.weight" if act else None, **how)

    x = named(x, "conv1", stride=2, padding=1)
    x = named(x, "dw_conv1", padding=1, groups=64)
    index, inputs = 0, 64
    for t, channels, units, first_stride in BOTTLENECKS:
        for unit in range(units):
            stride = first_stride if unit == 0 else 1
            at = f"blocks.{index}.conv"
            y = conv(x, f"{at}.0.weight", f"{at}.1", f"{at}.2.weight")
            y = conv(y, f"{at}.3.weight", f"{at}.4", f"{at}.5.weight", stride, 1, inputs * t)
            y = conv(y, f"{at}.6.weight", f"{at}.7", None)
            x = x + y if stride == 1 and inputs == channels else y
            index, inputs = index + 1, channels
    last = named(x, "conv2")
    x = named(last, "linear7", act=False, groups=512)
    x = named(x, "linear1", act=False).flatten(1)
    return last, x / x.square().sum(1, keepdim=True).sqrt()


def test_network_is_the_published_layout() -> None:
    network = random_network().double()
    torch.manual_seed(1)
    x = torch.rand(2, 3, *INPUT_SIZE, dtype=torch.float64) * 2 - 1
    with torch.no_grad():
        embedding, pooled = network.pooled(x)
        last, wanted = plain(network.state_dict(), x)
        torch.testing.assert_close(network(x), wanted)
    assert last.shape == (2, 512, 7, 6)
    torch.testing.assert_close(embedding, wanted)
    torch.testing.assert_close(pooled, last.flatten(2).sum(2) / 42)
    # 0.9996 M without the counts of batches, which are no weights.
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 4) == 0.9996


def test_sampling_grid_brings_the_five_points_home() -> None:
    points = np.random.default_rng(0).uniform(30, 98, (68, 2))
    angle = 0.2
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    # An exact similarity of the wanted points must be undone exactly.
    moved = FIVE_POINTS @ turn.T * 0.9 + (20, 5)
    points[36:42], points[42:48], points[30], points[48], points[54] = moved
    theta = sampling_grids(points[None].astype(np.float32), 128)
    # A picture whose channels hold its own pixel coordinates.
    y, x = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
    warped = align(torch.stack([x, y, x])[None], torch.from_numpy(theta))
    assert warped.shape[2:] == INPUT_SIZE
    for (u, v), (px, py) in zip(FIVE_POINTS, five_points(points[None])[0], strict=True):
        found = warped[0, :2, round(v), round(u)].numpy()
        wanted = np.array([px, py]) + (turn * 0.9) @ (round(u) - u, round(v) - v)
        np.testing.assert_allclose(found, wanted, atol=0.05)


def test_embeddings_are_the_networks_of_each_aligned_picture(judge: IdentityJudge) -> None:
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (34, 32, 32, 3), dtype=np.uint8)  # more than one batch
    landmarks = random.uniform(4, 28, (34, 68, 2)).astype(np.float32)
    found = judge.embeddings(pictures, landmarks)
    assert found.shape == (34, 128)
    image = torch.from_numpy(pictures[33:]).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        wanted = judge.network(align(image, torch.from_numpy(sampling_grids(landmarks[33:], 32))))
    np.testing.assert_allclose(found[33:], wanted.numpy(), atol=1e-5)


def test_a_large_picture_is_judged_as_its_area_mean(judge: IdentityJudge) -> None:
    random = np.random.default_rng(0)
    small = random.integers(0, 256, (256, 256, 3), dtype=np.uint8)
    points = random.uniform(60, 190, (68, 2))
    large = cv2.resize(small, (1024, 1024), interpolation=cv2.INTER_NEAREST)  # its area mean is `small`
    a, b = (judge.embeddings(p[None], at[None]) for p, at in ((small, points), (large, points * 4 + 1.5)))
    np.testing.assert_allclose(a, b, atol=1e-5)
    assert judge.cosine(small, large, points) == pytest.approx(1, abs=1e-5)


def test_the_photos_landmarks_are_used_for_both_unless_the_head_was_turned(
    judge: IdentityJudge, photo: np.ndarray
) -> None:
    face = np.ascontiguousarray(photo[20:276, 96:352])
    landmarks = find_faces(face)[0].landmarks
    moved = np.roll(face, 12, axis=1)  # the face elsewhere, as a turned head's points are
    same = judge.embeddings(np.stack([face, moved]), np.stack([landmarks, landmarks]))
    assert judge.cosine(face, moved, landmarks) == pytest.approx(float(same[0] @ same[1]), abs=1e-5)
    anew = landmarks_anew(moved, landmarks)
    assert np.abs(anew - landmarks - (12, 0)).mean() < 3
    found = judge.embeddings(np.stack([face, moved]), np.stack([landmarks, anew]))
    assert judge.cosine(face, moved, landmarks, turned=True) == pytest.approx(
        float(found[0] @ found[1]), abs=1e-5
    )
    assert judge.cosine(face, moved, landmarks, turned=True) > judge.cosine(face, moved, landmarks) + 0.05


def test_weights_are_loaded_as_they_are(tmp_path: Path) -> None:
    network = random_network()
    save_file(network.state_dict(), tmp_path / "judge.safetensors")
    judge = IdentityJudge.load(tmp_path / "judge.safetensors")
    assert not judge.network.training
    for name, value in judge.network.state_dict().items():
        assert torch.equal(value, network.state_dict()[name])


@pytest.mark.parametrize("kind", ["missing", "no safetensors", "a name too few", "a name too many", "shape"])
def test_another_file_is_one_sentence(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "judge.safetensors"
    save_file(MobileFaceNet().state_dict(), path)
    state = load_file(path)
    if kind == "missing":
        path.unlink()
    elif kind == "no safetensors":
        path.write_bytes(b"not at all")
    else:
        if kind == "a name too few":
            state.pop("conv2.bn.bias")
        elif kind == "a name too many":
            state["more"] = torch.zeros(1)
        else:
            state["conv2.bn.bias"] = torch.zeros(3)
        save_file(state, path)
    with pytest.raises(BadCheckpoint) as caught:
        IdentityJudge.load(path)
    message = str(caught.value)
    assert "judge" in message
    assert message.endswith(".")
    assert "\n" not in message
