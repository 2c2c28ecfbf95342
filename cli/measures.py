"""How faithful a picture of a face is: pixels, structure, perception, identity; and how natural its code.

All pictures are judged at 256 px, the whole aligned crop made small by area: figures of models of different
sizes compare, and they compare with what is published. Smaller pictures are judged as they are.
"""

import statistics
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core.engine import Engine
from core.faces.identity import descriptor, distance
from core.faces.judge import IdentityJudge
from core.images import to_tensor
from core.inversion.whitening import Whitening, spread

MEASURED_SIDE = 256
# Wang, Simoncelli, Bovik 2003: the weight of every scale, finest first, and SSIM's constants.
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW, SIGMA = 11, 1.5
K1, K2 = 0.01, 0.03

Perception = Callable[[Tensor, Tensor], float]
Figures = dict[str, float | None]


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


def load_lpips(warn: Callable[[str], None]) -> Perception | None:
    """LPIPS (Zhang et al. 2018) with AlexNet from its authors' package, for models that bring none.

    It measures two (1, 3, H, W) images in [-1, 1]. None, and one warning, where the package, its torchvision
    or its weights cannot be had.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Here, not above: it brings torchvision, which is slow to load and not everywhere.
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


def perception_of(engine: Engine, warn: Callable[[str], None]) -> Perception | None:
    """The LPIPS that comes with the engine's model, else `load_lpips`."""
    network = engine.lpips
    if network is None:
        return load_lpips(warn)

    def measure(a: Tensor, b: Tensor) -> float:
        with torch.inference_mode():
            return float(network(a.to(engine.device), b.to(engine.device)))

    return measure


def made_small(picture: np.ndarray) -> Tensor:
    """(R, R, 3) uint8 -> (1, 3, 256, 256) in [-1, 1], by area; a smaller one at its own size."""
    image = to_tensor(picture)
    if image.shape[-1] <= MEASURED_SIDE:
        return image
    return F.interpolate(image, size=(MEASURED_SIDE, MEASURED_SIDE), mode="area")


@dataclass(frozen=True)
class Measures:
    """What pictures and codes of one model are measured by."""

    perception: Perception | None
    judge: IdentityJudge | None
    whitening: Whitening

    @classmethod
    def of(cls, engine: Engine, judge: IdentityJudge | None, warn: Callable[[str], None]) -> "Measures":
        """Those that this engine's model allows."""
        return cls(perception_of(engine, warn), judge, Whitening.of(engine.generator))

    def picture(self, crop: np.ndarray, landmarks: np.ndarray, picture: np.ndarray) -> Figures:
        """mse, ms_ssim, dlib_distance, lpips and, with a judge, judge_cosine.

        crop: (S, S, 3) uint8, the photo; landmarks: (68, 2) in its pixels, used for both; picture: (R, R, 3)
        uint8, what the model makes of it. Both at 256 px, or the smaller at the size of the other.
        """
        a, b = made_small(crop), made_small(picture)
        side = min(a.shape[-1], b.shape[-1])
        a, b = (
            x if x.shape[-1] == side else F.interpolate(x, size=(side, side), mode="area") for x in (a, b)
        )
        # Pixel centres lie at integers in both.
        there = (landmarks + 0.5) * (len(picture) / len(crop)) - 0.5
        figures: Figures = {
            "mse": mse(a, b),
            "ms_ssim": ms_ssim(a, b),
            "dlib_distance": distance(descriptor(crop, landmarks), descriptor(picture, there)),
            "lpips": self.perception(a, b) if self.perception else None,
        }
        if self.judge is not None:
            figures["judge_cosine"] = self.judge.cosine(crop, picture, landmarks)
        return figures

    def code(self, w_plus: Tensor) -> Figures:
        """Of codes (L, D), in W's own deviations, root mean square over codes and components.

        code_rms: distance to the mean, 1 for a sample; code_spread: of each code to the mean of them all, 0
        for a sample. Both small: edits that fit samples fit this face.
        """
        rms, apart = spread(self.whitening.coordinates(w_plus[None].to(self.whitening.mean))[0])
        return {"code_rms": rms, "code_spread": apart}


def means(rows: Iterable[Mapping[str, float | None]]) -> Figures:
    """The mean of every figure over the rows that know it; None where none does."""
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    found: Figures = {}
    for name in names:
        known = [value for row in rows if (value := row.get(name)) is not None]
        found[name] = statistics.fmean(known) if known else None
    return found
