"""The sizes of what is trained behind a bundle."""

from core.network_config import RefinerConfig


def refiner_configs(kernels: int) -> tuple[RefinerConfig, ...]:
    """A two-stage refiner, which is the default, and a one-stage one, of all the generator's kernels.

    The codes stay those of "off", so the coarse kernels have errors left as well (the paper's one-stage
    model finds its codes anew and refines the last ten).
    """
    narrow = RefinerConfig(
        "two_stage",
        layers=kernels,
        w_dim=96,
        feedforward=128,
        dropout=0.0,
        input_resolution=64,
        fold=2,
        stem_width=32,
        widths=(32, 32, 48, 64),
        units=(2, 2, 2, 2),
        polish=8,
    )
    wide = RefinerConfig(
        "one_stage", layers=kernels, w_dim=256, feedforward=256, dropout=0.0, input_resolution=64, polish=6
    )
    return narrow, wide


# Every group has a module of its own, so each is narrow: 130 k parameters.
EDITOR_WIDTH, EDITOR_HEADS = 64, 4
# Two faces' codes lie about ten apart. Without it dark hair that turned fair, and fringes that came to
# cropped heads, were a haze.
EDITOR_LONGEST = 4.5
# Narrower than the paper's (2048, 512), so that all weights stay small.
CLASSIFIER_HIDDEN = (256, 128)
