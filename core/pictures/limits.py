"""How large a picture may be, judged from its header: nothing beyond is ever decoded."""

from dataclasses import dataclass

from core.errors import BadImage

MAX_PIXELS = 200_000_000
# OpenCV's warps address no pixel beyond 32,767.
MAX_SIDE = 30_000
MIN_SIDE = 16
MAX_FILE_BYTES = 512 * 2**20


@dataclass(frozen=True)
class Limits:
    """pixels: of the whole picture. Raises: ValueError where that is nothing, or more than anybody opens."""

    pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        if not MIN_SIDE**2 <= self.pixels <= MAX_PIXELS:
            raise ValueError(f"Pictures have {MIN_SIDE**2} to {MAX_PIXELS} pixels, not {self.pixels}")

    @property
    def file_bytes(self) -> int:
        """The largest honest file: all pixels as RGBA of 16 bits, uncompressed, and a little for a header."""
        return min(8 * self.pixels + 2**20, MAX_FILE_BYTES)

    def check(self, width: int, height: int) -> None:
        """Raises: BadImage, with one sentence, where a picture is too large or too small."""
        if max(width, height) > MAX_SIDE or width * height > self.pixels:
            raise BadImage(self.too_large(f"{width} x {height} px"))
        if min(width, height) < MIN_SIDE:
            raise BadImage(
                f"This picture is {width} x {height} px; at least {MIN_SIDE} px a side are needed "
                "to hold a face."
            )

    def too_large(self, size: str) -> str:
        """The sentence about a picture of that size."""
        return (
            f"This picture has {size}; reduce it to at most {self.pixels / 10**6:g} megapixels "
            f"and {MAX_SIDE} px a side."
        )


LIMITS = Limits()
