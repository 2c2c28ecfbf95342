"""How faithful portraits are, refined or not: MSE, MS-SSIM, identity distance, LPIPS, seconds."""

import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from core.engine import Engine
from core.errors import BadImage, BadRequest, NoFaceFound
from core.images import open_image, to_tensor
from core.session import EditRequest, Portrait, Refine

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"}
MEASURES = ("mse", "ms_ssim", "dlib_distance", "lpips", "seconds")

# Wang, Simoncelli, Bovik 2003: the weight of every scale, finest first, and SSIM's constants.
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW, SIGMA = 11, 1.5
K1, K2 = 0.01, 0.03

Lpips = Callable[[Tensor, Tensor], float]


def mse(a: Tensor, b: Tensor) -> float:
    """Mean squared difference of two images in [-1, 1], so 4 at most."""
    return float((a.double() - b.double()).square().mean())


def ms_ssim(a: Tensor, b: Tensor) -> float:
    """Multi-scale structural similarity (Wang et al. 2003, Equation 7), 1 for equal images.

    a, b: (B, C, H, W) in [-1, 1]. Gaussian window of 11 px, sigma 1.5, no padding; contrast and structure
    at every scale, luminance at the coarsest; negative terms count as zero. Five scales need 176 px a
    side; a smaller image is judged at as many as hold one window (four at 128 px), their weights
    renormalised to sum to one, so its figures compare only with others of the same size.

    Raises: ValueError below 11 px.
    """
    side = min(a.shape[-2:])
    scales = sum(side >> s >= WINDOW for s in range(len(SCALE_WEIGHTS)))
    if scales == 0:
        raise ValueError(f"MS-SSIM needs at least {WINDOW} px a side, got {side}")
    weights = [w / sum(SCALE_WEIGHTS[:scales]) for w in SCALE_WEIGHTS[:scales]]
    x, y = a.double(), b.double()
    product = torch.ones((), dtype=torch.float64, device=x.device)  # becomes (B, C)
    for scale, weight in enumerate(weights):
        luminance, contrast = _ssim_terms(x, y)
        last = scale == scales - 1
        similarity = (luminance * contrast if last else contrast).mean((2, 3))  # (B, C)
        product = product * similarity.clamp(min=0) ** weight
        x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    return float(product.mean())


def _ssim_terms(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Luminance, and contrast times structure, at every window: (B, C, H - 10, W - 10) each."""
    c1, c2 = (2 * K1) ** 2, (2 * K2) ** 2  # the dynamic range is 2
    mean_x, mean_y = _windowed(x), _windowed(y)
    var_x = _windowed(x * x) - mean_x**2
    var_y = _windowed(y * y) - mean_y**2
    covariance = _windowed(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return luminance, (2 * covariance + c2) / (var_x + var_y + c2)


def _windowed(x: Tensor) -> Tensor:
    """Gaussian mean over every whole window, rows and columns apart."""
    offsets = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    row = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    kernel = (row / row.sum()).expand(x.shape[1], 1, 1, WINDOW)  # (C, 1, 1, 11)
    x = F.conv2d(x, kernel, groups=x.shape[1])
    return F.conv2d(x, kernel.transpose(2, 3), groups=x.shape[1])


def load_lpips(warn: Callable[[str], None]) -> Lpips | None:
    """LPIPS (Zhang et al. 2018) with AlexNet, on two (1, 3, H, W) images in [-1, 1].

    None, and one warning, where the package, its torchvision or its weights cannot be had.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Here, not above: it brings torchvision, which nothing else in core may need.
            import lpips

            network = lpips.LPIPS(net="alex", verbose=False)
    # RuntimeError: a torchvision built for another torch. OSError: the weights cannot be downloaded.
    except (ImportError, RuntimeError, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        warn(f"LPIPS is left out (null): {reason}.")
        return None

    def measure(a: Tensor, b: Tensor) -> float:
        with torch.inference_mode():
            return float(network(a, b))

    return measure


def measure_portrait(portrait: Portrait, picture: np.ndarray, lpips: Lpips | None) -> dict[str, float | None]:
    """Every measure of MEASURES but the seconds, aligned crop against `picture`, (R, R, 3) uint8."""
    a, b = to_tensor(portrait.crop), to_tensor(picture)
    return {
        "mse": mse(a, b),
        "ms_ssim": ms_ssim(a, b),
        "dlib_distance": portrait.identity.distance(picture),
        "lpips": lpips(a, b) if lpips else None,
    }


def evaluate(
    engine: Engine,
    files: Sequence[Path],
    warn: Callable[[str], None],
    refine: Refine = "off",
    limit: int | None = None,
) -> dict[str, Any]:
    """Open every photo (its largest face), refine it, and compare the aligned crop with what is rendered.

    limit: of so many files alone, spread evenly, since "best" takes a minute for each.
    Returns {"folder_photos": how many there are, "photos", "no_face", "refine",
    "mean": {measure: number or None}, "per_photo": [{"file", measures}]}; seconds: to open and refine.
    Files that are no readable picture are named through `warn` and not counted.
    Raises: BadRequest if the model cannot refine so.
    """
    if (reason := engine.refinements.get(refine)) is not None:
        raise BadRequest(reason)
    lpips = load_lpips(warn)
    photos, no_face = 0, 0
    per_photo: list[dict[str, Any]] = []
    for file in tqdm(evenly(files, limit), desc="Evaluating", unit="photo", disable=None):
        try:
            photo = open_image(file)
            photos += 1
            portrait, seconds = _open_timed(engine, photo, refine)
        except BadImage as error:
            warn(f"{file.name} is left out: {error}")
        except NoFaceFound:
            no_face += 1
        else:
            picture = engine.edit(portrait, EditRequest(refine=refine))
            per_photo.append(
                {"file": file.name, **measure_portrait(portrait, picture, lpips), "seconds": seconds}
            )
    return {
        "folder_photos": len(files),
        "photos": photos,
        "no_face": no_face,
        "refine": refine,
        "mean": {name: _mean([entry[name] for entry in per_photo]) for name in MEASURES},
        "per_photo": per_photo,
    }


def evenly(files: Sequence[Path], limit: int | None) -> Sequence[Path]:
    """At most `limit` of the files, evenly spread from the first to the last; all of them without a limit."""
    if limit is None or limit >= len(files):
        return files
    return [files[i] for i in np.linspace(0, len(files) - 1, limit).round().astype(int)]


def photos_in(folder: Path) -> list[Path]:
    """Files of a folder, sorted, whose suffix is a picture's.

    Raises: BadRequest if there are none.
    """
    try:
        files = sorted(f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES)
    except OSError as error:
        raise BadRequest(f"The folder {str(folder)!r} cannot be read: {error.strerror}.") from error
    if not files:
        raise BadRequest(f"The folder {str(folder)!r} holds no photos; give one with JPEG or PNG files.")
    return files


def _open_timed(engine: Engine, photo: np.ndarray, refine: Refine) -> tuple[Portrait, float]:
    start = time.perf_counter()
    portrait = engine.open_portrait(photo)
    if refine != "off":
        portrait = engine.refine(portrait, refine)
    return portrait, time.perf_counter() - start


def _mean(values: list[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return statistics.fmean(known) if known else None
