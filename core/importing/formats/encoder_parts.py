"""What the files of pSp, e4e and Style Transformer share: their layout, and the IR-SE trunk."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from core.errors import BadCheckpoint
from core.importing.formats.parts import State, TensorTable
from core.models.style_transformer import SE_REDUCTION

# Of IR-SE50, which all three publish; its units are numbered through as body.0 to body.23.
UNITS = (3, 4, 14, 3)
NORM = ("weight", "bias", "running_mean", "running_var")
# What the generator in all of these files was made from.
GENERATOR_LICENCE = "the generator derives from NVIDIA's StyleGAN2, which is for non-commercial use"


class TrunkWidths(NamedTuple):
    """Channels of the stem and of the four stages; the last is the codes' width too."""

    stem: int
    stages: tuple[int, int, int, int]


def encoder_tensors(content: Any) -> dict[str, Any]:
    """What `state_dict` holds under `encoder.`, by the rest of the name; empty where there is none.

    DataParallel writes `encoder.module.`.
    """
    return _below(content, "encoder.")


def decoder_tensors(content: Any) -> dict[str, Any]:
    """The same of the generator, under `decoder.`."""
    return _below(content, "decoder.")


def _below(content: Any, prefix: str) -> dict[str, Any]:
    state = content.get("state_dict") if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping):
        return {}
    return {
        name.removeprefix(prefix).removeprefix("module."): value
        for name, value in state.items()
        if isinstance(name, str) and name.startswith(prefix)
    }


def check_others(content: Mapping[str, Any], what: str) -> None:
    """Raises: BadCheckpoint if `state_dict` holds anything beside encoder and decoder."""
    others = TensorTable({str(name): value for name, value in content["state_dict"].items()}, what)
    others.drop("encoder.")
    others.drop("decoder.")
    others.finish()


def options(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """The training run's options, as far as the file has them."""
    opts = content.get("opts")
    return opts if isinstance(opts, Mapping) else {}


def encoder_table(tensors: Mapping[str, Any], what: str) -> TensorTable:
    """Table of an encoder's tensors, without batch norm's counts of batches, which only training reads.

    Raises: BadCheckpoint if the trunk takes something else than a picture, or has not IR-SE50's depth.
    """
    first = tensors.get("input_layer.0.weight")
    if isinstance(first, Tensor) and first.ndim == 4 and first.shape[1] != 3:
        raise BadCheckpoint(
            f"{what} was trained on inputs of {first.shape[1]} channels (sketches, segmentation maps or "
            "the like), not on photos; an encoder for photos takes 3."
        )
    units = {int(m[1]) for m in (re.match(r"body\.(\d{1,4})\.", name) for name in tensors) if m}
    if len(units) != sum(UNITS):
        raise BadCheckpoint(
            f"{what} has a trunk of {len(units)} units; only IR-SE50's {sum(UNITS)} are known."
        )
    return TensorTable({k: v for k, v in tensors.items() if not k.endswith(".num_batches_tracked")}, what)


def trunk_state(table: TensorTable) -> tuple[TrunkWidths, State]:
    """Take trunk and pyramid from the table -> their widths, and the state of `Trunk` below `trunk.`."""
    state: State = {}
    stem = _convolution(table, state, "input_layer.0", "stem.0", None, 3, 3)
    _norm(table, state, "input_layer.1", "stem.1", stem)
    state["stem.2.weight"] = table.take("input_layer.2.weight", stem)
    stages: list[int] = []
    unit, inputs = 0, stem
    for stage, count in enumerate(UNITS):
        for place in range(count):
            inputs = _unit(table, state, unit, f"stages.{stage}.{place}", inputs)
            unit += 1
        stages.append(inputs)
    _, fine, middle, coarse = stages
    for theirs, ours, width in (("latlayer1", "lateral_middle", middle), ("latlayer2", "lateral_fine", fine)):
        _convolution(table, state, theirs, ours, coarse, width, 1)
        state[f"{ours}.bias"] = table.take(f"{theirs}.bias", coarse)
    widths = TrunkWidths(stem, (stages[0], fine, middle, coarse))
    return widths, {f"trunk.{name}": tensor for name, tensor in state.items()}


def _unit(table: TensorTable, state: State, unit: int, ours: str, inputs: int) -> int:
    """One IR-SE unit -> its outputs."""
    residual, shortcut = f"body.{unit}.res_layer", f"body.{unit}.shortcut_layer"
    _norm(table, state, f"{residual}.0", f"{ours}.residual.0", inputs)
    width = _convolution(table, state, f"{residual}.1", f"{ours}.residual.1", None, inputs, 3)
    state[f"{ours}.residual.2.weight"] = table.take(f"{residual}.2.weight", width)
    _convolution(table, state, f"{residual}.3", f"{ours}.residual.3", width, width, 3)
    _norm(table, state, f"{residual}.4", f"{ours}.residual.4", width)
    squeezed = width // SE_REDUCTION
    _convolution(table, state, f"{residual}.5.fc1", f"{ours}.residual.5.squeeze", squeezed, width, 1)
    _convolution(table, state, f"{residual}.5.fc2", f"{ours}.residual.5.excite", width, squeezed, 1)
    if width != inputs:
        _convolution(table, state, f"{shortcut}.0", f"{ours}.shortcut.0", width, inputs, 1)
        _norm(table, state, f"{shortcut}.1", f"{ours}.shortcut.1", width)
    return width


def _convolution(
    table: TensorTable, state: State, theirs: str, ours: str, outputs: int | None, inputs: int, size: int
) -> int:
    weight = table.take(f"{theirs}.weight", outputs, inputs, size, size)
    state[f"{ours}.weight"] = weight
    return len(weight)


def _norm(table: TensorTable, state: State, theirs: str, ours: str, width: int) -> None:
    for name in NORM:
        state[f"{ours}.{name}"] = table.take(f"{theirs}.{name}", width)
    state[f"{ours}.num_batches_tracked"] = torch.tensor(0)


def mean_code(content: Mapping[str, Any], codes: int, width: int, what: str) -> Tensor | None:
    """`latent_avg` as (L, D) float32, one code repeated; None where the file has none.

    Raises: BadCheckpoint if it is not such codes, or the run's options say that the encoder does not start
    from it, so that its output is no offset.
    """
    if options(content).get("start_from_latent_avg") is False:
        raise BadCheckpoint(
            f"{what} gives codes, not offsets from the mean code, which this version cannot use."
        )
    mean = content.get("latent_avg")
    if mean is None:
        return None
    if not (isinstance(mean, Tensor) and mean.is_floating_point() and mean.isfinite().all()):
        raise BadCheckpoint(f"{what} has a latent_avg that is no tensor of finite numbers.")
    if tuple(mean.shape) not in ((width,), (1, width), (codes, width)):
        raise BadCheckpoint(
            f"{what} has a latent_avg of shape {tuple(mean.shape)} in place of ({codes}, {width})."
        )
    return mean.detach().float().expand(codes, width).contiguous()
