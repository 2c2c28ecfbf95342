"""How much a described network may hold: a stranger's description is built before its weights are looked at.

Tensors are built without memory at first (`core.checkpoints`); modules are not.
"""

# Of whatever a description counts: the published networks have up to 36 units in a stage.
MAX_DEPTH = 64
# The published generators: 8, 1024, 512 and, for the largest, 128.
MAX_MAPPING_LAYERS, MAX_RESOLUTION, MAX_WIDTH, MAX_RANK = 32, 4096, 4096, 4096


def check_depth(what: str, *counts: int) -> None:
    """Raises: ValueError if any of the counts of layers is above MAX_DEPTH."""
    if max(counts) > MAX_DEPTH:
        raise ValueError(f"{what} has {max(counts)} layers in a row; at most {MAX_DEPTH} are read")


def check_generator(resolution: int, widths: tuple[int, ...], mapping_layers: int) -> None:
    """widths: of layers and codes. Raises: ValueError if anything is below 1, or above what is read."""
    if not 1 <= mapping_layers <= MAX_MAPPING_LAYERS:
        raise ValueError(f"A generator has 1 to {MAX_MAPPING_LAYERS} mapping layers, not {mapping_layers}")
    if not 1 <= min(widths) <= max(widths) <= MAX_WIDTH:
        raise ValueError(f"A generator's widths are 1 to {MAX_WIDTH}, not {min(widths)} to {max(widths)}")
    if resolution > MAX_RESOLUTION:
        raise ValueError(f"Resolution {resolution} is above {MAX_RESOLUTION}")
