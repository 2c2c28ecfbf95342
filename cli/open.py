"""`launch.py open`: the picture that a project shows."""

import argparse
from typing import Any, TextIO

from cli import options
from cli.photos import check_file
from cli.places import check_picture
from cli.streams import PICTURE, STANDARD, check_output, say, standard_input, write

OPENING_SECONDS = 12.0  # of `core.opening`, which is too heavy to ask here


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what `open` takes."""
    parser.add_argument("project", metavar="FILE.visagist", help="- for standard input")
    parser.add_argument(
        "--seconds", type=options.seconds, default=OPENING_SECONDS, metavar="N",
        help="how long to look for the face's code, where another model made the project and this one does "
        f"that ({OPENING_SECONDS:g})",
    )  # fmt: skip
    parser.add_argument(
        "--face-only", action="store_true", default=False, help="write the aligned face, not the whole photo"
    )
    options.add_out(parser)


def run(args: argparse.Namespace, stdout: TextIO) -> dict[str, Any]:
    """Write the picture; what there is to say of it.

    Raises: VisagistError for whatever the user can mend; Undelivered.
    """
    if args.project != STANDARD:
        check_file(args.project)
    check_picture(args.out, [args.project])
    if args.out == STANDARD:
        check_output(stdout, args.json)
    from cli.editing import boxes
    from core.engine import Engine
    from core.exporting import ExportOrder, export
    from core.pictures.writing import kind_of
    from core.projects.archive import MAX_FILE_BYTES
    from core.projects.project import open_project
    from core.projects.restoring import restore

    project = open_project(standard_input(MAX_FILE_BYTES) if args.project == STANDARD else args.project)
    engine = Engine.load(args.model, args.device)
    restored = restore(engine, project, seconds=args.seconds)
    if restored.notice is not None:
        say(restored.notice)
    kind = kind_of(PICTURE if args.out == STANDARD else args.out)
    order = ExportOrder(kind, "face" if args.face_only else "photo", notes=args.notes)
    shown = restored.history[restored.cursor]
    exported = export(engine, (restored.portrait,), shown, project.original, order, restored.others)
    write(stdout, args.out, exported.data)
    width, height = exported.size
    return {
        "project": args.project,
        "out": args.out,
        "width": width,
        "height": height,
        "said": exported.said,
        "faces": len(restored.portrait.faces),
        "face": restored.portrait.face + 1,
        "boxes": boxes(restored.portrait),
        "sliders": dict(shown.sliders),
        "refine": shown.refine,
        "strength": shown.strength,
        "edits": len(restored.history),
        "edit": restored.cursor,
        "notice": restored.notice,
    }


def describe(result: dict[str, Any]) -> str:
    """What `run` gave, in words for a terminal."""
    return f"Wrote {result['out']} ({result['width']} x {result['height']} px). {result['said']}".strip()
