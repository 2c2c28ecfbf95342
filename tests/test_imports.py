"""The house's rules on imports, read from the syntax trees, and what serving must not load."""

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("app", "cli", "core", "training")
# Lowest first. A module imports from its own floor or from below, never from above; the longest name wins.
FLOORS = (
    (
        "core.config",
        "core.errors",
        "core.files",
        "core.generators.limits",
        "core.generators.mobile.config",
        "core.generators.stylegan2.config",
        "core.keys",
        "core.looks",
        "core.names",
        "core.network_config",
        "core.pictures.limits",
        "core.precision",
        "core.projects.strict_json",
        "core.references",
        "cli.options",
    ),
    ("core.ops",),
    ("core.generators",),
    ("core.models",),
    (
        "core.faces",
        "core.images",
        "core.paste",
        "core.pictures",
        "core.projects.archive",
        "core.projects.tensor_file",
        "core.rendering.cores",
        "core.rendering.waiting",
        "core.rendering.device_thread",
    ),
    (
        "core.session",
        "core.showing",
        "core.together",
        "core.memory",
        "core.placing",
        "core.cropping",
        "core.detections",
        "core.cutting",
        "core.projects.request_json",
        "core.rendering",
        "core.editing",
        "core.checkpoints",
        "core.bundle_files",
        "core.refinement",
        "core.inversion",
    ),
    ("core.opening", "core.sampling", "core.editing.code_editor", "core.edits", "core.importing"),
    ("core.engine", "core.improving", "core.exporting", "core.clips"),
    ("core.projects", "cli"),
    ("app", "training"),
    ("cli.bench_live", "cli.serve"),
    ("launch",),
)


def modules() -> dict[str, Path]:
    """Every module of the product by its dotted name."""
    files = [ROOT / "launch.py", *(file for part in PARTS for file in (ROOT / part).rglob("*.py"))]
    names = {".".join(f.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): f for f in files}
    return dict(sorted(names.items()))


MODULES = modules()


def imported(path: Path, top_level_only: bool = False) -> Iterator[str]:
    """Dotted names that a file imports; `from a import b` gives a.b where that is a module, else a."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively, which these rules cannot read"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else str(node.module)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def floor(name: str) -> int:
    known = [(len(p), number) for number, packages in enumerate(FLOORS) for p in packages if within(name, p)]
    assert known, f"{name} has no floor: give it one in FLOORS"
    return max(known)[1]


def ours(path: Path) -> list[str]:
    return [name for name in imported(path) if name.split(".")[0] in (*PARTS, "launch")]


@pytest.mark.parametrize("name", [n for n in MODULES if n != "core"])
def test_a_module_imports_nothing_from_above(name: str) -> None:
    above = [other for other in ours(MODULES[name]) if floor(other) > floor(name)]
    assert not above


@pytest.mark.parametrize(("part", "other"), [("app", "training"), ("training", "app")])
def test_app_and_training_do_not_know_each_other(part: str, other: str) -> None:
    guilty = [n for n, path in MODULES.items() if within(n, part) for i in ours(path) if within(i, other)]
    assert not guilty


def test_no_module_imports_itself_round_a_corner() -> None:
    graph = {name: set(ours(path)) - {name} for name, path in MODULES.items()}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError


def test_the_judge_of_identity_is_seen_by_what_measures_alone() -> None:
    """A loss, a start or a stopping rule that saw it would make its verdict worthless."""
    seeing = [name for name, path in MODULES.items() if "core.faces.judge" in ours(path)]
    measuring = ("launch", "cli.evaluate", "cli.measures", "training.judging")
    assert "cli.evaluate" in seeing
    assert not [name for name in seeing if not any(within(name, m) for m in measuring)]


def test_the_layout_of_the_page_knows_no_tensors() -> None:
    assert not [name for name in imported(ROOT / "app" / "ui.py") if within(name, "torch")]


def test_lpips_and_torchvision_are_imported_only_inside_functions() -> None:
    guilty = [
        name
        for name, path in MODULES.items()
        for i in imported(path, top_level_only=True)
        if within(i, "lpips") or within(i, "torchvision")
    ]
    assert not guilty


def test_triton_is_seen_by_the_kernels_alone_and_those_by_who_has_a_gpu() -> None:
    kernels = "core.generators.mobile.fused"
    importing = [name for name, path in MODULES.items() if any(within(i, "triton") for i in imported(path))]
    assert importing == [kernels]
    assert not [name for name, path in MODULES.items() if kernels in imported(path, top_level_only=True)]


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("core.engine", {"lpips", "torchvision", "triton"}),
        ("app.ui", {"lpips", "torchvision"}),
        ("cli.evaluate", {"lpips", "torchvision"}),
        # Help and mistakes must answer at once.
        ("launch", {"lpips", "torchvision", "torch", "gradio", "cv2", "numpy"}),
    ],
)
def test_importing_loads_no_more_than_needed(module: str, unwanted: set[str]) -> None:
    code = f"import sys, {module}; print(*(set(sys.modules) & {unwanted!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
