"""What a model costs on this machine: milliseconds and memory, beside what its networks cost anywhere."""

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
from torch import Tensor

from cli.costs import (
    editor_costs,
    network_costs,
    parser_costs,
    pass_costs,
    refiner_costs,
)
from core.engine import Engine
from core.errors import BadCheckpoint, BadRequest, Cancelled, NoFaceFound
from core.generators.mobile.config import FFHQ_1024
from core.generators.mobile.package import package_folder
from core.generators.stylegan2.network import Generator
from core.generators.stylegan2.plain import plain_synthesis
from core.images import to_array
from core.network_config import (
    InverterConfig,
)
from core.references import Take
from core.session import EditRequest, Portrait, View

RUNS, WARM_UP = 21, 3
# Of a run that is slow there are fewer.
MOST_SECONDS = 20.0
# Where codes act on fewer px there is nothing to gain from going on with what came before them.
RESTARTED_FROM = 128
PHOTO_SIDE, FACE_SIDE = 640, 320
# Fewer pixels than this are no picture to judge an edit by.
PREVIEW = 256
SAMPLES_TRIED = 16
# As the app shows an edit, unless it is told otherwise.
WHOLE = View(start="photo", output="photo")


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
