"""Style Transformer's latent classifier (Hu et al., CVPR 2022): 40 attributes of CelebA from W+ codes.

Its embedding goes into the logit as it is, without an activation.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch

from core.errors import BadCheckpoint
from core.importing.formats.parts import Parts, State, TensorTable
from core.network_config import ClassifierConfig

LICENCE = "None stated by its authors; trained on CelebA, which is for non-commercial research"
W_DIM = 512  # the file has codes and their width as one product only
# In the order of CelebA's list_attr_celeba.txt.
ATTRIBUTES = (
    "5_o_clock_shadow",
    "arched_eyebrows",
    "attractive",
    "bags_under_eyes",
    "bald",
    "bangs",
    "big_lips",
    "big_nose",
    "black_hair",
    "blond_hair",
    "blurry",
    "brown_hair",
    "bushy_eyebrows",
    "chubby",
    "double_chin",
    "eyeglasses",
    "goatee",
    "gray_hair",
    "heavy_makeup",
    "high_cheekbones",
    "male",
    "mouth_slightly_open",
    "mustache",
    "narrow_eyes",
    "no_beard",
    "oval_face",
    "pale_skin",
    "pointy_nose",
    "receding_hairline",
    "rosy_cheeks",
    "sideburns",
    "smiling",
    "straight_hair",
    "wavy_hair",
    "wearing_earrings",
    "wearing_hat",
    "wearing_lipstick",
    "wearing_necklace",
    "wearing_necktie",
    "young",
)


def recognises(content: Any) -> bool:
    """Is this a latent classifier?"""
    tensors = _tensors(content)
    return "fcs.0.weight" in tensors and "indep_fcs.0.weight" in tensors


def convert(content: Any, stem: str) -> Parts:
    """The classifier of a file that `recognises`; stem: its name, to begin a sentence.

    Raises: BadCheckpoint if it has not 40 attributes, or a tensor is missing, ill-shaped or unknown.
    """
    tensors = _tensors(content)
    branches = {int(m[1]) for m in (re.match(r"indep_fcs\.(\d{1,4})\.", name) for name in tensors) if m}
    if len(branches) != len(ATTRIBUTES):
        raise BadCheckpoint(
            f"{stem} tells {len(branches)} attributes; only CelebA's {len(ATTRIBUTES)} have known names."
        )
    table = TensorTable(tensors, stem)
    first = table.take("fcs.0.weight", None, None)
    second = table.take("fcs.1.weight", None, len(first))
    state: State = {"trunk.1.weight": first, "trunk.3.weight": second}
    state["trunk.1.bias"] = table.take("fcs.0.bias", len(first))
    state["trunk.3.bias"] = table.take("fcs.1.bias", len(second))
    embedding = _branches(table, state, len(second))
    table.finish()
    codes, rest = divmod(first.shape[1], W_DIM)
    if rest or not codes:
        raise BadCheckpoint(f"{stem} takes {first.shape[1]} numbers, which are no codes of {W_DIM}.")
    config = ClassifierConfig(
        num_codes=codes,
        attributes=ATTRIBUTES,
        w_dim=W_DIM,
        hidden=(len(first), len(second)),
        embedding=embedding,
        linear_embedding=True,
    )
    return Parts(format="Style Transformer's latent classifier", licence=LICENCE, classifier=(config, state))


def _branches(table: TensorTable, state: State, inputs: int) -> int:
    """All branches, stacked -> the width of their embedding."""
    weights = [table.take("indep_fcs.0.weight", None, inputs)]
    width = len(weights[0])
    count = range(len(ATTRIBUTES))
    weights += [table.take(f"indep_fcs.{k}.weight", width, inputs) for k in count[1:]]
    state["embedding.weight"] = torch.stack(weights)
    state["embedding.bias"] = torch.stack([table.take(f"indep_fcs.{k}.bias", width) for k in count])
    state["logit.weight"] = torch.stack([table.take(f"output_fcs.{k}.weight", 1, width) for k in count])
    state["logit.bias"] = torch.stack([table.take(f"output_fcs.{k}.bias", 1) for k in count])
    return width


def _tensors(content: Any) -> dict[str, Any]:
    state = content.get("state_dict") if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping):
        return {}
    return {str(name).removeprefix("module."): value for name, value in state.items()}
