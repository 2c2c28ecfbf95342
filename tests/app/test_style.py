"""The page's colours: what must be seen stands out, in both themes (WCAG 2.1, 1.4.3 and 1.4.11)."""

import re

import pytest

from app.markup import HERE

STYLE = (HERE / "style.css").read_text(encoding="utf-8")
THEMES = {
    name: dict(re.findall(r"--v-([\w-]+): (#[0-9a-f]{6})", STYLE.split(head, 1)[1].split("}", 1)[0]))
    for name, head in (("light", ":root {"), ("dark", ':root[data-theme="dark"] {'))
}


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_measure_itself() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(
        4.48, abs=0.01
    )  # the standard's best known neighbour


@pytest.mark.parametrize("theme", THEMES)
def test_tracks_and_what_is_chosen_on_them_stand_out(theme: str) -> None:
    colours = THEMES[theme]
    for ground in ("panel", "page", "raised"):
        for mark in ("track", "accent", "lost"):
            assert contrast(colours[mark], colours[ground]) >= 3, (mark, ground)


@pytest.mark.parametrize("theme", THEMES)
def test_every_text_can_be_read(theme: str) -> None:
    colours = THEMES[theme]
    for ground in ("panel", "page", "raised", "well"):
        for text in ("text", "quiet"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    assert contrast(colours["on-accent"], colours["accent"]) >= 4.5
