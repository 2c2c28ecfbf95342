"""Visagist's command line: serve the app (the default), edit, open, evaluate, bench, models.

Heavy imports stay inside the commands, so that help and mistakes answer at once.
"""

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

from cli import edit as edit_command
from cli import models as models_command
from cli import open as open_command
from cli import options, streams
from cli import serve as serve_command
from core.errors import VisagistError
from core.rendering.waiting import wait_briefly

EXIT_BAD_INPUT = 2
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
    wait_briefly()
    streams.prepare()
    stdout = sys.stdout
    try:
        code = _run(argv, stdout)
        streams.deliver(stdout, "")  # what is left in its buffer
    except VisagistError as error:
        streams.say(error)
        return EXIT_BAD_INPUT
    except streams.Undelivered as error:
        if str(error):
            streams.say(error)
        return EXIT_BAD_INPUT if str(error) else streams.CLOSED_PIPE
    except KeyboardInterrupt:
        return 130
    return code


def _run(argv: Sequence[str] | None, stdout: TextIO) -> int:
    try:
        # Defaults come from here alone: a subcommand's own would undo what was given before its name.
        args = build_parser().parse_args(argv, argparse.Namespace(**DEFAULTS))
    except SystemExit as ended:  # argparse has said what there is to say
        return int(ended.code or 0)
    command, describe = COMMANDS[args.command]
    # Libraries print what they like; standard output belongs to the result.
    with contextlib.redirect_stdout(sys.stderr):
        result = command(args, stdout)
    if result is None:
        return 0
    text = json.dumps(result, allow_nan=False) if args.json else describe(result)
    if result.get("out") == streams.STANDARD:
        streams.say(text)
    else:
        streams.deliver(stdout, f"{text}\n")
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
    edit_command.add_options(add("edit", "Edit photos, or go on with a project.", common, as_json))
    open_command.add_options(add("open", "Write the picture that a project shows.", common, as_json))
    evaluate = add(
        "evaluate", "Measure how faithful the portraits of a folder's photos are.", common, as_json
    )
    _add_evaluate_options(evaluate)
    bench = add("bench", "Measure speed, memory and size of a model.", common, as_json)
    bench.add_argument("--photo", default=None, help="the portrait to open (default: a generated one)")
    bench.add_argument(
        "--paper-size", action="store_true", default=False, help="count the paper's networks, without weights"
    )
    bench.add_argument(
        "--live", action="store_true", default=False, help="how the page follows a hand, in headless Chromium"
    )
    bench.add_argument(
        "--compare",
        type=Path,
        default=None,
        metavar="CHECKOUT",
        help="run a checkout of a published StyleGAN2 or MobileStyleGAN in turn with this model's generator",
    )
    bench.add_argument(
        "--visitors", type=options.count, default=1, metavar="N", help="with --live, so many drag at once (1)"
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


def _add_evaluate_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="FOLDER", type=Path)
    parser.add_argument(
        "--recursive", action="store_true", default=False, help="look into the folders of the folder, too"
    )
    options.add_refine(parser, "refinement to measure (off)", "off")
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


def _evaluate(args: argparse.Namespace, stdout: TextIO) -> Result:
    from cli.photos import check_file, photos_in

    found = photos_in(args.folder, args.recursive)
    if args.judge:
        check_file(str(args.judge))
    from cli.evaluate import evaluate
    from core.engine import Engine
    from core.faces.judge import IdentityJudge

    judge = IdentityJudge.load(args.judge) if args.judge else None
    engine = Engine.load(args.model, args.device, args.refiner)
    return evaluate(engine, found, streams.say, args.refine, args.limit, args.seconds, judge)


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


def _bench(args: argparse.Namespace, stdout: TextIO) -> Result:
    from cli.photos import check_file

    if args.photo:
        check_file(args.photo)
    from cli.bench import benchmark
    from cli.costs import paper_costs

    if args.paper_size:
        return paper_costs()
    from core.engine import Engine
    from core.images import open_image

    if args.live:
        from cli.bench_live import bench_live

        chosen = Path(args.photo) if args.photo else None
        return bench_live(Engine.load(args.model, args.device), chosen, args.visitors)
    if args.compare:
        from cli.bench_compare import compare, kind_of

        kind_of(args.compare)
        return compare(Engine.load(args.model, args.device), args.compare)
    photo = open_image(args.photo) if args.photo else None
    return benchmark(Engine.load(args.model, args.device), photo)


def _describe_bench(result: Result) -> str:
    if "paints_per_second" in result:
        from cli.bench_live import describe

        return describe(result)
    if "compared" in result:
        from cli.bench_compare import describe as describe_comparison

        return describe_comparison(result)
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


COMMANDS: dict[str, tuple[Callable[[argparse.Namespace, TextIO], Result | None], Callable[[Result], str]]] = {
    "serve": (serve_command.run, lambda result: "The app has stopped."),
    "edit": (edit_command.run, edit_command.describe),
    "open": (open_command.run, open_command.describe),
    "evaluate": (_evaluate, _describe_evaluation),
    "bench": (_bench, _describe_bench),
    "models": (lambda args, stdout: models_command.run(args), models_command.describe),
}


if __name__ == "__main__":
    sys.exit(main())
