"""The figures of an evaluation as markdown tables, ready for a model card."""

from collections.abc import Mapping
from typing import Any

from training.judging.attribute_dependency import ORDERS
from training.judging.edits import VALUE


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A markdown table; all columns but the first are aligned to the right."""
    lines = [header, ("---", *["---:"] * (len(header) - 1)), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def inversion_table(sets: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """sets: {"test" or "photos": `breakdown`}."""
    rows = []
    for name, groups in sets.items():
        for group, row in groups.items():
            figures = (
                number(row["mse"], 4),
                *(number(row[m]) for m in ("ms_ssim", "dlib_distance", "cosine")),
            )
            rows.append((f"{name}, {group}", str(row["count"]), *figures))
    return table(("faces", "count", "MSE", "MS-SSIM", "dlib distance", "MobileFaceNet cosine"), rows)


def slider_table(figures: Mapping[str, Any]) -> str:
    """figures: {"sliders": `evaluate_sliders`, "mean": means over them}."""
    rows = []
    for name, row in {**figures["sliders"], "mean": figures["mean"]}.items():
        shares = (percent(row[k]) for k in ("share", "share_up", "share_down"))
        moves = (number(row[k], 2) for k in ("move_up", "move_down"))
        rows.append((name, row.get("judge", ""), *shares, *moves, number(row["identity"])))
    header = ("slider", "judge", "right way", f"at +{VALUE:g}", f"at -{VALUE:g}")
    return table((*header, f"move at +{VALUE:g}", f"move at -{VALUE:g}", "identity kept"), rows)


def dependency_table(figures: Mapping[str, Any]) -> str:
    """figures: of `measure_dependency`."""
    rows = []
    for name, row in figures["sliders"].items():
        row = row or {}
        rows.append((name, number(row.get("move"), 2), *(number(row.get(order), 3) for order in ORDERS)))
    means = figures["mean"] or {}
    rows.append(("mean", "", *(number(means.get(order), 3) for order in ORDERS)))
    return table(("slider", "at a move of", *ORDERS), rows)


def report(evaluation: Mapping[str, Any]) -> str:
    """The whole of evaluation.json as markdown."""
    parts = [
        f"`{evaluation['command']}`\n",
        f"(order {evaluation['order']}, torch {evaluation['torch']}, {evaluation['cpus']} CPUs)\n",
        "### Inversion\n",
        "Aligned crop against inversion, means. MSE on [-1, 1].\n",
        inversion_table(evaluation["inversion"]),
    ]
    for photos, lost in evaluation["no_face"].items():
        parts.append(f"No face was found in {lost} of the {photos}.\n")
    for name, figures in evaluation["sliders"].items():
        parts += [
            f"### Sliders, {name}\n",
            f"Share of faces whose judge moves the right way at +-{VALUE:g} from the inversion; mean moves "
            "in deviations between people; MobileFaceNet cosine of the edit to the inversion.\n",
            slider_table(figures),
        ]
    parts += [
        "### Mean attribute dependency\n",
        f"On {evaluation['dependency']['faces']} test faces: the mean over all other attributes of the "
        "change in the judge's output, in deviations, per deviation of the target's change, read off where "
        "every order has moved the target equally far (one deviation, or as far as all of them come).\n",
        dependency_table(evaluation["dependency"]),
    ]
    return "\n".join(parts)
