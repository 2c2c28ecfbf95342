"""What training's tests share."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from core.generators.mobile.config import MobileConfig
from core.generators.mobile.network import MobileGenerator, statistics
from training.judging.edits import BY_LANDMARKS
from training.judging.judge import Judge

# The tiny bundle's sliders, an attribute that only the judge network knows, and what UTKFace's names tell.
COLUMNS = ("smile", "young", "male", "age", "gender")


@pytest.fixture
def tiny_mobile() -> MobileGenerator:
    """A frozen mobile generator of 64 px with random weights and the mean of its W."""
    torch.manual_seed(0)
    config = MobileConfig(resolution=64, channels=(16, 16, 12, 8), w_dim=12, z_dim=12, mapping_layers=2)
    made = MobileGenerator(config)
    made.w_mean.copy_(statistics(made.mapping, 12)[0].expand(8, -1))
    return made.eval().requires_grad_(False)


@pytest.fixture
def judge() -> Judge:
    """A frozen judge of COLUMNS with random weights."""
    torch.manual_seed(0)
    return Judge(COLUMNS).eval().requires_grad_(False)


@pytest.fixture
def data(tmp_path: Path, photo: np.ndarray) -> Path:
    """Four training and three test faces of 32 px, one photo in seven shades, in the packs' layout."""
    folder = tmp_path / "data"
    folder.mkdir()
    picture = cv2.resize(photo[:256, 96:352], (32, 32), interpolation=cv2.INTER_AREA)
    shades = [cv2.imencode(".png", picture[..., ::-1] // k)[1].tobytes() for k in range(1, 8)]
    names = (*COLUMNS, *(n for n in BY_LANDMARKS if n not in COLUMNS))
    lines = [",".join(("file", "split", "shard", "offset", "length", *names))]
    for i in range(7):
        split, age = ("train", i) if i < 4 else ("test", 20 * i)
        values = [i * 0.5 if n == "smile" else age if n == "age" else i % 2 for n in names]
        place = (0, sum(map(len, shades[:i])), len(shades[i]))
        lines.append(",".join(map(str, (f"{i}.jpg", split, *place, *values))))
    (folder / "faces.csv").write_text("\n".join(lines) + "\n")
    (folder / "faces-000.pack").write_bytes(b"".join(shades))
    np.save(folder / "landmarks.npy", np.random.default_rng(0).uniform(4, 28, (7, 68, 2)).astype(np.float32))
    return folder
