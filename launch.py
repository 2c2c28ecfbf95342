"""Visagist's command line: serve the app (the default), edit, open, evaluate, bench, models.

Heavy imports stay inside the commands, so that help and mistakes answer at once.
"""

import argparse
import contextlib
import dataclasses
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from cli import models as models_command
from cli import options
from core.errors import BadRequest, VisagistError

EXIT_BAD_INPUT = 2
OPENING_SECONDS = 12.0  # of `core.opening`, which is too heavy to ask here
DEFAULTS = {
    "command": "serve",
    "model": "portrait1024",
    "device": "auto",
    "host": "127.0.0.1",
    "port": 7860,
    "share": False,
    "auth": None,
    "json": False,
    "max_megapixels": options.MOST_MEGAPIXELS,
}

Result = dict[str, Any]


class Parser(argparse.ArgumentParser):
    """Answers a mistake with one sentence instead of a page of usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_BAD_INPUT, f"{message[0].upper()}{message[1:]}; see {self.prog} --help.\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (2 for whatever the user can mend)."""
    # Defaults come from here alone: a subcommand's own would undo what was given before its name.
    args = build_parser().parse_args(argv, argparse.Namespace(**DEFAULTS))
    command, describe = COMMANDS[args.command]
    try:
        # Libraries print what they like; standard output belongs to the result.
        with contextlib.redirect_stdout(sys.stderr):
            result = command(args)
    except VisagistError as error:
        print(error, file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        return 130
    print(json.dumps(result, allow_nan=False) if args.json else describe(result))
    return EXIT_BAD_INPUT if result.get("failed") else 0


def build_parser() -> Parser:
    """The whole command line; every option not given is absent from what it parses."""
    common, serving, as_json = (_group() for _ in range(3))
    common.add_argument("--model", metavar="NAME", help="a built-in model's name, or a model's folder")
    common.add_argument("--device", help="auto, cpu or cuda")
    serving.add_argument("--host", help="address to listen on (127.0.0.1; 0.0.0.0 for every network)")
    serving.add_argument("--port", type=options.port, help="port to listen on (7860)")
    serving.add_argument("--share", action="store_true", help="also open a public address through Gradio")
    serving.add_argument(
        "--auth", type=options.credentials, metavar="USER:PASSWORD", help="ask visitors for these"
    )
    serving.add_argument(
        "--max-megapixels", type=options.megapixels, metavar="N",
        help=f"how large a photo visitors may bring ({options.MOST_MEGAPIXELS}, which is the most)",
    )  # fmt: skip
    as_json.add_argument("--json", action="store_true", help="JSON alone on standard output")

    parser = Parser(
        prog="launch.py",
        description="Visagist, an interactive face editor. Without a command it serves the app.",
        parents=[common, serving],
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    add = _adder(parser.add_subparsers(dest="command", metavar="COMMAND"))

    add("serve", "Serve the app (the default).", common, serving)
    _add_edit_options(add("edit", "Edit one photo.", common, as_json))
    _add_open_options(add("open", "Write the picture that a project shows.", common, as_json))
    evaluate = add(
        "evaluate", "Measure how faithful the portraits of a folder's photos are.", common, as_json
    )
    _add_evaluate_options(evaluate)
    bench = add("bench", "Measure speed, memory and size of a model.", common, as_json)
    bench.add_argument("--photo", default=None, help="the portrait to open (default: a generated one)")
    bench.add_argument(
        "--paper-size", action="store_true", default=False, help="count the paper's networks, without weights"
    )
    models = add("models", "List, show, import, remove and verify models.", as_json)
    models_command.add_models(_adder(models.add_subparsers(dest="action", metavar="ACTION")), as_json)
    return parser


def _adder(commands: Any) -> models_command.AddCommand:
    def add(name: str, text: str, *parents: Any) -> Any:
        return commands.add_parser(
            name, help=text, description=text, parents=parents,
            argument_default=argparse.SUPPRESS, allow_abbrev=False,
        )  # fmt: skip

    return add


def _group() -> Parser:
    return Parser(add_help=False, argument_default=argparse.SUPPRESS)


def _add_edit_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("photo", metavar="PHOTO")
    parser.add_argument(
        "--set", action="append", type=options.slider, default=[], metavar="NAME=VALUE", dest="sliders",
        help="move a slider, for example smile=1.5 (-3 to 3); may be given several times",
    )  # fmt: skip
    parser.add_argument("--face", type=int, default=0, help="number of the face, the largest is 0")
    _add_seconds_option(parser)
    options.add_references(parser)
    parser.add_argument(
        "--face-only", action="store_true", default=False, help="write the aligned face, not the whole photo"
    )
    parser.add_argument(
        "--start", choices=("photo", "inversion"), default="photo",
        help="lay the change onto the photo's pixels (default), or edit the model's picture of the face",
    )  # fmt: skip
    parser.add_argument(
        "--order", choices=("first", "second", "linear"), default="first", help="directions of the sliders"
    )
    _add_refine_options(parser, "bring back what the model lost of the person (off); not every model has it")
    parser.add_argument(
        "--strength", type=float, default=1.0, metavar="0..1", help="how much of the refinement (1)"
    )
    parser.add_argument(
        "--no-keep-detail", action="store_false", dest="keep_detail", default=True,
        help="leave the photo's fine skin detail out of the edited face",
    )  # fmt: skip
    parser.add_argument(
        "--save-project", metavar="OUT.visagist", default=None, help="also save the edit, to go on from later"
    )
    _add_out_option(parser)


def _add_open_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("project", metavar="FILE.visagist")
    _add_seconds_option(parser)
    parser.add_argument(
        "--face-only", action="store_true", default=False, help="write the aligned face, not the whole photo"
    )
    _add_out_option(parser)


def _add_seconds_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seconds", type=options.seconds, default=OPENING_SECONDS, metavar="N",
        help=f"how long to look for the face's code, where the model does that ({OPENING_SECONDS:g})",
    )  # fmt: skip


def _add_out_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", required=True, metavar="OUT.png", help="where to write: .png, .jpg, .tif or .webp"
    )
    parser.add_argument(
        "--no-notes", action="store_false", dest="notes", default=True,
        help="leave date, rights and camera out of what is written; the place is never in it",
    )  # fmt: skip


def _add_evaluate_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="FOLDER", type=Path)
    _add_refine_options(parser, "refinement to measure (off)")
    parser.add_argument(
        "--limit",
        type=options.count,
        default=None,
        metavar="N",
        help="measure N photos, spread over the folder",
    )
    parser.add_argument(
        "--seconds", type=options.times, default=(), metavar="N[,N...]",
        help="seconds that opening may take; with more, what it has got to by then, all from one run",
    )  # fmt: skip
    parser.add_argument(
        "--judge", type=Path, default=None, metavar="FILE",
        help="weights of MobileFaceNet, which then says how much the person is kept",
    )  # fmt: skip


def _add_refine_options(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--refine", choices=("off", "fast", "best"), default="off", help=text)
    parser.add_argument(
        "--refiner", choices=("one_stage", "two_stage"), default=None,
        help="which refiner is fast (the first that the model lists)",
    )  # fmt: skip


def _warn(message: str) -> None:
    print(message, file=sys.stderr)


def _serve(args: argparse.Namespace) -> Result:
    from app.ui import serve
    from core.engine import Engine
    from core.pictures.limits import Limits

    engine = Engine.load(args.model, args.device)
    limits = Limits(args.max_megapixels * 10**6)
    try:
        serve(engine, args.host, args.port, args.share, args.auth, limits=limits)
    except OSError as error:
        raise BadRequest(
            f"The app cannot listen on {args.host}, port {args.port}; choose another --host or --port."
        ) from error
    return {}


def _edit(args: argparse.Namespace) -> Result:
    from cli.references import find_takes, picks
    from core.engine import Engine
    from core.exporting import export
    from core.images import open_photo
    from core.pictures.writing import kind_of
    from core.session import EditRequest, View

    kind = kind_of(args.out)
    asked = picks(args.references)
    request = EditRequest(
        dict(args.sliders), args.order, args.refine, args.strength,
        view=View(args.start, "face" if args.face_only else "photo", args.keep_detail),
    )  # fmt: skip
    photo = open_photo(args.photo)
    engine = Engine.load(args.model, args.device, args.refiner)
    portrait = engine.open_portrait(photo.pixels, args.face, seconds=args.seconds)
    taken = find_takes(engine, asked, args.seconds)
    request = dataclasses.replace(request, takes=taken)
    if request.refinement is not None:
        portrait = _refine(engine, portrait, request.refinement)
    exported = export(engine, portrait, request, photo.original, kind, args.notes)
    _write(args.out, exported.data)
    if args.save_project is not None:
        _save_project(args.save_project, engine, portrait, request, photo.original)
    width, height = exported.size
    return {
        "photo": args.photo,
        "out": args.out,
        "width": width,
        "height": height,
        "said": exported.said,
        "faces": len(portrait.faces),
        "face": portrait.face,
        "sliders": dict(request.sliders),
        "takes": [
            {"reference": pick.reference, "what": list(take.what), "amount": take.amount}
            for pick, take in zip(asked, taken, strict=True)
        ],
        "refine": request.refine,
        "strength": request.strength,
    }


def _refine(engine: Any, portrait: Any, mode: str) -> Any:
    """The portrait, refined; with a bar and the time left, where somebody looks at the terminal."""
    from tqdm import tqdm

    # Fast is over before a bar could be read.
    with tqdm(
        total=1.0, disable=True if mode == "fast" else None, leave=False,
        bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}",
        ncols=shutil.get_terminal_size().columns,  # tqdm itself draws nothing where none is told
    ) as bar:  # fmt: skip

        def progress(told: Any) -> None:
            bar.set_description_str(told.step, refresh=False)
            bar.update(told.done - bar.n)

        return engine.refine(portrait, mode, progress)


def _save_project(path: str, engine: Any, portrait: Any, request: Any, original: Any) -> None:
    """The edit after the unedited face, so that it can be undone."""
    from core.projects.project import Project, save_project

    neutral = dataclasses.replace(request, sliders={}, takes=())
    history = (request,) if request == neutral else (neutral, request)
    _write(path, save_project(Project.of(engine, portrait, history, len(history) - 1, original=original)))


def _write(path: str, data: bytes) -> None:
    try:
        Path(path).write_bytes(data)
    except OSError as error:
        raise BadRequest(f"Cannot write {path!r}: {error.strerror}; choose another place.") from error


def _open(args: argparse.Namespace) -> Result:
    from core.engine import Engine
    from core.exporting import export
    from core.pictures.writing import kind_of
    from core.projects.project import open_project, restore

    kind = kind_of(args.out)
    project = open_project(args.project)
    engine = Engine.load(args.model, args.device)
    restored = restore(engine, project, seconds=args.seconds)
    if restored.notice is not None:
        _warn(restored.notice)
    shown = restored.history[restored.cursor]
    request = shown.seen(output="face" if args.face_only else "photo")
    exported = export(engine, restored.portrait, request, project.original, kind, args.notes)
    _write(args.out, exported.data)
    width, height = exported.size
    return {
        "project": args.project,
        "out": args.out,
        "width": width,
        "height": height,
        "said": exported.said,
        "faces": len(restored.portrait.faces),
        "face": restored.portrait.face,
        "sliders": dict(request.sliders),
        "refine": request.refine,
        "strength": request.strength,
        "edits": len(restored.history),
        "edit": restored.cursor,
        "notice": restored.notice,
    }


def _describe_edit(result: Result) -> str:
    return f"Wrote {result['out']} ({result['width']} x {result['height']} px). {result['said']}".strip()


def _evaluate(args: argparse.Namespace) -> Result:
    from cli.evaluate import evaluate, photos_in
    from core.engine import Engine
    from core.faces.judge import IdentityJudge

    files = photos_in(args.folder)
    judge = IdentityJudge.load(args.judge) if args.judge else None
    engine = Engine.load(args.model, args.device, args.refiner)
    return evaluate(engine, files, _warn, args.refine, args.limit, args.seconds, judge)


def _describe_evaluation(result: Result) -> str:
    head = (
        f"Refine {result['refine']}: {result['photos']} of {result['folder_photos']} photos, "
        f"{result['no_face']} of them without a face"
    )
    columns = [*result.get("at", {}).values()][:-1] + [result["mean"]]
    times = ["".join(f"{f'{t} s':>10}" for t in result["at"])] if "at" in result else []
    rows = [
        f"  {name:19}"
        + "".join(f"{'-' if (v := c.get(name)) is None else format(v, '.4f'):>10}" for c in columns)
        for name in result["mean"]
    ]
    return "\n".join([head, *(" " * 21 + t for t in times), *rows])


def _bench(args: argparse.Namespace) -> Result:
    from cli.bench import benchmark, paper_costs

    if args.paper_size:
        return paper_costs()
    from core.engine import Engine
    from core.images import open_image

    photo = open_image(args.photo) if args.photo else None
    return benchmark(Engine.load(args.model, args.device), photo)


def _describe_bench(result: Result) -> str:
    if "milliseconds" not in result:
        return "\n".join(
            f"{name:18}{cost['parameters'] / 1e6:9.2f} M parameters {cost['macs'] / 1e9:9.2f} G MACs"
            for name, cost in result.items()
        )
    times = [f"{name:18}{value:9.1f} ms" for name, value in result["milliseconds"].items()]
    sizes = [
        f"{name:18}{count / 1e6:9.2f} M parameters {result['macs'][name] / 1e9:9.3f} G MACs"
        for name, count in result["parameters"].items()
    ]
    faster = f"{'times faster':18}{result['times_faster']:9.1f} than the generator as the paper writes it"
    if "of_openvino" in result:
        faster += f"\n{'of OpenVINO':18}{result['of_openvino']:9.2f} of its own time"
    memory = (
        f"{'peak memory':18}{result['peak_mib']:9.0f} MiB on {result['device']}, "
        f"{result['peak_best_mib']:.0f} MiB with the best refinement"
    )
    return "\n".join([*times, faster, memory, *sizes])


COMMANDS = {
    "serve": (_serve, lambda result: "The app has stopped."),
    "edit": (_edit, _describe_edit),
    "open": (_open, _describe_edit),
    "evaluate": (_evaluate, _describe_evaluation),
    "bench": (_bench, _describe_bench),
    "models": (models_command.run, models_command.describe),
}


if __name__ == "__main__":
    sys.exit(main())
