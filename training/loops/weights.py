"""Weights on their way: home from a lent machine in small files, and into a network that has grown."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from core.models.style_transformer import StyleTransformer

PIECE_BYTES = 15 * 2**20


def save_half(path: Path, module: nn.Module) -> None:
    """Write what is floating point as float16: to `path`, or in pieces `STEM-0.pt`, `STEM-1.pt`, ...

    Pieces hold at most PIECE_BYTES of weights (or one larger tensor).
    """
    state = {k: v.half().cpu() for k, v in module.state_dict().items() if v.is_floating_point()}
    pieces: list[dict[str, Tensor]] = [{}]
    for name, tensor in state.items():
        if pieces[-1] and sum(t.nbytes for t in pieces[-1].values()) + tensor.nbytes > PIECE_BYTES:
            pieces.append({})
        pieces[-1][name] = tensor
    for old in _files(path):
        old.unlink()
    names = [path] if len(pieces) == 1 else [_piece(path, i) for i in range(len(pieces))]
    for file, piece in zip(names, pieces, strict=True):
        torch.save(piece, file)


def load_half(path: Path, module: nn.Module) -> None:
    """Read what `save_half` wrote into a module; its integer buffers stay.

    Raises: FileNotFoundError where neither the file nor its first piece is there; RuntimeError where names
    or shapes do not match (a piece is missing, say).
    """
    files = _files(path)
    if not files:
        raise FileNotFoundError(f"There is neither {path} nor {_piece(path, 0).name} beside it")
    state = {k: v for k, v in module.state_dict().items() if not v.is_floating_point()}
    for file in files:
        state |= torch.load(file, map_location="cpu", weights_only=True)
    module.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})


def load_started(inverter: StyleTransformer, state: Mapping[str, Tensor]) -> None:
    """Load an earlier inverter's weights; a dense head that it lacked stays as it is, all else must fit."""
    fresh = {k: v for k, v in inverter.state_dict().items() if k.startswith("dense.")}
    inverter.load_state_dict({**fresh, **state})


def _piece(path: Path, index: int) -> Path:
    return path.with_name(f"{path.stem}-{index}{path.suffix}")


def _files(path: Path) -> list[Path]:
    """The file, or its pieces; none if nothing is there."""
    if path.exists():
        return [path]
    return sorted(path.parent.glob(f"{path.stem}-[0-9]{path.suffix}"))
