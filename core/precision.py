"""What the device computes in."""

import os

import torch

from core.errors import BadRequest

# Forces float32 where the machine would compute in half precision.
VARIABLE = "VISAGIST_PRECISION"
# Of a generator's resolutions, as many of the highest are safe in float16.
FLOAT16_RESOLUTIONS = 4


def compute_dtype(device: torch.device) -> torch.dtype:
    """Half precision where the hardware multiplies in it, else float32, which VISAGIST_PRECISION can force.

    With float16, unlike bfloat16, a generator keeps float32 at its lower resolutions (`layer_dtype`).
    Raises: BadRequest if the variable says anything but float32.
    """
    forced = os.environ.get(VARIABLE, "")
    if forced not in ("", "float32"):
        raise BadRequest(f"{VARIABLE} is {forced!r:.40}; it must be float32, or not be set.")
    if forced:
        return torch.float32
    if device.type == "cuda":
        return torch.float16
    if device.type == "cpu":
        # Without these instructions bfloat16 is emulated, and slower than float32.
        cpu = torch.cpu.get_capabilities()
        if cpu.get("avx512_bf16") or cpu.get("amx_bf16") or cpu.get("bf16"):
            return torch.bfloat16
    return torch.float32


def gradient_dtype(device: torch.device) -> torch.dtype:
    """What is differentiated in: bfloat16 where `compute_dtype` is half precision, else float32.

    On a GPU too, where gradients in float16 would need scaling; one that only emulates bfloat16 has float32.
    Raises: BadRequest, as `compute_dtype`.
    """
    half = compute_dtype(device) != torch.float32
    if half and device.type == "cuda":
        half = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if half else torch.float32


def layer_dtype(dtype: torch.dtype, side: int, full: int) -> torch.dtype:
    """What a layer of `side` px computes in, in a generator of `full` px on a device whose dtype is this one.

    float16 has too small a range for all of them: as in StyleGAN2-ADA (Karras et al. 2020, appendix D.1),
    the FLOAT16_RESOLUTIONS highest alone, which are nearly all of the work.
    """
    lowest = full // 2 ** (FLOAT16_RESOLUTIONS - 1)
    return torch.float32 if dtype == torch.float16 and side < lowest else dtype


def device_of(name: str) -> torch.device:
    """The device of this name; "auto" is CUDA where there is one. Raises: BadRequest."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # "meta" makes tensors, but holds nothing
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA asserts
        raise BadRequest(f"This machine has no device '{name}'; use auto, cpu or cuda.") from error
    return device
