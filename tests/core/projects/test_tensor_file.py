"""Tensors of a project: bit for bit what they were, and no surprise from a stranger's file."""

import numpy as np
import pytest
import safetensors.torch
import torch

from core.errors import BadProject
from core.generators.residual import LowRank, WeightShift
from core.projects.tensor_file import MAX_MAGNITUDE, TensorFile, convolutions, pack_tensors


@pytest.fixture
def low_rank() -> LowRank:
    batch = torch.randn(2, 4, 8)  # views of one memory
    return LowRank((None, (batch[0], torch.randn(4, 6)), (batch[1], torch.randn(6, 4).T)))


@pytest.fixture
def shift() -> WeightShift:
    kernel = torch.randn(4, 6, 3, 3).half()
    return WeightShift((kernel, kernel.to(memory_format=torch.channels_last) * 2))


def test_types_and_bits_stay(low_rank: LowRank, shift: WeightShift) -> None:
    code = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    data = pack_tensors({"w": code}, {"fast": low_rank, "best": shift})
    file = TensorFile(data)
    assert np.array_equal(file.array("w", 2), code)
    fast, best = file.residual("fast", convolutions(low_rank)), file.residual("best", convolutions(shift))
    file.finish()
    assert isinstance(fast, LowRank)
    assert isinstance(best, WeightShift)
    assert fast.tokens[0] is None
    for found, wanted in zip(fast.tokens[1:], low_rank.tokens[1:], strict=True):
        assert all(map(torch.equal, found, wanted))
    assert [t.dtype for t in best.shifts] == [torch.float16] * 2
    assert all(map(torch.equal, best.shifts, shift.shifts))
    pairs = [pair for pair in fast.tokens if pair is not None]
    assert all(t.data_ptr() % 64 == 0 for t in (*best.shifts, *pairs[0], *pairs[1]))  # as torch's own
    assert pack_tensors({"w": code}, {"best": best, "fast": fast}) == data


def saved(**tensors: torch.Tensor) -> TensorFile:
    return TensorFile(safetensors.torch.save(tensors))


@pytest.mark.parametrize("data", [b"", b"\xff" * 100, b"\x02\0\0\0\0\0\0\0[]", pack_tensors({}, {})[:-1]])
def test_no_safetensors_is_one_sentence(data: bytes) -> None:
    with pytest.raises(BadProject, match=r"tensors cannot be read\.$"):
        TensorFile(data)


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (torch.zeros(3), "2 axes"),
        (torch.zeros(3, 0), "2 axes"),
        (torch.zeros(3, 2, dtype=torch.int64), "2 axes"),
        (torch.zeros(3, 2, dtype=torch.complex64), "2 axes"),
        (torch.zeros(3, 2, dtype=torch.float16), "no float32"),
        (torch.full((3, 2), float("nan")), "no model makes"),
        (torch.full((3, 2), -float("inf")), "no model makes"),
        (torch.full((3, 2), MAX_MAGNITUDE), "no model makes"),
    ],
)
def test_an_array_of_another_kind_is_refused(tensor: torch.Tensor, words: str) -> None:
    with pytest.raises(BadProject, match=words):
        saved(w=tensor).array("w", 2)


def test_what_is_missing_or_left_over_is_refused() -> None:
    with pytest.raises(BadProject, match="lacks the tensor w"):
        saved(v=torch.zeros(1)).array("w", 2)
    with pytest.raises(BadProject, match=r"no project has \('v'\)"):
        saved(v=torch.zeros(1)).finish()


def test_half_a_residual_is_refused() -> None:
    p, q = torch.zeros(4, 8), torch.zeros(3, 6)
    with pytest.raises(BadProject, match="do not belong together"):
        saved(**{"fast.0.p": p, "fast.0.q": q}).residual("fast", 1)
    with pytest.raises(BadProject, match=r"lacks the tensor fast.0.q"):
        saved(**{"fast.0.p": p}).residual("fast", 1)
    with pytest.raises(BadProject, match=r"lacks the tensor best.1"):
        saved(**{"best.0": torch.zeros(1, 1, 3, 3)}).residual("best", 2)
