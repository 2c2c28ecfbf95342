"""Files of pSp (Richardson et al., CVPR 2021) and e4e (Tov et al., SIGGRAPH 2021): encoder and generator.

Both projects write `state_dict` (`encoder.*`, `decoder.*`), `latent_avg` and `opts`, and their encoders have
the same tensors: only `opts.encoder_type` says which of the two formulas they were trained for. Training
states that e4e may add (a discriminator's, the optimizers') are left out.
"""

import re
from typing import Any, Literal

from torch import Tensor

from core.errors import BadCheckpoint
from core.importing.formats.encoder_parts import (
    GENERATOR_LICENCE,
    UNITS,
    check_others,
    decoder_tensors,
    encoder_table,
    encoder_tensors,
    mean_code,
    options,
    trunk_state,
)
from core.importing.formats.parts import Parts, State, TensorTable
from core.importing.formats.rosinality import generator_parts
from core.network_config import GradualEncoderConfig

LICENCE = f"MIT for the encoder; {GENERATOR_LICENCE}"
KINDS: dict[str, tuple[Literal["psp", "e4e"], str]] = {
    "GradualStyleEncoder": ("psp", "pSp"),
    "Encoder4Editing": ("e4e", "e4e"),
}


def recognises(content: Any) -> bool:
    """Is this a checkpoint of pSp's framework, whichever its encoder?"""
    encoder = encoder_tensors(content)
    return "input_layer.0.weight" in encoder and "z" not in encoder


def convert(content: Any, stem: str) -> Parts:
    """Inverter and generator of a file that `recognises`; stem: its name, to begin a sentence.

    Raises: BadCheckpoint if the encoder is of another kind, or a tensor is missing, ill-shaped or unknown.
    """
    kind, project = _kind(options(content).get("encoder_type"), stem)
    check_others(content, stem)
    encoder = encoder_tensors(content)
    table = encoder_table(encoder, stem)
    widths, state = trunk_state(table)
    width = widths.stages[3]
    codes, halvings = _extent(encoder, stem)
    for code in range(codes):
        # Each finer feature, from code 3 and from code 7 on, is twice as large.
        state |= _head(table, code, halvings + (code >= 3) + (code >= 7), width)
    table.finish()
    config = GradualEncoderConfig(
        kind, codes, width, 16 * 2**halvings, stem_width=widths.stem, widths=widths.stages, units=UNITS
    )
    mean = mean_code(content, codes, width, stem)
    generator = generator_parts(decoder_tensors(content), mean, f"The generator in {stem}")
    if (generator[0].num_codes, generator[0].w_dim) != (codes, width):
        raise BadCheckpoint(f"{stem} has an encoder of {codes} codes and a generator of another size.")
    return Parts(
        format=f"{project} checkpoint{_task(options(content).get('dataset_type'))}",
        licence=LICENCE,
        generator=generator,
        inverter=(config, state),
        mean_code=mean,
    )


def _kind(encoder_type: Any, stem: str) -> tuple[Literal["psp", "e4e"], str]:
    if not isinstance(encoder_type, str):
        raise BadCheckpoint(
            f"{stem} does not say of which kind its encoder is (opts.encoder_type), and pSp's and e4e's have "
            "the same tensors; take the file as its authors published it."
        )
    if encoder_type not in KINDS:
        raise BadCheckpoint(
            f"{stem} has an encoder {encoder_type:.60}; the known ones, with a head for each code, are "
            f"{' (pSp) and '.join(KINDS)} (e4e)."
        )
    return KINDS[encoder_type]


def _task(dataset_type: Any) -> str:
    """What the encoder was trained to do: pSp has been published for other tasks than inversion too."""
    plain = isinstance(dataset_type, str) and re.fullmatch(r"\w{1,40}", dataset_type, re.ASCII)
    return f" ({dataset_type})" if plain else ""


def _extent(encoder: dict[str, Any], stem: str) -> tuple[int, int]:
    """Heads, and how often the first halves its feature, as the tensors' names say."""
    heads = {int(m[1]) for m in (re.match(r"styles\.(\d{1,4})\.", name) for name in encoder) if m}
    halvings = sum(re.fullmatch(r"styles\.0\.convs\.\d{1,4}\.weight", name) is not None for name in encoder)
    if not (heads and 1 <= halvings <= 8):
        raise BadCheckpoint(f"{stem} lacks the heads of a pSp or e4e encoder (styles.0 and so on).")
    return len(heads), halvings


def _head(table: TensorTable, code: int, halvings: int, width: int) -> State:
    state: dict[str, Tensor] = {}
    for i in range(halvings):
        theirs, ours = f"styles.{code}.convs.{2 * i}", f"heads.{code}.convolutions.{i}"
        state[f"{ours}.weight"] = table.take(f"{theirs}.weight", width, width, 3, 3)
        state[f"{ours}.bias"] = table.take(f"{theirs}.bias", width)
    # Both projects' linear layer keeps its weight at unit variance, as EqualizedLinear does.
    state[f"heads.{code}.linear.weight"] = table.take(f"styles.{code}.linear.weight", width, width)
    state[f"heads.{code}.linear.bias"] = table.take(f"styles.{code}.linear.bias", width)
    return state
