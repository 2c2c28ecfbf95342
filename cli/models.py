"""`launch.py models`: list, show, import, remove and verify bundles; its words, and what it answers.

Heavy imports stay inside the commands, so that help and mistakes answer at once.
"""

import argparse
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from cli.streams import say
from core.errors import BadRequest, VisagistError

Result = dict[str, Any]


class AddCommand(Protocol):
    """Adds a command of this name and help to a parser, with the options of its parents."""

    def __call__(self, name: str, text: str, *parents: Any) -> argparse.ArgumentParser: ...


def add_models(add: AddCommand, as_json: argparse.ArgumentParser) -> None:
    """Declare the actions of `models`; as_json: the parser that holds --json."""
    add("list", "List the models that are installed (the default).", as_json)
    show = add("show", "Say what a model is, can do and came from.", as_json)
    show.add_argument("name", metavar="NAME")
    importing = add("import", "Import published files as a model, or into one.", as_json)
    importing.add_argument("files", nargs="+", metavar="FILE")
    where = importing.add_mutually_exclusive_group(required=True)
    where.add_argument("--name", default=None, metavar="NAME", help="of the new model")
    where.add_argument("--into", default=None, metavar="NAME", help="the model of your own to add to")
    remove = add("remove", "Delete a model of your own.", as_json)
    remove.add_argument("name", metavar="NAME")
    remove.add_argument("--yes", action="store_true", default=False, help="do not ask")
    verify = add("verify", "Check the files of a model, or of all, and that it works.", as_json)
    verify.add_argument("name", nargs="?", default=None, metavar="NAME")


def run(args: argparse.Namespace) -> Result:
    """Carry out `args.action`, by default list; Result["action"] says which it was.

    Raises: VisagistError for whatever the user can mend. verify raises none for a model that fails, but says
    so in Result["failed"], names of models.
    """
    action = args.action or "list"
    return {"action": action, **_ACTIONS[action][0](args)}


def describe(result: Result) -> str:
    """What `run` gave, in words for a terminal."""
    return _ACTIONS[result["action"]][1](result)


def _list(args: argparse.Namespace) -> Result:
    from core.checkpoints import list_bundles, read_config
    from core.importing.install.installing import abilities

    models = []
    for folder in list_bundles():
        try:
            config = read_config(folder)
        except VisagistError as error:
            say(error)
            continue
        models.append(
            {
                "name": folder.name,
                "title": config.title,
                "version": config.version,
                "folder": str(folder),
                "resolution": config.generator.resolution,
                "attributes": [attribute.name for attribute in config.attributes],
                "can": list(abilities(config)),
                "lacks": list(config.lacks),
            }
        )
    return {"models": models}


def _describe_list(result: Result) -> str:
    lines = []
    for m in result["models"]:
        lines.append(f"{m['name']}  {m['title']} {m['version']}, {m['resolution']} px")
        lines.append(f"    {' '.join(m['can'])}")
        if m["attributes"]:
            lines.append(f"    Sliders: {', '.join(m['attributes'])}.")
    return "\n".join(lines) or "No model is installed."


def _show(args: argparse.Namespace) -> Result:
    import dataclasses

    from cli.costs import editor_costs, network_costs, parser_costs, pass_costs, refiner_costs
    from core.checkpoints import find_bundle, read_config
    from core.importing.install.installing import abilities
    from core.looks import looks_of
    from core.network_config import InverterConfig

    folder = find_bundle(args.name)
    config = read_config(folder)
    costs = network_costs(config.generator, config.inverter, config.classifier)
    for refiner in config.refiners:
        assert isinstance(config.inverter, InverterConfig)  # or `BundleConfig` would refuse the refiner
        costs[f"refiner_{refiner.stage}"] = refiner_costs(refiner, config.generator, config.inverter)
    if config.reference_editor is not None:
        costs["reference_editors"] = editor_costs(config.reference_editor)
    if config.iterative_inverter is not None:
        costs["pass"] = pass_costs(config.iterative_inverter)
    if config.parser:
        costs["parser"] = parser_costs()
    return {
        "name": folder.name,
        "title": config.title,
        "version": config.version,
        "resolution": config.generator.resolution,
        "folder": str(folder),
        "bytes": sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
        "parts": costs,
        "licence": config.licence,
        "sources": [dataclasses.asdict(source) for source in config.sources],
        "sliders": [dataclasses.asdict(attribute) for attribute in config.attributes],
        "looks": [dataclasses.asdict(look) for look in looks_of(config)],
        "can": list(abilities(config)),
        "lacks": list(config.lacks),
    }


def _describe_show(result: Result) -> str:
    lines = [
        f"{result['name']}: {result['title']} {result['version']}, {result['resolution']} px",
        f"In {result['folder']}, {result['bytes'] / 2**20:.1f} MiB.",
        *result["can"],
        *result["lacks"],
        "",
        *(
            f"{part:20}{cost['parameters'] / 1e6:9.2f} M parameters {cost['macs'] / 1e9:9.3f} G MACs"
            for part, cost in result["parts"].items()
        ),
        "",
        f"Licence: {result['licence'] or 'not given'}",
    ]
    for source in result["sources"]:
        lines.append(f"From {source['file']}: {', '.join(source['parts'])}; {source['format']}.")
        lines.append(f"    SHA-256 {source['sha256']}")
    if result["sliders"]:
        lines.append("Sliders:")
    for slider in result["sliders"]:
        ends = f"  ({slider['low']} to {slider['high']})" if slider["low"] and slider["high"] else ""
        lines.append(f"    {slider['name']:24}{slider['label']}{ends}")
    if result["looks"]:
        lines.append("Looks:")
    for look in result["looks"]:
        moves = ", ".join(f"{name}={value:g}" for name, value in look["sliders"].items())
        lines.append(f"    {look['name']:24}{moves}")
    return "\n".join(lines)


def _import(args: argparse.Namespace) -> Result:
    from tqdm import tqdm

    from core.importing.install.installing import install

    with tqdm(
        total=1.0, disable=None, leave=False,
        bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}",
        ncols=shutil.get_terminal_size().columns,  # tqdm itself draws nothing where none is told
    ) as bar:  # fmt: skip

        def progress(step: str, done: float) -> None:
            bar.set_description_str(step, refresh=False)
            bar.n = done
            bar.refresh()  # update would wait for more than the few steps that there are

        installed = install(args.files, args.name, args.into, progress)
    config = installed.config
    return {
        "name": installed.folder.name,
        "folder": str(installed.folder),
        "version": config.version,
        "resolution": config.generator.resolution,
        "sliders": [attribute.name for attribute in config.attributes],
        "notices": list(installed.notices),
        "checks": list(installed.checks),
        "lacks": list(config.lacks),
    }


def _describe_import(result: Result) -> str:
    lines = [f"Imported into {result['folder']}.", *result["notices"], *result["checks"], *result["lacks"]]
    if result["sliders"]:
        lines.append(f"Sliders: {', '.join(result['sliders'])}.")
    return "\n".join([*lines, f"Start it with: launch.py --model {result['name']}"])


def _remove(args: argparse.Namespace) -> Result:
    from core.importing.install.installing import own_bundle, remove

    folder = own_bundle(args.name)
    if not args.yes:
        if not sys.stdin.isatty():
            raise BadRequest(f"Removing deletes {folder}; say --yes to do so.")
        if input(f"Delete {folder}? [y/N] ").strip().lower() not in ("y", "yes"):
            raise BadRequest(f"{folder} stays.")
    remove(args.name)
    return {"name": args.name, "folder": str(folder)}


def _verify(args: argparse.Namespace) -> Result:
    from core.checkpoints import find_bundle, list_bundles
    from core.importing.install.installing import verify

    folders: tuple[Path, ...] = list_bundles() if args.name is None else (find_bundle(args.name),)
    models = []
    for folder in folders:
        try:
            models.append({"name": folder.name, "works": True, "checks": list(verify(folder))})
        except VisagistError as error:
            models.append({"name": folder.name, "works": False, "checks": [str(error)]})
    return {"models": models, "failed": [model["name"] for model in models if not model["works"]]}


def _describe_verify(result: Result) -> str:
    lines = [
        f"{model['name']}: {'works' if model['works'] else 'FAILS'}. {' '.join(model['checks'])}"
        for model in result["models"]
    ]
    return "\n".join(lines) or "No model is installed."


_ACTIONS: dict[str, tuple[Callable[[argparse.Namespace], Result], Callable[[Result], str]]] = {
    "list": (_list, _describe_list),
    "show": (_show, _describe_show),
    "import": (_import, _describe_import),
    "remove": (_remove, lambda result: f"Removed {result['folder']}."),
    "verify": (_verify, _describe_verify),
}
