"""Means of opened faces: of all, of every source, and of the groups that a source labels."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from cli.measures import Figures, means
from training.judging.tables import number, table

# Only these say who is who without a machine's guess.
LABELLED = ("MEBeauty", "All-Age-Faces")
AGE_BANDS = ((0, 12), (13, 29), (30, 49), (50, 69), (70, None))
COLUMNS = {
    "mse": ("MSE", 4),
    "lpips": ("LPIPS", 3),
    "judge_cosine": ("MobileFaceNet cosine", 3),
    "code_rms": ("code rms", 2),
    "code_spread": ("code spread", 2),
    "seconds": ("seconds", 1),
}

Entry = dict[str, Any]


def summary(entries: Sequence[Entry]) -> dict[str, Any]:
    """{"at": {time: {group: row}}, "first": {group: row}, "failed": {name: sentence}}; row: count, means.

    Groups: "faces" (all but portraits), every source, "MEBeauty, asian", "All-Age-Faces, 0 to 12" and so on.
    """
    opened = [entry for entry in entries if "at" in entry]
    members = groups(opened)
    times = list(opened[0]["at"]) if opened else []
    return {
        "at": {
            time: {name: _row([entry["at"][time] for entry in who]) for name, who in members.items()}
            for time in times
        },
        "first": {
            name: _row(firsts)
            for name, who in members.items()
            if (firsts := [entry["first"] for entry in who if "first" in entry])
        },
        "failed": {entry["name"]: entry["failed"] for entry in entries if "failed" in entry},
    }


def _row(figures: Sequence[Mapping[str, float | None]]) -> dict[str, float | int | None]:
    """Means, how many, and the worst cosine."""
    row: dict[str, float | int | None] = {"count": len(figures), **means(figures)}
    cosines = [value for f in figures if (value := f.get("judge_cosine")) is not None]
    if cosines:
        row |= {"judge_cosine_median": statistics.median(cosines), "judge_cosine_worst": min(cosines)}
    return row


def groups(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """The members of every group that has any, in the order of the table."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry["source"] != "portraits":
            found.setdefault("faces", []).append(entry)
    for entry in entries:
        found.setdefault(entry["source"], []).append(entry)
    for source in LABELLED:
        who = [entry for entry in entries if entry["source"] == source]
        for label in ("group", "gender"):
            for value in sorted({entry[label] for entry in who if label in entry}):
                found[f"{source}, {value}"] = [entry for entry in who if entry.get(label) == value]
        for low, high in AGE_BANDS:
            band = f"{low} and older" if high is None else f"{low} to {high}"
            inside = [e for e in who if "age" in e and low <= float(e["age"]) <= (high or float("inf"))]
            if inside:
                found[f"{source}, {band}"] = inside
    return found


def report(found: Mapping[str, Any]) -> str:
    """`summary` with its command as markdown: a table for each time, then the first pictures."""
    parts = [f"`{found['command']}`\n"]
    for time, rows in found["at"].items():
        parts.append(_table(f"opened, {time} s", rows))
    if found["first"]:
        parts.append(_table("first picture", found["first"]))
    parts += [f"{name}: {sentence}\n" for name, sentence in found["failed"].items()]
    return "\n".join(parts)


def _table(title: str, rows: Mapping[str, Figures]) -> str:
    names = [name for name in COLUMNS if any(row.get(name) is not None for row in rows.values())]
    header = (title, "count", *(COLUMNS[name][0] for name in names), "worst cosine")
    lines = [
        (
            group,
            str(row["count"]),
            *(number(row.get(name), COLUMNS[name][1]) for name in names),
            number(row.get("judge_cosine_worst")),
        )
        for group, row in rows.items()
    ]
    return table(header, lines)
