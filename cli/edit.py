"""`launch.py edit`: one photo or project into a file, or as many as there are into a folder.

Heavy imports stay inside, so that help and mistakes answer at once.
"""

import argparse
import dataclasses
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

from cli import options
from cli.options import GALLERY, Effort
from cli.photos import check_file
from cli.places import Job, Plan, check_place, plan
from cli.streams import CLIP, PICTURE, STANDARD, check_output, deliver, say, standard_input, write
from core.errors import BadRequest
from core.files import write_whole

if TYPE_CHECKING:
    from cli.editing import Asked
    from core.engine import Engine
    from core.images import Photo
    from core.projects.project import Project

Result = dict[str, Any]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what `edit` takes; what a project decides where it is not given has the default None."""
    parser.add_argument(
        "photos", metavar="PHOTO", nargs="+",
        help="a photo, a project to go on with, a folder of photos, or - for standard input",
    )  # fmt: skip
    parser.add_argument(
        "--set", action="append", type=options.slider, default=[], metavar="NAME=VALUE", dest="sliders",
        help="move a slider, for example smile=1.5 (-3 to 3); may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--look", action="append", default=[], metavar="NAME|FILE", dest="looks",
        help="a look of the model (`models show` lists them), or one that was exported; may be given several "
        "times, and --set goes on from it",
    )  # fmt: skip
    parser.add_argument(
        "--face", type=options.face, default=None, metavar="N",
        help="edit the face with this number alone: 1 is the largest, those of about one size are counted "
        "as one reads; without it every face is edited or, with --face-only or --save-project, the first",
    )  # fmt: skip
    parser.add_argument(
        "--recursive", action="store_true", default=False, help="look into the folders of folders, too"
    )
    options.add_effort(parser)
    options.add_references(parser)
    parser.add_argument(
        "--face-only", action="store_true", default=False, help="write the aligned face, not the whole photo"
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument(
        "--before-after", action="store_true", default=False, dest="beside",
        help="write the whole photo before and after, side by side",
    )  # fmt: skip
    shown.add_argument(
        "--sweep",
        metavar="NAME",
        default=None,
        help="write a clip (.mp4, .gif or .webp): this slider from end to end and back, all else as set",
    )
    shown.add_argument(
        "--fade", action="store_true", default=False,
        help="write a clip: the photo fading into the edit, and back",
    )  # fmt: skip
    parser.add_argument(
        "--start", choices=("photo", "inversion"), default=None,
        help="lay the change onto the photo's pixels (default), or edit the model's picture of the face",
    )  # fmt: skip
    parser.add_argument(
        "--order", choices=("first", "second", "linear"), default=None, help="directions of the sliders"
    )
    options.add_refine(
        parser, "bring back what the model lost of the person (off); not every model has it", None
    )
    parser.add_argument(
        "--strength", type=float, default=None, metavar="0..1", help="how much of the refinement (1)"
    )
    parser.add_argument(
        "--no-keep-detail", action="store_false", dest="keep_detail", default=None,
        help="leave the photo's fine skin detail out of the edited face",
    )  # fmt: skip
    parser.add_argument(
        "--save-project", metavar="OUT.visagist", default=None, help="also save the edit, to go on from later"
    )
    options.add_out(parser, "; for several photos a folder, which is made if need be")


def run(args: argparse.Namespace, stdout: TextIO) -> Result | None:
    """Edit what is named; what there is to say of it, None where it is said already.

    Raises: VisagistError for whatever the user can mend, among them SomeFailed when the others are done;
    Undelivered.
    """
    planned = _planned(args, stdout)
    from cli.editing import names_of
    from cli.references import find_takes, picks, read_pictures
    from core.engine import Engine
    from core.session import EditRequest

    result: Result | None
    asked, references = _asked(args), picks(args.references)
    asked.request()  # refuses what no model can do
    pictures = read_pictures(references)
    given = None if planned.folder else _given(planned.jobs[0].source)
    engine = Engine.load(args.model, args.device, args.refiner)
    engine.check(asked.request())
    if asked.sweep is not None:
        engine.check(EditRequest({asked.sweep: 1.0}))
    asked = dataclasses.replace(asked, takes=find_takes(engine, references, pictures, asked.effort))
    names = names_of(asked.takes, (pick.reference for pick in references))
    if given is None:
        result = _several(engine, planned, asked, names, args.json, stdout)
    else:
        result = _one(engine, planned.jobs[0], given, asked, names, args.save_project, stdout)
    if not (asked.sliders or references or args.refine or asked.sweep or args.start == "inversion"):
        say("No slider was set and nothing taken, so nothing was changed.")
    return result


def _planned(args: argparse.Namespace, stdout: TextIO) -> Plan:
    """Every file that is read or written, checked."""
    named = (word for option, word in args.references if option == "reference")
    pictures = [word for word in named if not word.startswith(GALLERY)]
    for path in pictures:
        check_file(path)
    if args.beside and args.face_only:
        raise BadRequest("Before and after show the whole photo; leave --face-only or --before-after out.")
    planned = plan(args.photos, args.out, args.recursive, pictures, args.fade or args.sweep is not None)
    if args.out == STANDARD:
        check_output(stdout, args.json)
    if args.save_project is not None:
        if planned.folder is not None:
            raise BadRequest("A project holds one photo; leave --save-project out where there are several.")
        check_place(args.save_project, [*planned.sources, *pictures, args.out])
    for path, reason in planned.skipped:
        say(f"{path} is left out: {reason}.")
    return planned


def _asked(args: argparse.Namespace) -> "Asked":
    from cli.editing import Asked
    from cli.looks import moved_by

    moved = moved_by(args.looks, args.model) if args.looks else {}
    return Asked(
        sliders=moved | dict(args.sliders),
        order=args.order,
        refine=args.refine,
        strength=args.strength,
        start=args.start,
        keep_detail=args.keep_detail,
        face_only=args.face_only,
        face=args.face,
        one_face=args.face_only or args.save_project is not None,
        notes=args.notes,
        beside=args.beside,
        sweep=args.sweep,
        fade=args.fade,
        effort=Effort.of(args.seconds, args.steps),
    )


def _given(source: str) -> "Photo | Project":
    from cli.editing import read
    from core.projects.archive import MAX_FILE_BYTES

    return read(standard_input(MAX_FILE_BYTES) if source == STANDARD else source)


def _one(
    engine: "Engine",
    job: Job,
    given: "Photo | Project",
    asked: "Asked",
    names: Mapping[str, str],
    save_as: str | None,
    stdout: TextIO,
) -> Result:
    from cli.editing import edited
    from core.projects.project import save_project

    standard = PICTURE if asked.sweep is None and not asked.fade else CLIP
    found = edited(engine, given, asked, standard if job.out == STANDARD else job.out)
    if found.notice is not None:
        say(found.notice)
    write(stdout, job.out, found.picture.data)
    if save_as is not None:
        write_whole(save_as, save_project(found.project(engine)))
    return found.answer(job.source, job.out, names)


def _several(
    engine: "Engine", planned: Plan, asked: "Asked", names: Mapping[str, str], as_json: bool, stdout: TextIO
) -> Result | None:
    from cli.batch import Batch

    def tell(answer: Result) -> None:
        deliver(stdout, f"{json.dumps(answer, allow_nan=False) if as_json else describe(answer)}\n")

    done = Batch(engine, asked, names, tell).run(planned)
    return None if as_json else done  # one line of JSON for each photo, and no other


def describe(result: Result) -> str:
    """What `run` gave, or what is said of a photo among several, in words for a terminal."""
    if "error" in result:
        return f"{result['photo']}: {result['error']}"
    if "photos" in result:
        there = f"; {result['there']} were there already" if result["there"] else ""
        return f"Wrote {result['written']} of {result['photos']} pictures into {result['out']}{there}."
    if result.get("done_before"):
        return f"{result['out']} is there already."
    return f"Wrote {result['out']} ({result['width']} x {result['height']} px). {result['said']}".strip()
