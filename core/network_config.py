"""Frozen, validated descriptions of the networks that stand before and after a generator.

A config says what a network *is*; weights come from outside (`core.checkpoints`).
"""

from dataclasses import dataclass
from typing import Literal

from core.generators.limits import check_depth

# Where in a picture something may belong, as a face parser sees it (`core.faces.regions`).
REGION_NAMES = ("hair", "tint", "eyes", "brows", "nose", "mouth", "jaw", "glasses", "skin")
MAX_POLISH = 100  # a description from a stranger must not keep the machine busy for hours


def _is_power_of_two(n: int) -> bool:
    return n >= 4 and n & (n - 1) == 0


@dataclass(frozen=True)
class InverterConfig:
    """Style Transformer (Hu et al., CVPR 2022): IR-SE trunk, feature pyramid, three decoder layers."""

    num_codes: int
    w_dim: int = 512
    input_resolution: int = 256
    stem_width: int = 64
    widths: tuple[int, int, int, int] = (64, 128, 256, 512)
    units: tuple[int, int, int, int] = (3, 4, 14, 3)
    heads: int = 4
    feedforward: int = 1024
    dropout: float = 0.1
    mapping_layers: int = 8
    dense_width: int = 0  # hidden width of the dense head beside the attention; 0, the paper's: none

    def __post_init__(self) -> None:
        check_depth("The encoder", self.mapping_layers, *self.units)
        if self.dense_width < 0:
            raise ValueError(f"Dense width {self.dense_width} must be 0 or more")
        if self.w_dim % self.heads:
            raise ValueError(f"w width {self.w_dim} must be divisible by num_heads {self.heads}")
        if self.input_resolution % 16:
            raise ValueError(f"Input resolution {self.input_resolution} must be divisible by 16")


@dataclass(frozen=True)
class GradualEncoderConfig:
    """The encoders of pSp (Richardson et al., CVPR 2021) and e4e (Tov et al., SIGGRAPH 2021).

    Both have Style Transformer's trunk and one small convolutional head ("map2style") for each code.
    kind: "psp", where every head gives its code, or "e4e", where the first gives a base code and the others
    offsets from it.
    """

    kind: Literal["psp", "e4e"]
    num_codes: int
    w_dim: int = 512
    input_resolution: int = 256
    stem_width: int = 64
    widths: tuple[int, int, int, int] = (64, 128, 256, 512)
    units: tuple[int, int, int, int] = (3, 4, 14, 3)

    def __post_init__(self) -> None:
        check_depth("The encoder", *self.units)
        if self.kind not in ("psp", "e4e"):
            raise ValueError(f"Encoder kind {self.kind!r} must be psp or e4e")
        if not _is_power_of_two(self.input_resolution) or self.input_resolution < 32:
            raise ValueError(f"Input resolution {self.input_resolution} must be a power of two from 32 on")


@dataclass(frozen=True)
class IterativeInverterConfig:
    """Style Transformer's decoder in passes that compare (`core.models.iterative_inverter`).

    width: of queries and features; dense: hidden width beside the attention; passes: as many as it was
    trained for.
    """

    num_codes: int
    w_dim: int = 512
    width: int = 256
    heads: int = 4
    feedforward: int = 1024
    dense: int = 384
    passes: int = 2
    dropout: float = 0.0
    input_resolution: int = 256

    def __post_init__(self) -> None:
        check_depth("The encoder", self.passes)
        if self.width % self.heads:
            raise ValueError(f"Query width {self.width} must be divisible by num_heads {self.heads}")
        if self.input_resolution % 32 or min(self.input_resolution, self.passes, self.dense) < 1:
            raise ValueError("It sees n x 32 px, in one pass or more, with a dense width of 1 or more")


@dataclass(frozen=True)
class RefinerConfig:
    """RefineStyle (Xia et al. 2024): grouped transformer over token sets of the last `layers` convolutions.

    A two-stage refiner has a trunk of its own (stem_width, widths, units), which sees the photo and its
    inversion at input_resolution * fold, each fold x fold pixels as channels (fold 1, the paper's: none).
    polish: steps of direct optimisation that follow the prediction (0, the paper's inversion: none).
    """

    stage: Literal["one_stage", "two_stage"]
    layers: int
    tokens: int = 32
    w_dim: int = 512
    heads: int = 4
    feedforward: int = 1024
    dropout: float = 0.1
    input_resolution: int = 256
    fold: int = 1
    stem_width: int = 64
    widths: tuple[int, int, int, int] = (64, 128, 256, 512)
    units: tuple[int, int, int, int] = (3, 4, 14, 3)
    polish: int = 0

    def __post_init__(self) -> None:
        check_depth("A refiner", self.layers, *self.units)
        if self.stage not in ("one_stage", "two_stage"):
            raise ValueError(f"Refiner stage {self.stage!r} must be one_stage or two_stage")
        if self.w_dim % self.heads:
            raise ValueError(f"Token width {self.w_dim} must be divisible by num_heads {self.heads}")
        if min(self.layers, self.tokens, self.fold) < 1:
            raise ValueError("A refiner needs at least one layer, one token and fold 1")
        if not 0 <= self.polish <= MAX_POLISH:
            raise ValueError(f"Polish {self.polish} must be from 0 to {MAX_POLISH}")


@dataclass(frozen=True)
class ClassifierConfig:
    """Latent classifier of Style Transformer, section 4: one branch for each attribute.

    linear_embedding: no activation between embedding and logit, as in the published weights. activation: the
    paper's, or "softplus", whose second derivative is not zero almost everywhere: with a piecewise linear one
    the second order (equation 8) knows no curvature but the loss's own.
    """

    num_codes: int
    attributes: tuple[str, ...]
    w_dim: int = 512
    hidden: tuple[int, int] = (2048, 512)
    embedding: int = 32
    linear_embedding: bool = False
    activation: str = "leaky_relu"

    def __post_init__(self) -> None:
        if self.activation not in ("leaky_relu", "softplus"):
            raise ValueError(
                f"The classifier's activation is leaky_relu or softplus, not {self.activation!r:.40}"
            )


@dataclass(frozen=True)
class ReferenceEditorConfig:
    """Reference editor T of Style Transformer, section 4.1: one module for each of `attributes`.

    width: of the tokens that attention works on; below w_dim, the paper's, modules become small enough that
    there can be many. labels: what each attribute is called on the page; (): every one is a slider's.
    longest: what no code's step reaches, its length in W; None: there is no such length. regions: where in a
    picture what each attribute gives belongs, of REGION_NAMES, or "", everywhere; (): all of it everywhere.
    """

    num_codes: int
    attributes: tuple[str, ...]
    w_dim: int = 512
    width: int = 512
    heads: int = 4
    labels: tuple[str, ...] = ()
    longest: float | None = None
    regions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.width < 1 or self.width % self.heads:
            raise ValueError(f"Editor width {self.width} must be divisible by num_heads {self.heads}")
        if len(set(self.attributes)) < len(self.attributes):
            raise ValueError(f"An attribute has one reference editor, not {', '.join(self.attributes)}")
        if self.labels and len(self.labels) != len(self.attributes):
            raise ValueError(
                f"{len(self.labels)} labels do not name {len(self.attributes)} reference editors"
            )
        if not all(isinstance(label, str) for label in self.labels):
            raise ValueError("A reference editor's label is a text")
        if self.longest is not None and not self.longest > 0:
            raise ValueError(f"A reference editor's longest step is above 0, not {self.longest}")
        if self.regions and len(self.regions) != len(self.attributes):
            raise ValueError(f"{len(self.regions)} regions do not suit {len(self.attributes)} editors")
        if not set(self.regions) <= {"", *REGION_NAMES}:
            raise ValueError(f"A reference editor's region is one of {', '.join(REGION_NAMES)}, or none")


@dataclass(frozen=True)
class StartConfig:
    """Where descent on a photo starts (`core.inversion.start`): a linear guess in closed form.

    features: numbers that it sees; rank: components that are kept; coordinates: of the whitened code.
    """

    features: int
    rank: int
    coordinates: int

    def __post_init__(self) -> None:
        if min(self.features, self.rank, self.coordinates) < 1:
            raise ValueError("A start has at least one feature, one component and one coordinate")


@dataclass(frozen=True)
class GradientBasisConfig:
    """Directions that a descent's gradients take (`core.inversion.gradient_basis`).

    groups: one of what codes share, and one for each free code; coordinates: of each; rank: directions.
    """

    groups: int
    coordinates: int
    rank: int

    def __post_init__(self) -> None:
        if self.groups < 2 or not 1 <= self.rank <= self.coordinates:
            raise ValueError(
                f"A gradient basis has two groups or more of at most as many directions as coordinates, not "
                f"{self.groups} of {self.rank} of {self.coordinates}"
            )
