"""What networks cost: parameters and multiply-accumulates, without weights."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from core.config import PAPER_GENERATOR, PAPER_INVERTER, FamilyConfig
from core.generators.registry import build_generator
from core.models.face_parser import SIDE, FaceParser
from core.models.inverter import build_inverter
from core.models.iterative_inverter import DESCRIPTORS, IterativeInverter
from core.models.latent_classifier import LatentClassifier
from core.models.reference_editor import ReferenceEditor
from core.models.refine_style import RefineStyle
from core.network_config import (
    ClassifierConfig,
    GradualEncoderConfig,
    InverterConfig,
    IterativeInverterConfig,
    ReferenceEditorConfig,
    RefinerConfig,
)

# The classifier of the paper has a branch for each of CelebA's 40 attributes.
PAPER_CLASSIFIER = ClassifierConfig(num_codes=18, attributes=tuple(f"attribute_{i}" for i in range(40)))
# Xia et al. refine the last ten convolutions at the inverter's side, or all seventeen behind it.
PAPER_REFINERS = (RefinerConfig("one_stage", layers=10), RefinerConfig("two_stage", layers=17))
PAPER_EDITOR = ReferenceEditorConfig(num_codes=18, attributes=("attribute",))

Cost = dict[str, int]
Costs = dict[str, Cost]


def parameters(module: nn.Module) -> int:
    """Trainable numbers; buffers such as noise and means are not counted."""
    return sum(p.numel() for p in module.parameters())


def macs(run: Callable[[], object]) -> int:
    """Multiply-accumulates of every convolution and matrix product that `run` carries out.

    Counted from the operators themselves, not from the modules, so that modulated convolutions and both
    products of attention are seen.
    """
    counter = FlopCounterMode(display=False)
    # The counter does not know torch's fused attention, neither of the two: plain products instead.
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH), counter:
            run()
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    # A product and its sum are two operations.
    return counter.get_total_flops() // 2


def network_costs(
    generator: FamilyConfig,
    inverter: InverterConfig | GradualEncoderConfig | None,
    classifier: ClassifierConfig | None,
) -> Costs:
    """{"generator" | "mapping" | "inverter" | "classifier": {"parameters", "macs"}} for one image.

    Without weights: the tensors have shapes and nothing else. The generator's MACs are those of its
    synthesis; "mapping", its MLP, is counted in "generator" too, and the copy of it that a Style Transformer
    has in "inverter".
    """
    # Not the meta device: the generator asks for autocast by its device, and that one has none.
    with FakeTensorMode():
        g = build_generator(generator).eval()
        codes = torch.empty(1, generator.num_codes, generator.w_dim)
        queries = torch.empty(generator.num_codes, generator.z_dim)
        runs: dict[str, tuple[nn.Module, Callable[[], object]]] = {
            "generator": (g, lambda: g.synthesis(codes)),
            "mapping": (g.mapping, lambda: g.mapped(queries)),
        }
        if inverter is not None:
            e = build_inverter(inverter).eval()
            image = torch.empty(1, 3, inverter.input_resolution, inverter.input_resolution)
            runs["inverter"] = e, lambda: e(image)
        if classifier is not None:
            c = LatentClassifier(classifier).eval()
            runs["classifier"] = c, lambda: c(codes)
        return {
            name: {"parameters": parameters(module), "macs": macs(run)}
            for name, (module, run) in runs.items()
        }


def pass_costs(config: IterativeInverterConfig) -> Cost:
    """One pass of an iterative inverter, which looks at the photo and at the picture of the code so far."""
    with FakeTensorMode():
        module = IterativeInverter(config).eval()
        side = config.input_resolution
        picture, descriptors = torch.empty(1, 3, side, side), torch.empty(1, DESCRIPTORS)
        v = torch.empty(1, config.num_codes, config.w_dim)

        def run() -> Tensor:
            return module(module.look(picture, descriptors), module.look(picture, descriptors), v)

        return {"parameters": parameters(module), "macs": macs(run)}


def parser_costs() -> Cost:
    """The face parser, for one crop."""
    with FakeTensorMode():
        module, picture = FaceParser().eval(), torch.empty(1, 3, SIDE, SIDE)
        return {"parameters": parameters(module), "macs": macs(lambda: module(picture))}


def refiner_costs(refiner: RefinerConfig, generator: FamilyConfig, inverter: InverterConfig) -> Cost:
    """What a refiner adds to inverter and generator for one image, counted without weights."""
    with FakeTensorMode():
        module = RefineStyle(refiner, build_generator(generator).low_rank or ()).eval()
        if refiner.stage == "one_stage":
            side = inverter.input_resolution // 4
            finest = torch.empty(1, inverter.w_dim, side, side)
            return {"parameters": parameters(module), "macs": macs(lambda: module.one_stage(finest))}
        image = torch.empty(1, 3, generator.resolution, generator.resolution)
        return {"parameters": parameters(module), "macs": macs(lambda: module.two_stage(image, image))}


def editor_costs(editor: ReferenceEditorConfig) -> Cost:
    """All attributes' modules together, for one edit that takes them all; counted without weights."""
    with FakeTensorMode():
        module = ReferenceEditor(editor).eval()
        codes = torch.empty(1, editor.num_codes, editor.w_dim)
        count = len(editor.attributes)
        return {"parameters": count * parameters(module), "macs": count * macs(lambda: module(codes, codes))}


def paper_costs() -> Costs:
    """Costs at the papers' size (1024 px generator, 256 px inverter input, 40 attributes).

    As the papers' tables do, "style_transformer" leaves out the MLP, which belongs to the generator, and
    "refine_style_one_stage" includes the inverter whose features it reads; its MACs include the MLP, which
    it trains (0.04 G). "reference_editor" is the module of one attribute, as wide as the codes.
    Convolutions and matrix products alone are counted: the papers' 36.37, 43.0 and 51.1 G come out with one
    more for every element that batch norm or PReLU touches (0.05 G in such a trunk).
    """
    costs = network_costs(PAPER_GENERATOR, PAPER_INVERTER, PAPER_CLASSIFIER)
    inverter, mapping = costs["inverter"], costs["mapping"]
    one_stage, two_stage = (refiner_costs(r, PAPER_GENERATOR, PAPER_INVERTER) for r in PAPER_REFINERS)
    return {
        "style_transformer": {key: inverter[key] - mapping[key] for key in inverter},
        "generator": costs["generator"],
        "mapping": mapping,
        "latent_classifier": costs["classifier"],
        "refine_style_one_stage": {
            "parameters": inverter["parameters"] - mapping["parameters"] + one_stage["parameters"],
            "macs": inverter["macs"] + one_stage["macs"],
        },
        "refine_style_two_stage": two_stage,
        "reference_editor": editor_costs(PAPER_EDITOR),
    }
