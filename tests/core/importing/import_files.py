"""One small file of each published format, most of them for one generator of 16 px."""

from pathlib import Path
from typing import Any

import torch
from encoder_files import (
    classifier_content,
    direction_content,
    ganspace_content,
    gradual_content,
    style_transformer_content,
    write,
)
from nvidia_files import write_nvidia
from rosinality_files import write_rosinality

RESOLUTION, NUM_CODES, W_DIM = 16, 6, 64
# The encoders' files hold the generator of the next seed.
SEED = 1


def write_all(folder: Path) -> None:
    """Write the files.

    generator.pt, e4e.pt, psp.pt, st.pt, age.pt (one code), pose.pt (every code), pca.pt belong together;
    generator512.pt, classifier.pth (codes of 512), smiling.pt; other.pt and nvidia.pkl are other generators,
    small.pt one of 8 px.
    """
    write_rosinality(folder / "generator.pt", RESOLUTION, w_dim=W_DIM, seed=SEED)
    write_rosinality(folder / "other.pt", RESOLUTION, w_dim=W_DIM, seed=7)
    write_rosinality(folder / "small.pt", RESOLUTION // 2, w_dim=W_DIM, seed=SEED)
    write_nvidia(folder / "nvidia.pkl", RESOLUTION, w_dim=W_DIM)
    for kind in ("e4e", "psp"):
        write(folder / f"{kind}.pt", gradual_content(kind, RESOLUTION), namespace=kind == "psp")
    write(folder / "st.pt", style_transformer_content(RESOLUTION))
    write(folder / "age.pt", direction_content(1, W_DIM))
    write(folder / "pose.pt", direction_content(1, NUM_CODES, W_DIM, seed=1))
    write(folder / "pca.pt", ganspace_content(12, W_DIM))
    write_rosinality(folder / "generator512.pt", RESOLUTION, w_dim=512, seed=SEED)
    write(folder / "classifier.pth", classifier_content(NUM_CODES))
    write(folder / "smiling.pt", direction_content(1, 512))


def halved(content: Any) -> Any:
    """The same with every floating-point tensor in half precision."""
    if isinstance(content, dict):
        return {key: halved(value) for key, value in content.items()}
    return content.half() if isinstance(content, torch.Tensor) and content.is_floating_point() else content
