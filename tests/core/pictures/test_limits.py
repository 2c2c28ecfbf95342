"""core.pictures.limits: what is too large, by its header."""

import pytest

from core.errors import BadImage
from core.pictures.limits import LIMITS, MAX_FILE_BYTES, Limits


@pytest.mark.parametrize("size", [(9000, 12_000), (16_320, 12_240), (30_000, 2000), (16, 16)])
def test_what_cameras_make_is_taken(size: tuple[int, int]) -> None:
    LIMITS.check(*size)


@pytest.mark.parametrize("size", [(30_001, 100), (100, 30_001), (15_000, 15_000)])
def test_more_is_refused_in_one_sentence(size: tuple[int, int]) -> None:
    wanted = r"This picture has \d+ x \d+ px; reduce it to at most 200 megapixels and 30000 px a side\."
    with pytest.raises(BadImage, match=wanted):
        LIMITS.check(*size)


def test_whoever_serves_may_take_less() -> None:
    limits = Limits(40_000_000)
    limits.check(8000, 5000)
    with pytest.raises(BadImage, match="at most 40 megapixels"):
        limits.check(8000, 5001)
    assert 6 * 40_000_000 < limits.file_bytes < LIMITS.file_bytes == MAX_FILE_BYTES


@pytest.mark.parametrize("pixels", [0, 255, 200_000_001])
def test_no_limit_is_nothing_or_everything(pixels: int) -> None:
    with pytest.raises(ValueError, match="pixels"):
        Limits(pixels)
