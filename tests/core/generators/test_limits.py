"""core.generators.limits: a stranger's description asks for no more modules than memory holds."""

from typing import Any

import pytest

from core.generators.limits import MAX_DEPTH, MAX_MAPPING_LAYERS, MAX_RANK, MAX_RESOLUTION, MAX_WIDTH
from core.generators.mobile.config import MobileConfig
from core.generators.stylegan2.config import GeneratorConfig
from core.network_config import GradualEncoderConfig, InverterConfig, RefinerConfig


def stylegan2(**change: Any) -> GeneratorConfig:
    return GeneratorConfig(**{"resolution": 16, "channels": (8, 6, 4), **change})


def mobile(**change: Any) -> MobileConfig:
    return MobileConfig(**{"resolution": 32, "channels": (8, 8, 4), **change})


@pytest.mark.parametrize("family", [stylegan2, mobile])
def test_a_generator_is_no_deeper_and_no_wider_than_is_read(family: Any) -> None:
    assert family(mapping_layers=MAX_MAPPING_LAYERS).mapping_layers == 32
    assert family(w_dim=MAX_WIDTH, z_dim=MAX_WIDTH).w_dim == MAX_WIDTH
    for layers in (0, MAX_MAPPING_LAYERS + 1, 10**9):
        with pytest.raises(ValueError, match=f"1 to 32 mapping layers, not {layers}"):
            family(mapping_layers=layers)
    for change in ({"w_dim": 0}, {"z_dim": MAX_WIDTH + 1}, {"channels": (8, MAX_WIDTH + 4, 4)}):
        with pytest.raises(ValueError, match="widths are 1 to"):
            family(**change)
    blocks = MAX_RESOLUTION.bit_length()
    with pytest.raises(ValueError, match="is above 4096"):
        family(resolution=2 * MAX_RESOLUTION, channels=(4,) * blocks)


def test_a_code_rank_is_bounded() -> None:
    assert stylegan2(code_rank=MAX_RANK).code_rank == MAX_RANK
    for rank in (-1, MAX_RANK + 1):
        with pytest.raises(ValueError, match=f"Code rank {rank} must be"):
            stylegan2(code_rank=rank)


@pytest.mark.parametrize(
    ("kind", "given", "change"),
    [
        (InverterConfig, (18,), {"mapping_layers": MAX_DEPTH + 1}),
        (InverterConfig, (18,), {"units": (3, 4, 10**9, 3)}),
        (GradualEncoderConfig, ("e4e", 18), {"units": (3, 4, 10**9, 3)}),
        (RefinerConfig, ("one_stage", 5), {"units": (3, 4, 10**9, 3)}),
        (RefinerConfig, ("one_stage", MAX_DEPTH + 1), {}),
    ],
)
def test_what_looks_at_photos_is_no_deeper_either(kind: Any, given: tuple, change: dict) -> None:
    with pytest.raises(ValueError, match=f"layers in a row; at most {MAX_DEPTH} are read"):
        kind(*given, **change)
