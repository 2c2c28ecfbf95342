"""Does a picture show its generator's grid? Power at the periods of the Haar transform, in flat places.

    python -m training.judging.grid --folder PNGS [--raw PNGS]

A photo has about 3 to 8 at each period, and more where it was saved with loss. Asked: a median of 8 at most,
20 at worst. --raw: pictures of the same names before the grid was taken out, which must hardly differ (PSNR,
peak 255).
"""

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cli.photos import photos_in
from core.images import open_image
from training.judging.tables import number, table

PERIODS = (2, 4, 8)
SIDE, STRIDE, WINDOWS = 128, 64, 4
# Sigmas in px: what is left of a picture to see where it is flat, and what is taken away to see its dots.
FLAT, FINE = 4.0, 3.0
# Mean grey levels between which a window is neither black nor blown out.
EXPOSED = (24, 236)
# In bins of the spectrum: as far as a peak may reach, and the ring around it that it is compared with.
PEAK, RING = 1, (3, 8)


def dots(picture: np.ndarray) -> dict[int, float] | None:
    """For each of PERIODS how far its power stands out, median over the flattest windows of (H, W, 3) uint8.

    None where no window is exposed well enough, or the picture is smaller than one.
    """
    grey = picture.astype(np.float32).mean(2)
    if min(grey.shape) < SIDE:
        return None
    fine = grey - cv2.GaussianBlur(grey, (0, 0), FINE)
    chosen = [_peaks(fine[y : y + SIDE, x : x + SIDE]) for y, x in flattest(grey)]
    if not chosen:
        return None
    return {period: statistics.median(found[period] for found in chosen) for period in PERIODS}


def flattest(grey: np.ndarray) -> list[tuple[int, int]]:
    """Top left corners (y, x) of the windows with the least gradient; grey: (H, W) float32."""
    soft = cv2.GaussianBlur(grey, (0, 0), FLAT)
    gradient = np.abs(cv2.Sobel(soft, cv2.CV_32F, 1, 0)) + np.abs(cv2.Sobel(soft, cv2.CV_32F, 0, 1))
    brightness, slope = (
        sliding_window_view(part, (SIDE, SIDE))[::STRIDE, ::STRIDE].mean((2, 3)) for part in (soft, gradient)
    )  # (rows, columns) of windows each
    slope = np.where((brightness > EXPOSED[0]) & (brightness < EXPOSED[1]), slope, np.inf)
    order = np.argsort(slope, axis=None, kind="stable")[:WINDOWS]
    places = zip(*np.unravel_index(order, slope.shape), strict=True)
    return [(int(y) * STRIDE, int(x) * STRIDE) for y, x in places if np.isfinite(slope[y, x])]


def _peaks(fine: np.ndarray) -> dict[int, float]:
    """For each period the largest of three ratios: along x, along y, along both. fine: (SIDE, SIDE)."""
    hann = np.hanning(SIDE)
    power = np.abs(np.fft.fft2((fine - fine.mean()) * np.outer(hann, hann))) ** 2
    found = {}
    for period in PERIODS:
        k = SIDE // period
        found[period] = max(_above_ring(power, y, x) for y, x in ((k, 0), (0, k), (k, k)))
    return found


def _above_ring(power: np.ndarray, y: int, x: int) -> float:
    """The power at a bin over the median of the ring around it; the spectrum's edges meet."""
    reach = RING[1]
    around = np.roll(power, (reach - y, reach - x), (0, 1))[: 2 * reach + 1, : 2 * reach + 1]
    offsets = np.arange(-reach, reach + 1)
    far = np.hypot(offsets[:, None], offsets)
    ring = around[(far >= RING[0]) & (far <= RING[1])]
    return float(around[far <= PEAK].max() / (np.median(ring) + 1e-9))


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """In dB of two uint8 pictures, peak 255; infinite for equal ones."""
    error = float(np.square(a.astype(np.float64) - b).mean())
    return float("inf") if error == 0 else 10 * float(np.log10(255**2 / error))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.judging.grid", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--folder", type=Path, required=True, help="pictures at full size")
    parser.add_argument("--raw", type=Path, help="the same pictures before the grid was taken out")
    args = parser.parse_args(argv)
    files = photos_in(args.folder).photos
    found = {file.name: dots(open_image(file)) for file in files}
    measured = [row for row in found.values() if row is not None]
    print(f"{len(measured)} of {len(files)} pictures have flat places.\n")
    header = ("picture", *(f"{period} px" for period in PERIODS))
    rows = [(name, *(number(row[p], 1) for p in PERIODS)) for name, row in found.items() if row is not None]
    if measured:
        for title, of in (("median", statistics.median), ("worst", max)):
            rows.append((title, *(number(of([row[p] for row in measured]), 1) for p in PERIODS)))
    print(table(header, rows))
    if args.raw:
        kept = [psnr(open_image(file), open_image(args.raw / file.name)) for file in files]
        print(f"PSNR to the raw pictures: {statistics.median(kept):.1f} dB, at worst {min(kept):.1f}.")


if __name__ == "__main__":
    main()
