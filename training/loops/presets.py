"""The built-in model's shape."""

from core.config import GeneratorConfig, InverterConfig, RefinerConfig

PORTRAIT128_GENERATOR = GeneratorConfig(
    resolution=128, channels=(256, 256, 256, 128, 64, 32), w_dim=256, z_dim=256
)
PORTRAIT128_INVERTER = InverterConfig(
    num_codes=PORTRAIT128_GENERATOR.num_codes,
    w_dim=256,
    input_resolution=64,
    stem_width=48,
    widths=(48, 96, 192, 256),
    units=(2, 3, 4, 2),
    feedforward=512,
    dropout=0.0,
    dense_width=512,
)

# All convolutions in both: the codes stay those of "off", so the coarse ones have errors left as well (the
# paper's one-stage model finds its codes anew and refines the last ten). The first is the default.
PORTRAIT128_REFINERS = (
    RefinerConfig(
        "two_stage",
        layers=11,
        w_dim=96,
        feedforward=128,
        dropout=0.0,
        input_resolution=64,
        fold=2,
        stem_width=32,
        widths=(32, 32, 48, 64),
        units=(2, 2, 2, 2),
        polish=8,
    ),
    RefinerConfig(
        "one_stage", layers=11, w_dim=256, feedforward=256, dropout=0.0, input_resolution=64, polish=6
    ),
)

# What each slider is called, and what its ends mean.
PORTRAIT128_SLIDERS = (
    ("smile", "Smile", "serious", "smiling"),
    ("age", "Age", "younger", "older"),
    ("gender", "Gender", "feminine", "masculine"),
    ("mouth_open", "Mouth open", "closed", "open"),
    ("eyes_open", "Eyes open", "narrow", "wide"),
    ("brow_raise", "Brows", "lowered", "raised"),
    ("yaw", "Turn head", "left", "right"),
    ("pitch", "Tilt head", "up", "down"),
    ("face_width", "Face width", "narrow", "wide"),
    ("brightness", "Skin brightness", "darker", "lighter"),
    ("light_right", "Light from", "left", "right"),
    ("eyeglasses", "Glasses", "without", "with"),
    ("beard", "Beard", "shaven", "bearded"),
    ("bangs", "Bangs", "swept back", "over the forehead"),
    ("hair_darkness", "Hair colour", "lighter", "darker"),
)
# Every slider has a module of its own, so each is narrow: 54 k parameters.
EDITOR_WIDTH, EDITOR_HEADS = 48, 4
# Narrower than the paper's (2048, 512), so that all weights stay small.
CLASSIFIER_HIDDEN = (256, 128)
