"""Figures as markdown tables, ready for a model card."""


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A markdown table; all columns but the first are aligned to the right."""
    lines = [header, ("---", *["---:"] * (len(header) - 1)), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def percent(value: float) -> str:
    return f"{100 * value:.1f} %"
