"""Colours are computed, not picked by eye: every promised contrast and distance is recomputed from the token table."""

from __future__ import annotations

import re
from itertools import combinations

import pytest

from components import tokens

Rgb = tuple[float, float, float]

GROUNDS = ("surface", "canvas", "sunken")
TEXT_MIN, EDGE_MIN = 4.5, 3.0

# Machado, Oliveira and Fernandes 2009, severity 1, applied to linear light.
VISION: dict[str, tuple[Rgb, Rgb, Rgb]] = {
    "full": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protan": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deutan": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritan": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}


def linear(colour: str) -> Rgb:
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return red, green, blue


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        red, green, blue = linear(colour)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def lab(light: Rgb) -> Rgb:
    red, green, blue = light
    xyz = (
        (0.4124564 * red + 0.3575761 * green + 0.1804375 * blue) / 0.95047,
        0.2126729 * red + 0.7151522 * green + 0.0721750 * blue,
        (0.0193339 * red + 0.1191920 * green + 0.9503041 * blue) / 1.08883,
    )
    x, y, z = (t ** (1 / 3) if t > 216 / 24389 else (24389 / 27 * t + 16) / 116 for t in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def distance(one: str, other: str, vision: str) -> float:
    def seen(colour: str) -> Rgb:
        light = linear(colour)
        red, green, blue = (
            min(1.0, max(0.0, sum(weight * channel for weight, channel in zip(row, light, strict=True))))
            for row in VISION[vision]
        )
        return lab((red, green, blue))

    return sum((a - b) ** 2 for a, b in zip(seen(one), seen(other), strict=True)) ** 0.5


def colour(name: str, theme: str) -> str:
    return getattr(tokens.COLOURS[name], theme)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "name", ["text", "text-2", "text-3", "accent", "accent-hover", "ok", "warn", "danger"]
)
def test_text_is_readable_on_every_ground(name: str, theme: str) -> None:
    for ground in GROUNDS:
        assert contrast(colour(name, theme), colour(ground, theme)) >= TEXT_MIN, ground


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "ground"),
    [
        ("on-accent", "accent"),
        ("on-accent", "accent-hover"),
        ("on-danger", "danger"),
        ("ok", "ok-tint"),
        ("warn", "warn-tint"),
        ("danger", "danger-tint"),
        ("accent", "info-tint"),
        ("text", "selected"),
        ("text-2", "selected"),
        ("text-3", "selected"),
    ],
)
def test_text_is_readable_on_its_own_ground(ink: str, ground: str, theme: str) -> None:
    assert contrast(colour(ink, theme), colour(ground, theme)) >= TEXT_MIN


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["control", "focus"])
def test_edges_that_carry_meaning_are_visible(name: str, theme: str) -> None:
    for ground in GROUNDS:
        assert contrast(colour(name, theme), colour(ground, theme)) >= EDGE_MIN, ground


@pytest.mark.parametrize(
    ("name", "theme", "surface", "canvas", "sunken"),
    [
        ("text", "light", 17.09, 16.36, 15.25),
        ("text", "dark", 14.60, 15.88, 16.51),
        ("text-2", "light", 8.27, 7.91, 7.37),
        ("text-2", "dark", 8.66, 9.43, 9.80),
        ("text-3", "light", 5.46, 5.23, 4.87),
        ("text-3", "dark", 6.03, 6.56, 6.81),
        ("accent", "light", 6.44, 6.17, 5.75),
        ("accent", "dark", 7.90, 8.59, 8.93),
        ("accent-hover", "light", 8.78, 8.40, 7.83),
        ("accent-hover", "dark", 10.04, 10.93, 11.35),
        ("ok", "light", 5.34, 5.11, 4.76),
        ("ok", "dark", 9.00, 9.80, 10.18),
        ("warn", "light", 5.40, 5.18, 4.82),
        ("warn", "dark", 9.21, 10.02, 10.41),
        ("danger", "light", 8.73, 8.36, 7.79),
        ("danger", "dark", 7.50, 8.16, 8.48),
        ("control", "light", 3.52, 3.37, 3.14),
        ("control", "dark", 3.78, 4.12, 4.28),
        ("focus", "light", 6.39, 6.11, 5.70),
        ("focus", "dark", 9.95, 10.83, 11.25),
    ],
)
def test_contrasts_are_those_of_the_design(
    name: str, theme: str, surface: float, canvas: float, sunken: float
) -> None:
    found = [round(contrast(colour(name, theme), colour(ground, theme)), 2) for ground in GROUNDS]

    assert found == pytest.approx([surface, canvas, sunken], abs=0.011)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_chart_series_stand_out_from_the_page(theme: str) -> None:
    for series in tokens.SERIES:
        for ground in ("surface", "canvas"):
            assert contrast(getattr(series, theme), colour(ground, theme)) >= EDGE_MIN


@pytest.mark.parametrize(
    ("theme", "vision", "smallest"),
    [
        ("light", "full", 39.8),
        ("light", "protan", 28.8),
        ("light", "deutan", 29.9),
        ("light", "tritan", 26.4),
        ("dark", "full", 39.5),
        ("dark", "protan", 34.7),
        ("dark", "deutan", 35.6),
        ("dark", "tritan", 31.5),
    ],
)
def test_chart_series_differ_for_every_kind_of_sight(theme: str, vision: str, smallest: float) -> None:
    palette = [getattr(series, theme) for series in tokens.SERIES]

    assert min(distance(a, b, vision) for a, b in combinations(palette, 2)) == pytest.approx(
        smallest, abs=0.2
    )


@pytest.mark.parametrize(("theme", "smallest"), [("light", 23.5), ("dark", 13.8)])
def test_status_colours_differ_for_every_kind_of_sight(theme: str, smallest: float) -> None:
    statuses = [colour(name, theme) for name in ("ok", "warn", "danger")]

    found = min(distance(a, b, vision) for vision in VISION for a, b in combinations(statuses, 2))

    assert found >= smallest - 0.2


RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
INK = re.compile(r"(?<![\w-])color: var\(--([\w-]+)\)")
GROUND = re.compile(r"(?<![\w-])background(?:-color)?: var\(--([\w-]+)\)")


def coloured_rules() -> list[tuple[str, str, str]]:
    """Every rule of the stylesheets that says both what is written and on what."""
    found: list[tuple[str, str, str]] = []
    for sheet in sorted(tokens.STYLESHEET.parent.glob("*.css")):
        for selector, said in RULE.findall(sheet.read_text(encoding="utf-8")):
            ink, ground = INK.search(said), GROUND.search(said)
            if ink and ground and {ink[1], ground[1]} <= tokens.COLOURS.keys():
                found.append((selector.strip().rpartition("*/")[2].strip(), ink[1], ground[1]))
    return found


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_whatever_the_stylesheets_write_is_readable_on_what_they_write_it_on(theme: str) -> None:
    rules = coloured_rules()

    assert len(rules) > 20
    pale = [
        (selector, ink, ground)
        for selector, ink, ground in rules
        if contrast(colour(ink, theme), colour(ground, theme)) < TEXT_MIN
    ]
    assert pale == []


def test_stylesheet_is_written_from_the_table() -> None:
    assert tokens.STYLESHEET.read_text(encoding="utf-8") == tokens.render_css()
