"""The built-in model's shape."""

from core.config import GeneratorConfig, InverterConfig

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
)
