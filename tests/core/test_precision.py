import pytest
import torch

from core.errors import BadRequest
from core.precision import VARIABLE, compute_dtype, gradient_dtype, layer_dtype

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def unforced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.mark.parametrize("feature", ["avx512_bf16", "amx_bf16", "bf16"])
def test_bfloat16_only_where_the_processor_has_it(feature: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {feature: True})
    assert compute_dtype(CPU) == torch.bfloat16
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {feature: False, "avx2": True})
    assert compute_dtype(CPU) == torch.float32
    assert compute_dtype(CUDA) == torch.float16


def test_the_environment_can_force_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    monkeypatch.setenv(VARIABLE, "float32")
    assert compute_dtype(CPU) == compute_dtype(CUDA) == torch.float32
    monkeypatch.setenv(VARIABLE, "")
    assert compute_dtype(CPU) == torch.bfloat16


def test_gradients_are_in_bfloat16_where_the_hardware_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for device, capabilities, on_gpu, wanted in (
        (CPU, {"avx512_bf16": True}, False, torch.bfloat16),
        (CPU, {"avx2": True}, True, torch.float32),
        (CUDA, {}, True, torch.bfloat16),
        (CUDA, {}, False, torch.float32),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=capabilities: found)
        monkeypatch.setattr(
            torch.cuda,
            "is_bf16_supported",
            lambda including_emulation, has=on_gpu: including_emulation or has,
        )
        assert gradient_dtype(device) == wanted
    monkeypatch.setenv(VARIABLE, "float32")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert gradient_dtype(CUDA) == torch.float32


@pytest.mark.parametrize("word", ["float16", "FLOAT32", "1"])
def test_what_cannot_be_forced_is_one_sentence(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, word)
    with pytest.raises(BadRequest, match=rf"^{VARIABLE} is '{word}'; it must be float32, or not be set"):
        compute_dtype(CPU)


def test_float16_is_for_the_highest_resolutions_alone() -> None:
    assert [layer_dtype(torch.float16, side, 128) for side in (4, 8, 16, 128)] == [
        torch.float32, torch.float32, torch.float16, torch.float16,
    ]  # fmt: skip
    assert layer_dtype(torch.bfloat16, 4, 128) == torch.bfloat16
