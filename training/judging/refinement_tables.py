"""The figures of `training.judging.refinement` as markdown, beside what the papers report."""

from collections.abc import Mapping
from typing import Any

from training.judging.edits import VALUE
from training.judging.tables import number, percent, table

# CelebA-HQ test faces, FFHQ generator at 1024 px, RTX 2080 Ti as Xia et al. 2024 report them:
# MSE, LPIPS, identity (ArcFace), million parameters, billion MACs, seconds.
PUBLISHED: dict[str, tuple[float, float, float, float, float, float]] = {
    "pSp": (0.037, 0.169, 0.56, 267, 72.5, 0.067),
    "e4e": (0.050, 0.209, 0.50, 267, 72.5, 0.066),
    "ReStyle": (0.031, 0.137, 0.66, 205, 183.1, 0.273),
    "Style Transformer": (0.036, 0.166, 0.59, 40.6, 36.3, 0.044),
    "RefineStyle, one-stage": (0.017, 0.073, 0.75, 46.4, 43.0, 0.045),
    "HFGI": (0.025, 0.127, 0.67, 6.2, 29.8, 0.097),
    "HyperStyle": (0.019, 0.093, 0.76, 332, 166.6, 0.910),
    "RefineStyle, two-stage": (0.019, 0.082, 0.76, 47.1, 51.1, 0.046),
}
TITLES = {
    "off": "off",
    "one_stage": "fast, one-stage",
    "two_stage": "fast, two-stage",
    "one_stage_predicted": "one-stage, prediction alone",
    "two_stage_predicted": "two-stage, prediction alone",
    "best": "best (GANI)",
    "pivotal": "best, plain pivotal tuning",
}


def title(variant: str) -> str:
    name, *rest = variant.split(", ")
    return ", ".join([TITLES[name], *rest])


def fidelity_table(sets: Mapping[str, Any]) -> str:
    """sets: {"test, all 388": {setting: measures}}."""
    rows: list[tuple[str, ...]] = []
    for name, settings in sets.items():
        off = settings["off"]["mse"]
        for setting, row in settings.items():
            figures = (number(row["mse"], 4), number(row["mse"] / off, 2), number(row["ms_ssim"]))
            people = (number(row["dlib_distance"]), number(row["cosine"]), number(row["lpips"]))
            times = (number(row["refine_seconds"], 2), number(row["seconds"], 2))
            rows.append((name, title(setting), *figures, *people, *times))
    header = ("faces", "refine", "MSE", "of off", "MS-SSIM", "dlib distance", "MobileFaceNet cosine", "LPIPS")
    return table((*header, "s to refine", "s to open"), rows)


def edit_table(sets: Mapping[str, Any]) -> str:
    """sets: {"test, 48 spread": {variant: `compared`}}."""
    rows: list[tuple[str, ...]] = []
    for name, variants in sets.items():
        off = variants["off"]
        for variant, row in variants.items():
            score = (percent(row["share"]), f"{0 - row['mean_points']:+.1f}", f"{0 - row['points']:+.1f}")
            moved = number(row["move"] / off["move"], 2) if off["move"] else "-"
            identity = (number(row["identity"]), f"{row['gained']} of {row['sliders']}")
            rows.append((name, title(variant), *score, moved, *identity))
    header = ("faces", "refine", "slider score", "points against off", "worst slider", "move of off's")
    return table((*header, "identity after the edit", "sliders above off"), rows)


def paper_table(ours: Mapping[str, Mapping[str, float | None]]) -> str:
    """ours: {setting: mse, lpips, cosine, parameters, macs, seconds}; None where it cannot be said."""
    rows = [_paper_row(f"{name} (published)", *figures) for name, figures in PUBLISHED.items()]
    for setting, row in ours.items():
        parameters, macs = row["parameters"], row["macs"]
        millions = None if parameters is None else parameters / 1e6
        billions = None if macs is None else macs / 1e9
        figures = (row["mse"], row["lpips"], row["cosine"], millions, billions, row["seconds"])
        rows.append(_paper_row(f"ours, {title(setting)}", *figures))
    return table(("method", "MSE", "LPIPS", "ID", "parameters", "MACs", "time"), rows)


def _paper_row(name: str, *figures: float | None) -> tuple[str, ...]:
    mse, lpips, identity, millions, billions, seconds = figures
    sizes = (
        "-" if millions is None else f"{millions:.1f} M",
        "-" if billions is None else f"{billions:.2f} G" if billions < 10 else f"{billions:.1f} G",
        "-" if seconds is None else f"{seconds:.3f} s",
    )
    return (name, number(mse), number(lpips), number(identity, 2), *sizes)


def report(found: Mapping[str, Any]) -> str:
    """The whole of refinement.json as markdown."""
    return "\n".join(
        [
            f"`{found['command']}`\n",
            f"(order {found['order']}, torch {found['torch']}, {found['cpus']} CPUs, {found['device']})\n",
            "### Refinement\n",
            "Aligned crop against rendering, means; MSE on [-1, 1]. Parts are spread evenly. Seconds "
            "to open: finding, aligning and inverting a photo, and refining it.\n",
            fidelity_table(found["fidelity"]),
            "### Edits of refined faces\n",
            f"Sliders at +-{VALUE:g}. Slider score: share of faces whose judge moves the right way, over all "
            "sliders; worst slider: the one that loses most. Identity: MobileFaceNet cosine of the edit to "
            "the photo; in so many sliders it is higher than under off.\n",
            edit_table(found["edits"]),
            "### Beside the published figures\n",
            "Published: CelebA-HQ, 1024 px, RTX 2080 Ti, ArcFace identity. Ours: "
            f"{found['resolution']} px, MobileFaceNet identity, seconds to open on the device above; rows "
            "compare within each kind, not across. Parameters and MACs of one-stage include the inverter's, "
            "those of two-stage do not, as in the paper; best and pivotal tuning have no network.\n",
            *(f"{name}:\n\n{paper_table(rows)}" for name, rows in found["papers"].items()),
        ]
    )
