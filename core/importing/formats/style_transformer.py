"""Files of Style Transformer (Hu et al., CVPR 2022): encoder and generator, as DataParallel names them.

The queries are mapped by the generator's own MLP, which was trained along with the encoder: our inverter
has an MLP for itself, and both get these weights.
"""

from typing import Any

from core.errors import BadCheckpoint
from core.importing.formats.encoder_parts import (
    GENERATOR_LICENCE,
    UNITS,
    check_others,
    decoder_tensors,
    encoder_table,
    encoder_tensors,
    mean_code,
    trunk_state,
)
from core.importing.formats.parts import Parts, State, TensorTable
from core.importing.formats.rosinality import generator_parts
from core.network_config import InverterConfig

LICENCE = f"None stated by the authors of the encoder; {GENERATOR_LICENCE}"
LAYERS = ("coarse", "medium", "fine")
HEADS = 4  # fixed by the project, and nowhere in its files
RENAMED = {
    "self_attn.in_proj_": "self_attention.in_proj_",
    "self_attn.out_proj.": "self_attention.out_proj.",
    "multihead_attn.in_proj_": "cross_attention.in_proj_",
    "multihead_attn.out_proj.": "cross_attention.out_proj.",
    "linear1.": "feedforward.0.",
    "linear2.": "feedforward.3.",
    "norm1.": "norms.0.",
    "norm2.": "norms.1.",
    "norm3.": "norms.2.",
}


def recognises(content: Any) -> bool:
    """Is this a checkpoint of Style Transformer's inverter?"""
    encoder = encoder_tensors(content)
    return "z" in encoder and "input_layer.0.weight" in encoder


def convert(content: Any, stem: str) -> Parts:
    """Inverter and generator of a file that `recognises`; stem: its name, to begin a sentence.

    Raises: BadCheckpoint if a tensor is missing, ill-shaped or unknown.
    """
    check_others(content, stem)
    table = encoder_table(encoder_tensors(content), stem)
    widths, state = trunk_state(table)
    width = widths.stages[3]
    z = table.take("z", 1, None, width)[0]
    state["z"] = z
    feedforward = 0
    for place, layer in enumerate(LAYERS):
        feedforward, added = _layer(table, f"transformerlayer_{layer}", f"layers.{place}", width, feedforward)
        state |= added
    table.finish()
    codes = len(z)
    mean = mean_code(content, codes, width, stem)
    generator = generator_parts(decoder_tensors(content), mean, f"The generator in {stem}")
    if (generator[0].num_codes, generator[0].w_dim, generator[0].z_dim) != (codes, width, width):
        raise BadCheckpoint(f"{stem} has an encoder of {codes} codes and a generator of another size.")
    # A copy, so that two modules of one process never share their weights.
    state |= {name: t.clone() for name, t in generator[1].items() if name.startswith("mapping.")}
    config = InverterConfig(
        num_codes=codes,
        w_dim=width,
        stem_width=widths.stem,
        widths=widths.stages,
        units=UNITS,
        heads=HEADS,
        feedforward=feedforward,
        mapping_layers=generator[0].mapping_layers,
    )
    return Parts(
        format="Style Transformer checkpoint",
        licence=LICENCE,
        generator=generator,
        inverter=(config, state),
        mean_code=mean,
    )


def _layer(table: TensorTable, theirs: str, ours: str, width: int, feedforward: int) -> tuple[int, State]:
    """One decoder layer; feedforward: its hidden width as the layer before says, 0 for the first."""
    hidden = table.take(f"{theirs}.linear1.weight", feedforward or None, width)
    shapes: dict[str, tuple[int, ...]] = {
        "linear2.weight": (width, len(hidden)),
        "linear1.bias": (len(hidden),),
    }
    for attention in ("self_attn", "multihead_attn"):
        shapes[f"{attention}.in_proj_weight"] = (3 * width, width)
        shapes[f"{attention}.in_proj_bias"] = (3 * width,)
        shapes[f"{attention}.out_proj.weight"] = (width, width)
    for name in ("linear2", "norm1", "norm2", "norm3", "self_attn.out_proj", "multihead_attn.out_proj"):
        shapes[f"{name}.bias"] = (width,)
    shapes |= {f"norm{i}.weight": (width,) for i in (1, 2, 3)}
    state = {_renamed("linear1.weight"): hidden}
    state |= {_renamed(name): table.take(f"{theirs}.{name}", *shape) for name, shape in shapes.items()}
    return len(hidden), {f"{ours}.{name}": tensor for name, tensor in state.items()}


def _renamed(name: str) -> str:
    theirs = next(prefix for prefix in RENAMED if name.startswith(prefix))
    return RENAMED[theirs] + name.removeprefix(theirs)
