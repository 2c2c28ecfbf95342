"""What several files make together: a new bundle, or more of one that exists. The files' order is no matter.

A generator is never exchanged: every part of a bundle belongs to it. An encoder or classifier takes the place
of the former one; a direction takes the place of the one of its name.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from core.checkpoints import Bundle
from core.config import FFHQ_TEMPLATE, AttributeConfig, BundleConfig, FamilyConfig, SourceConfig
from core.errors import BadCheckpoint
from core.generators.stylegan2.config import resolution_of
from core.generators.stylegan2.network import Generator
from core.importing.formats.parts import Parts, State
from core.importing.install.sliders import (
    SUFFIX,
    attribute_slider,
    check_name,
    deviations,
    direction_slider,
    linear_directions,
    placed,
    sample_codes,
)
from core.models.inverter import build_inverter
from core.models.latent_classifier import LatentClassifier

# Of a tensor's largest entry: two copies of one generator differ by half precision, two generators by more.
SAME_WEIGHT = 1e-3
SAME_MEAN = 1e-3
# What may differ between copies of one generator: noise is drawn anew, statistics are estimates, and a Style
# Transformer file's mapping network was trained on with its encoder.
_FREE = ("mapping.", "w_mean", "code_mean", "code_basis")

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Source:
    """One file and what was found in it."""

    path: Path
    sha256: str
    parts: Parts


@dataclass(frozen=True)
class Merged:
    """A bundle in memory, without a fingerprint, and what people should know of how it came about."""

    bundle: Bundle
    notices: tuple[str, ...]


def begin(name: str, sources: Sequence[Source]) -> Bundle:
    """A bundle of the one generator that the files hold, and of nothing else yet.

    Raises: BadCheckpoint if there is none, or there are two.
    """
    giver = _giver(sources)
    if giver is None or giver.parts.generator is None:
        names = ", ".join(source.path.name for source in sources)
        raise BadCheckpoint(
            f"A bundle begins with a generator, which {names} does not hold; import a generator first, or "
            "import into a bundle that has one."
        )
    config, state = giver.parts.generator
    described = BundleConfig(
        name=name,
        title=name,
        version="0",
        generator=config,
        inverter=None,
        classifier=None,
        template=FFHQ_TEMPLATE,
        attributes=(),
        sources=(_origin(giver, "generator"),),
    )
    return Bundle.of(described, filled(lambda: Generator(config), state))


def _giver(sources: Sequence[Source]) -> Source | None:
    """The file whose generator it shall be: one that holds nothing else goes before an encoder's own copy."""
    givers = [source for source in sources if source.parts.generator]
    plain = [source for source in givers if source.parts.inverter is None]
    return next(iter(plain or givers), None)


def filled(build: Callable[[], Network], state: State) -> Network:
    """A network whose weights are these very tensors."""
    with torch.device("meta"):
        network = build()
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)


def merge(bundle: Bundle, sources: Sequence[Source]) -> Merged:
    """The bundle with all that the files give.

    Raises: BadCheckpoint if a file belongs to another generator, or two files give the same.
    """
    _check_once(sources)
    known = {source.sha256 for source in bundle.config.sources}
    for source in sources:
        _check_size(source, bundle.config)
        if source.sha256 not in known:
            _check_same_generator(source, bundle)
    notices: list[str] = []
    for source in sources:
        if source.parts.generator and not source.parts.inverter and source.sha256 not in known:
            notices.append(f"{source.path.name} holds the generator that {bundle.config.name} has already.")
        if source.parts.inverter is not None:
            bundle = _with_inverter(bundle, source, notices)
    if any(source.parts.classifier or source.parts.directions for source in sources):
        codes = sample_codes(bundle.generator)
        for source in sources:
            if source.parts.classifier is not None:
                bundle = _with_classifier(bundle, source, codes, notices)
        # What means one thing stands before what holds dozens.
        for source in sorted(sources, key=lambda source: (len(source.parts.directions), source.path.name)):
            if source.parts.directions:
                bundle = _with_directions(bundle, source, codes, notices)
    version = bundle.config.version
    version = str(int(version) + 1) if version.isdecimal() else version
    licence = bundle.config.licence
    for text in (source.licence.rstrip(".") for source in bundle.config.sources):
        if text not in licence:
            licence = f"{licence}; {text}" if licence else text
    config = dataclasses.replace(bundle.config, version=version, licence=licence)
    return Merged(dataclasses.replace(bundle, config=config), tuple(notices))


def _check_once(sources: Sequence[Source]) -> None:
    plain = [s for s in sources if s.parts.generator and s.parts.inverter is None]
    for what, givers in (
        ("a generator", plain),
        ("an encoder", [s for s in sources if s.parts.inverter]),
        ("a classifier", [s for s in sources if s.parts.classifier]),
    ):
        if len(givers) > 1:
            names = " and ".join(source.path.name for source in givers)
            raise BadCheckpoint(
                f"A bundle has one of each kind, but {what} is in {names}; import one of them."
            )
    counted = Counter(d.name for source in sources for d in source.parts.directions)
    for name in counted:
        check_name(name)
    twice = [name for name, count in counted.items() if count > 1]
    if twice:
        raise BadCheckpoint(f"Two of these files make a slider {twice[0]}; import one of them.")


def _check_size(source: Source, config: BundleConfig) -> None:
    parts, wanted = source.parts, config.generator
    configs = [part[0] for part in (parts.generator, parts.inverter, parts.classifier) if part]
    sizes = [(config.num_codes, config.w_dim) for config in configs]
    # One row stands for every code.
    sizes += [
        (len(d.step) if len(d.step) > 1 else wanted.num_codes, d.step.shape[1]) for d in parts.directions
    ]
    for codes, width in sizes:
        if codes != wanted.num_codes:
            model = ", such as the cars model" if codes == 16 else ""
            side = resolution_of(codes)
            size = f" ({side} px{model})" if side else ""
            raise BadCheckpoint(
                f"{source.path.name} is for a generator of {codes} codes{size}, {config.name} has "
                f"{wanted.num_codes} ({wanted.resolution} px)."
            )
        if width != wanted.w_dim:
            raise BadCheckpoint(
                f"{source.path.name} is for codes of {width} numbers, {config.name}'s have {wanted.w_dim}."
            )


def _check_same_generator(source: Source, bundle: Bundle) -> None:
    if source.parts.generator is None:
        return
    config, state = source.parts.generator
    known = bundle.generator.state_dict()
    names = [name for name in known if not (name.startswith(_FREE) or name.endswith(".noise"))]
    if _shape(config) == _shape(bundle.config.generator) and all(_alike(state[n], known[n]) for n in names):
        return
    what = "This encoder belongs to" if source.parts.inverter else "This is"
    raise BadCheckpoint(
        f"{source.path.name}: {what} another generator than {bundle.config.name}'s, whose codes mean other "
        "faces; import it under a name of its own."
    )


def _shape(config: FamilyConfig) -> tuple[object, ...]:
    return config.family, config.resolution, config.channels, config.w_dim


def _alike(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool((a - b).abs().max() <= SAME_WEIGHT * b.abs().max())


def _with_inverter(bundle: Bundle, source: Source, notices: list[str]) -> Bundle:
    """Our inverters add their offsets to the generator's w_mean, so the mean that this one was trained with
    becomes that. Nothing else is an offset from it: the encoder of before and its refiners go, and truncation
    does with any estimate of the mean.
    """
    assert source.parts.inverter is not None
    settings, state = source.parts.inverter
    if bundle.inverter is not None:
        notices.append(f"The encoder in {source.path.name} takes the place of the one that was there.")
    if bundle.refiners:
        notices.append("The refiners belonged to the former encoder and are gone.")
    generator, mean = bundle.generator, source.parts.mean_code
    if mean is not None:
        mean = mean.float().expand_as(generator.w_mean)
        if (mean - generator.w_mean).abs().max() > SAME_MEAN * generator.w_mean.abs().max():
            # Not in place: the tensor may be a file's.
            generator.w_mean = mean.clone()
            notices.append(
                f"The mean code is now the one that the encoder in {source.path.name} starts from."
            )
    inverter = filled(lambda: build_inverter(settings), state)
    config = dataclasses.replace(
        bundle.config, inverter=settings, refiners=(), sources=_sources(bundle.config, source, "inverter")
    )
    return dataclasses.replace(bundle, config=config, inverter=inverter, refiners={})


def _with_classifier(bundle: Bundle, source: Source, codes: Tensor, notices: list[str]) -> Bundle:
    assert source.parts.classifier is not None
    settings, state = source.parts.classifier
    if bundle.classifier is not None:
        notices.append(f"The classifier in {source.path.name} takes the place of the one that was there.")
    if bundle.reference_editors:
        notices.append("The reference editors belonged to the former classifier and are gone.")
    classifier = filled(lambda: LatentClassifier(settings), state)
    linear = linear_directions(classifier, codes)
    units = deviations(codes, linear).tolist()
    sliders = tuple(
        attribute_slider(name, unit) for name, unit in zip(settings.attributes, units, strict=True)
    )
    fixed = [a for a in bundle.config.attributes if a.name in bundle.config.directions]
    names = _unlike(bundle.config.directions, settings.attributes, notices)
    config = dataclasses.replace(
        bundle.config,
        classifier=settings,
        attributes=(*sliders, *(dataclasses.replace(a, name=names[a.name]) for a in fixed)),
        directions=tuple(names.values()),
        reference_editor=None,
        sources=_sources(bundle.config, source, "classifier"),
    )
    return dataclasses.replace(
        bundle, config=config, classifier=classifier, linear_directions=linear, reference_editors={}
    )


def _with_directions(bundle: Bundle, source: Source, codes: Tensor, notices: list[str]) -> Bundle:
    config = bundle.config
    taken = config.classifier.attributes if config.classifier else ()
    steps = dict(zip(config.directions, bundle.directions, strict=True))
    sliders: dict[str, AttributeConfig] = {a.name: a for a in config.attributes}
    named = {d.name: d for d in source.parts.directions}
    for plain, name in _unlike(named, taken, notices).items():
        step = placed(named[plain], bundle.generator)
        slider = direction_slider(named[plain], step, codes)
        if name in steps:
            notices.append(f"The slider {name} is now the one of {source.path.name}.")
        steps[name] = step
        sliders[name] = dataclasses.replace(slider, name=name)
    config = dataclasses.replace(
        config,
        attributes=tuple(sliders.values()),
        directions=tuple(steps),
        sources=_sources(config, source, "directions"),
    )
    return dataclasses.replace(bundle, config=config, directions=torch.stack(list(steps.values())))


def _unlike(names: Iterable[str], taken: Iterable[str], notices: list[str]) -> dict[str, str]:
    """Names of fixed directions by those that they had: an attribute's name is its classifier's."""
    found = {name: name + SUFFIX if name in set(taken) else name for name in names}
    for name, now in found.items():
        if now != name:
            notices.append(
                f"The classifier has an attribute {name}; the fixed direction is the slider {now}."
            )
    return found


def _sources(config: BundleConfig, source: Source, part: str) -> tuple[SourceConfig, ...]:
    """The bundle's sources with this file as that of `part`, of which there is one, unless directions."""
    kept = []
    for known in config.sources:
        if known.sha256 == source.sha256:
            continue
        parts = tuple(p for p in known.parts if p != part or part == "directions")
        if parts:
            kept.append(dataclasses.replace(known, parts=parts))
    own = [p for known in config.sources if known.sha256 == source.sha256 for p in known.parts if p != part]
    return (*kept, _origin(source, *own, part))


def _origin(source: Source, *parts: str) -> SourceConfig:
    return SourceConfig(source.path.name, source.sha256, source.parts.format, source.parts.licence, parts)
