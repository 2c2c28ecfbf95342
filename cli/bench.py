"""What the models cost: parameters, multiply-accumulates, milliseconds, memory."""

import contextlib
import itertools
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from core.config import PAPER_GENERATOR, PAPER_INVERTER, FamilyConfig
from core.engine import Engine
from core.errors import BadCheckpoint, BadRequest, Cancelled, NoFaceFound
from core.generators.mobile.config import FFHQ_1024
from core.generators.mobile.package import package_folder
from core.generators.registry import build_generator
from core.generators.stylegan2.network import Generator
from core.generators.stylegan2.plain import plain_synthesis
from core.images import to_array
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
from core.references import Take
from core.session import EditRequest, Portrait, View

RUNS, WARM_UP = 21, 3
# Of a run that is slow there are fewer.
MOST_SECONDS = 20.0
# Where codes act on fewer px there is nothing to gain from going on with what came before them.
RESTARTED_FROM = 128
# The classifier of the paper has a branch for each of CelebA's 40 attributes.
PAPER_CLASSIFIER = ClassifierConfig(num_codes=18, attributes=tuple(f"attribute_{i}" for i in range(40)))
# Xia et al. refine the last ten convolutions at the inverter's side, or all seventeen behind it.
PAPER_REFINERS = (RefinerConfig("one_stage", layers=10), RefinerConfig("two_stage", layers=17))
PAPER_EDITOR = ReferenceEditorConfig(num_codes=18, attributes=("attribute",))
PHOTO_SIDE, FACE_SIDE = 640, 320
# Fewer pixels than this are no picture to judge an edit by.
PREVIEW = 256
SAMPLES_TRIED = 16
# As the app shows an edit, unless it is told otherwise.
WHOLE = View(start="photo", output="photo")

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


def benchmark(engine: Engine, photo: np.ndarray | None = None) -> dict[str, Any]:
    """Medians over up to RUNS calls, peak memory of this process, and the costs of the engine's networks.

    photo: HWC uint8 with a face; by default one that the engine's own generator makes.
    Returns {"milliseconds": {"edit", "edit_photo", "render", "render_plain"}, "times_faster", "peak_mib",
    "peak_best_mib", "device", "parameters", "macs"}: "edit" gives the face, "edit_photo" lays the edit on
    the whole photo's own pixels; "render_plain" is the generator as the paper writes it, in float32, and
    "times_faster" its time over "render"'s. "peak_mib" is what all of this takes but best and the plain
    rendering, "peak_best_mib" with best. Where the model can: "open"; "best_step", one step of the best
    refinement; "open_fast", opening and refining, and "edit_fast"; "edit_reference", which takes all
    attributes from a face of the gallery or, without one, from the mean face; "render_R", the picture made
    with R pixels, for every size but the full one, and "edit_preview", the least of PREVIEW or more with
    its way to an array; "render_from_R", a picture whose codes are those of the last one where they act on
    fewer than R pixels. Where OpenVINO is installed and the generator is the published one of 1024 px:
    "render_openvino", its own run of the generator's files, and "of_openvino", the time of "render" over
    that.
    Raises: NoFaceFound; BadRequest if no photo is given and none can be made.
    """
    if photo is None and engine.opens_photos:
        photo = sample_photo(engine)
    config = engine.config
    costs = network_costs(config.generator, config.inverter, config.classifier)
    for refiner in config.refiners:
        assert isinstance(config.inverter, InverterConfig)  # the config sees to it
        costs[f"refiner_{refiner.stage}"] = refiner_costs(refiner, config.generator, config.inverter)
    if config.reference_editor is not None:
        costs["reference_editors"] = editor_costs(config.reference_editor)
    if config.iterative_inverter is not None:
        costs["pass"] = pass_costs(config.iterative_inverter)
    if config.parser:
        costs["parser"] = parser_costs()
    portrait = _generated(engine) if photo is None else engine.open_portrait(photo)
    times = _timings(engine, portrait)
    peak = peak_mib()
    if engine.refinements["best"] is None:
        times["best_step"] = _best_step_ms(engine, portrait)
    with_best = peak_mib()
    times["render_plain"] = engine.run(lambda: _median_ms(lambda _: _render_plain(engine)))
    theirs = openvino_ms(engine)
    if theirs is not None:
        times["render_openvino"] = theirs
    return {
        "milliseconds": times,
        "times_faster": times["render_plain"] / times["render"],
        **({} if theirs is None else {"of_openvino": times["render"] / theirs}),
        "peak_mib": peak,
        "peak_best_mib": with_best,
        "device": str(engine.device),
        "parameters": {name: cost["parameters"] for name, cost in costs.items()},
        "macs": {name: cost["macs"] for name, cost in costs.items()},
    }


def sample_photo(engine: Engine) -> np.ndarray:
    """(640, 640, 3) uint8: a generated face in the middle of a plain picture, as large as in a portrait.

    Raises: BadRequest if the detector finds a face in none of the samples.
    """
    for face in engine.samples(SAMPLES_TRIED, seed=0):
        margin = (PHOTO_SIDE - FACE_SIDE) // 2
        face = cv2.resize(face, (FACE_SIDE, FACE_SIDE), interpolation=cv2.INTER_CUBIC)
        photo = cv2.copyMakeBorder(face, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
        if engine.find_faces(photo):
            return photo
    raise BadRequest("No face is found in what this model generates; give a portrait with --photo.")


def peak_mib() -> float:
    """The most memory that this process has held so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def _timings(engine: Engine, portrait: Portrait) -> dict[str, float]:
    named = engine.config.attributes
    name = named[0].name if named else engine.explorable[0]

    def open_fresh(i: int, blue: int = 0) -> Portrait:
        # One pixel in the corner makes it another photo, which no cache has seen.
        changed = portrait.photo.copy()
        changed[0, 0] = (i, 255 - i, blue)
        return engine.open_portrait(changed)

    def edit(i: int) -> None:
        engine.edit(portrait, EditRequest(sliders={name: 0.1 * (i + 1)}))

    def edit_photo(i: int) -> None:
        engine.edit(portrait, EditRequest(sliders={name: -0.1 * (i + 1)}, view=WHOLE))

    def open_fast(i: int) -> None:
        engine.refine(open_fresh(i, blue=1), "fast")

    def edit_fast(i: int) -> None:
        engine.edit(refined, EditRequest(sliders={name: 0.1 * (i + 1)}, refine="fast"))

    def render(i: int) -> None:
        # Every code is another one: nothing of the last picture can be used again.
        engine.renderer.render(portrait.w_plus[None] + 1e-3 * i)
        _synchronize(engine)

    runs: dict[str, Callable[[int], object]] = {"edit": edit, "edit_photo": edit_photo}
    if engine.opens_photos:
        runs["open"] = open_fresh
    if engine.refinements["fast"] is None:
        refined = engine.refine(portrait, "fast")
        runs |= {"open_fast": open_fast, "edit_fast": edit_fast}
    if engine.config.reference_editor is not None:
        what = engine.config.reference_editor.attributes
        face = (
            engine.gallery[0] if engine.gallery else engine.invert_picture(engine.samples(1, 0, psi=0.0)[0])
        )

        def edit_reference(i: int) -> None:
            engine.edit(portrait, EditRequest(takes=(Take(face, what, 0.05 * (i + 1)),)))

        runs["edit_reference"] = edit_reference
    times = {name: _median_ms(run) for name, run in runs.items()}
    times["render"] = engine.run(lambda: _median_ms(render))
    times |= engine.run(lambda: _smaller(engine, portrait.w_plus[None]))
    return times | engine.run(lambda: _restarted(engine, portrait.w_plus[None]))


def _smaller(engine: Engine, w: Tensor) -> dict[str, float]:
    """Milliseconds of the pictures that are not full ones, w (1, L, D)."""
    times = {}
    for size in engine.generator.sizes[:-1]:

        def run(i: int, size: int = size) -> None:
            engine.renderer.render(w + 1e-3 * i, size=size)
            _synchronize(engine)

        def preview(i: int, size: int = size) -> None:
            to_array(engine.renderer.render(w + 1e-3 * i, size=size))

        times[f"render_{size}"] = _median_ms(run)
        if size >= PREVIEW and "edit_preview" not in times:
            times["edit_preview"] = _median_ms(preview)
    return times


def openvino_ms(engine: Engine) -> float | None:
    """Milliseconds of OpenVINO on the files that the engine's generator was read from, in float32.

    None where it is another generator, or OpenVINO or the files are not there.
    """
    if getattr(engine.config.generator, "channels", None) != FFHQ_1024.channels:
        return None
    try:
        # Here, not above: nothing of the product needs it.
        import openvino

        files = package_folder()
    except (ImportError, BadCheckpoint):
        return None
    core = openvino.Core()
    hints = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    compiled = core.compile_model(core.read_model(files / "SynthesisNetwork.xml"), "CPU", hints)
    w = engine.generator.w_mean[:1].cpu().numpy()  # (1, D): the files take one w for all codes
    return _median_ms(lambda i: compiled([w + 1e-3 * i]))


def _restarted(engine: Engine, w: Tensor) -> dict[str, float]:
    """Milliseconds of pictures whose codes, w (1, L, D), change from one resolution on."""
    acts_at = engine.generator.layout.acts_at
    engine.renderer.render(w)  # what the others go on from
    times = {}
    for side in sorted({side for side in acts_at if side >= RESTARTED_FROM}):

        def run(i: int, first: int = acts_at.index(side)) -> None:
            changed = w.clone()
            changed[:, first:] += 1e-3 * (i + 1)
            engine.renderer.render(changed)
            _synchronize(engine)

        times[f"render_from_{side}"] = _median_ms(run)
    return times


@torch.inference_mode()
def _render_plain(engine: Engine) -> None:
    generator, w = engine.generator, engine.generator.w_mean[None]
    # Of other families `synthesis` is what is written plainly.
    plain_synthesis(generator, w) if isinstance(generator, Generator) else generator.synthesis(w)
    _synchronize(engine)


def _synchronize(engine: Engine) -> None:
    if engine.device.type == "cuda":
        torch.cuda.synchronize(engine.device)


def _generated(engine: Engine) -> Portrait:
    for seed in range(SAMPLES_TRIED):
        with contextlib.suppress(NoFaceFound):
            return engine.open_generated(seed)
    raise BadRequest("No face is found in what this model generates, and it opens no photos.")


def _best_step_ms(engine: Engine, portrait: Portrait) -> float:
    ends: list[float] = []

    def enough() -> bool:
        spent = ends[-1] - ends[0] if ends else 0.0
        return len(ends) > WARM_UP + RUNS or (len(ends) > WARM_UP + 1 and spent > MOST_SECONDS)

    with contextlib.suppress(Cancelled):
        engine.refine(portrait, "best", progress=lambda _: ends.append(time.perf_counter()), cancelled=enough)
    steps = [b - a for a, b in itertools.pairwise(ends)]
    return 1000 * statistics.median(steps[WARM_UP:])


def _median_ms(run: Callable[[int], object]) -> float:
    times: list[float] = []
    while len(times) < WARM_UP + RUNS and (len(times) <= WARM_UP or sum(times) < MOST_SECONDS):
        start = time.perf_counter()
        run(len(times))
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times[WARM_UP:])
