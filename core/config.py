"""Frozen, validated description of a whole model bundle; its networks': `core.network_config`.

A config says what a network *is*; weights come from outside (`core.checkpoints`).
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.generators.mobile.config import MobileConfig
from core.generators.stylegan2.config import GeneratorConfig, config_f_channels
from core.network_config import (
    ClassifierConfig,
    GradientBasisConfig,
    GradualEncoderConfig,
    InverterConfig,
    IterativeInverterConfig,
    ReferenceEditorConfig,
    RefinerConfig,
    StartConfig,
)
from core.references import MIXES

FORMAT_VERSION = 1
MAX_GALLERY = 256
SLIDER_RANGE = (-3.0, 3.0)
MAX_LOOK_NAME = 40

# By their entry `family`; in descriptions from before there were two it is missing, and means the first.
FamilyConfig = GeneratorConfig | MobileConfig
FAMILY_CONFIGS: Mapping[str, type[FamilyConfig]] = {"stylegan2": GeneratorConfig, "mobile": MobileConfig}


@dataclass(frozen=True)
class AlignmentTemplate:
    """Oriented square crop relative to FFHQ's (FFHQ itself: scale 1.0, shift 0.10).

    scale: side of the square over the side of the FFHQ crop.
    shift: centre = eyes' midpoint + shift * (mouth - eyes' midpoint).
    """

    scale: float = 1.0
    shift: float = 0.10

    def __post_init__(self) -> None:
        if not 0 < self.scale <= 4:
            raise ValueError(f"Template scale {self.scale} must be in (0, 4]")


@dataclass(frozen=True)
class AttributeConfig:
    """One slider. `unit` is the length of the step in W+ (per code, L2) at slider value 1; `group`: under
    which heading it stands with others, if there are headings."""

    name: str
    label: str
    unit: float = 1.0
    low: str = ""
    high: str = ""
    group: str = ""


@dataclass(frozen=True)
class LookConfig:
    """A stack of slider moves under a name.

    sliders: numbers in SLIDER_RANGE by slider; one at zero is the same as none, but one at least moves.
    group: of looks that take each other's place, as two hair colours do.
    """

    name: str
    sliders: Mapping[str, float]
    group: str = ""

    def __post_init__(self) -> None:
        for what, text in (("name", self.name), ("group", self.group)):
            if not (isinstance(text, str) and text == text.strip() and len(text) <= MAX_LOOK_NAME):
                raise ValueError(f"A look's {what} is up to {MAX_LOOK_NAME} letters, not {text!r:.80}")
        if not (self.name and isinstance(self.sliders, Mapping)):
            raise ValueError("A look has a name, and sliders")
        low, high = SLIDER_RANGE
        for name, value in self.sliders.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                raise ValueError(f"Slider {name!r:.80} goes from {low:g} to {high:g}, not to {value!r:.80}")
        object.__setattr__(self, "sliders", {name: float(v) for name, v in self.sliders.items() if v})
        if not self.sliders:
            raise ValueError(f"The look {self.name!r} moves no slider")


@dataclass(frozen=True)
class SourceConfig:
    """A file that a part of the bundle was imported from."""

    file: str
    sha256: str
    format: str
    licence: str
    parts: tuple[str, ...]  # what it gave: "generator", "inverter", "classifier", "directions"


@dataclass(frozen=True)
class PackageConfig:
    """An installed package that the generator's published weights are read from, as data.

    files: SHA-256 in hexadecimal, by name.
    """

    name: str
    version: str
    files: Mapping[str, str]

    def __post_init__(self) -> None:
        files = self.files if isinstance(self.files, Mapping) else {}
        texts = (self.name, self.version, *files, *files.values())
        if not (files and all(isinstance(text, str) and text for text in texts)):
            raise ValueError("A package has a name, a version, and files with their SHA-256")


@dataclass(frozen=True)
class BundleConfig:
    """Everything `model.json` says: what the networks are, how faces are cut, which sliders exist.

    A bundle opens photos by its inverter, by descent from its start or iterative inverter, or by one after
    the other; without any of them it opens none. One without a classifier has the sliders of `directions`
    alone, which are the same for every face.
    """

    name: str
    title: str
    version: str
    generator: FamilyConfig
    inverter: InverterConfig | GradualEncoderConfig | None
    classifier: ClassifierConfig | None
    template: AlignmentTemplate
    attributes: tuple[AttributeConfig, ...]
    licence: str = ""
    format_version: int = FORMAT_VERSION
    refiners: tuple[RefinerConfig, ...] = ()  # the first is the one used unless another is asked for
    reference_editor: ReferenceEditorConfig | None = None
    gallery: int = 0  # reference faces that come with the model
    directions: tuple[str, ...] = ()  # fixed directions, by name; a slider of that name follows one
    sources: tuple[SourceConfig, ...] = ()
    package: PackageConfig | None = None  # where the generator's weights are, if not in the bundle
    start: StartConfig | None = None  # where the descent that opens photos begins, by a linear guess
    iterative_inverter: IterativeInverterConfig | None = None  # where it begins, by passes that compare
    gradient_basis: GradientBasisConfig | None = None  # directions that its steps take
    parser: bool = False  # whether a face parser comes with it (`core.models.face_parser`)
    covers: bool = False  # whether what finds things before a face does, too (`core.models.cover_finder`)
    lpips: tuple[int, ...] = ()  # channels of the trunk of its LPIPS (`core.models.lpips`); (): it has none
    looks: tuple[LookConfig, ...] = ()  # that come with it; `core.looks` says which it can show

    def __post_init__(self) -> None:
        codes, width = self.generator.num_codes, self.generator.w_dim
        for part, config in (
            ("Inverter", self.inverter),
            ("Iterative inverter", self.iterative_inverter),
            ("Classifier", self.classifier),
        ):
            if config is not None and (config.num_codes, config.w_dim) != (codes, width):
                raise ValueError(
                    f"{part} makes {config.num_codes} codes of {config.w_dim}, "
                    f"the generator takes {codes} of {width}"
                )
        unknown = {a.name for a in self.attributes} - set(self.axes)
        if unknown:
            raise ValueError(f"Sliders without a direction: {', '.join(sorted(unknown))}")
        if self.covers and not self.parser:
            raise ValueError("Things before a face are found on a face parser's trunk; there is no parser")
        if self.lpips and not (len(self.lpips) == 5 and min(self.lpips) > 0):
            raise ValueError(f"LPIPS has five layers, not {self.lpips}")
        if len(set(self.axes)) < len(self.axes):
            raise ValueError(f"Every direction has a name of its own, unlike {', '.join(self.axes)}")
        self._check_refiners()
        if self.reference_editor is not None:
            self._check_reference_editor(self.reference_editor)
        if not (isinstance(self.gallery, int) and 0 <= self.gallery <= MAX_GALLERY):
            raise ValueError(f"A gallery has 0 to {MAX_GALLERY} faces, not {self.gallery!r}")

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of all directions that sliders can follow, the classifier's first."""
        return (*(self.classifier.attributes if self.classifier else ()), *self.directions)

    @property
    def opens_photos(self) -> bool:
        """Whether it has an inverter, or says where descent begins."""
        return any(part is not None for part in (self.inverter, self.start, self.iterative_inverter))

    @property
    def takes_encoders(self) -> bool:
        """Whether published encoders can be imported into it: all of them are StyleGAN2's."""
        return isinstance(self.generator, GeneratorConfig)

    @property
    def lacks(self) -> tuple[str, ...]:
        """What a bundle of these parts cannot do and what would mend that, in sentences for people."""
        return tuple(
            text
            for missing, text in (
                (
                    not self.opens_photos,
                    "It cannot open photos"
                    + ("; import an encoder: e4e, pSp or Style Transformer." if self.takes_encoders else "."),
                ),
                (
                    self.classifier is None and bool(self.attributes),
                    "Its sliders move every face the same way; the latent classifier gives each its own.",
                ),
                (
                    not self.attributes,
                    "It has no named sliders; import InterFaceGAN directions, GANSpace components or the "
                    "latent classifier, or name sliders of Explore.",
                ),
                (
                    self.inverter is not None and not self.refiners,
                    "It has no refiner, so that refine has best alone.",
                ),
            )
            if missing
        )

    def _check_refiners(self) -> None:
        if self.refiners and not isinstance(self.inverter, InverterConfig):
            raise ValueError("A refiner goes with a Style Transformer inverter, which this bundle lacks")
        stages = [refiner.stage for refiner in self.refiners]
        if len(set(stages)) < len(stages):
            raise ValueError(f"There may be one refiner of each stage, not {', '.join(stages)}")
        for refiner in self.refiners:
            if refiner.stage == "one_stage" and refiner.w_dim != self.generator.w_dim:
                raise ValueError(
                    f"Refiner one_stage takes features of width {refiner.w_dim}, "
                    f"the inverter's have {self.generator.w_dim}"
                )

    def _check_reference_editor(self, editor: ReferenceEditorConfig) -> None:
        codes, width = self.generator.num_codes, self.generator.w_dim
        if (editor.num_codes, editor.w_dim) != (codes, width):
            raise ValueError(
                f"Reference editor takes {editor.num_codes} codes of {editor.w_dim}, "
                f"the generator {codes} of {width}"
            )
        unknown = set(editor.attributes) - {a.name for a in self.attributes}
        if unknown and not editor.labels:
            raise ValueError(f"Reference editors without a slider: {', '.join(sorted(unknown))}")
        taken = set(editor.attributes) & set(MIXES)
        if taken:
            raise ValueError(f"Names of style mixing cannot be attributes: {', '.join(sorted(taken))}")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready containers; inverse of `from_dict`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "BundleConfig":
        """Build from parsed JSON.

        Raises: ValueError or TypeError, with a sentence, on any missing, unknown or ill-typed entry.
        """
        if data.get("format_version") != FORMAT_VERSION:
            raise ValueError(
                f"Bundle format {data.get('format_version')!r} is not {FORMAT_VERSION}, "
                "the one this version reads"
            )
        parts = dict(data)
        generator = parts.get("generator")
        family = generator.get("family", "stylegan2") if isinstance(generator, Mapping) else "stylegan2"
        if family not in FAMILY_CONFIGS:
            known = ", ".join(FAMILY_CONFIGS)
            raise ValueError(f"The generator's family {family!r:.40} is not one of {known}")
        inverter = parts.get("inverter")
        gradual = isinstance(inverter, Mapping) and "kind" in inverter
        for key, kind in (
            ("generator", FAMILY_CONFIGS[family]),
            ("inverter", GradualEncoderConfig if gradual else InverterConfig),
            ("classifier", ClassifierConfig),
            ("template", AlignmentTemplate),
        ):
            # Written as null, not left out: these two a bundle may do without.
            if not (key in ("inverter", "classifier") and key in parts and parts[key] is None):
                parts[key] = _build(kind, parts.get(key))
        parts["attributes"] = tuple(_build(AttributeConfig, a) for a in parts.get("attributes", ()))
        parts["looks"] = tuple(_build(LookConfig, look) for look in parts.get("looks", ()))
        parts["refiners"] = tuple(_build(RefinerConfig, r) for r in parts.get("refiners", ()))
        parts["sources"] = tuple(_build(SourceConfig, source) for source in parts.get("sources", ()))
        if parts.get("reference_editor") is not None:
            parts["reference_editor"] = _build(ReferenceEditorConfig, parts["reference_editor"])
        if parts.get("package") is not None:
            parts["package"] = _build(PackageConfig, parts["package"])
        if parts.get("start") is not None:
            parts["start"] = _build(StartConfig, parts["start"])
        if parts.get("gradient_basis") is not None:
            parts["gradient_basis"] = _build(GradientBasisConfig, parts["gradient_basis"])
        if parts.get("iterative_inverter") is not None:
            parts["iterative_inverter"] = _build(IterativeInverterConfig, parts["iterative_inverter"])
        return _build(cls, parts)


def _build(kind: type, data: Any) -> Any:
    if not isinstance(data, Mapping):
        raise ValueError(f"{kind.__name__} is missing or not an object")
    known = {f.name for f in dataclasses.fields(kind)}
    unknown = set(data) - known
    if unknown:
        raise ValueError(f"{kind.__name__} has unknown entries: {', '.join(sorted(unknown))}")
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"{kind.__name__} is incomplete or ill-typed: {error}") from error


FFHQ_TEMPLATE = AlignmentTemplate(scale=1.0, shift=0.10)

PAPER_GENERATOR = GeneratorConfig(resolution=1024, channels=config_f_channels(1024))
PAPER_INVERTER = InverterConfig(num_codes=18)
