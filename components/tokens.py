"""Design tokens: every colour, size and layer of Matrix, in one table.

`assets/styles/tokens.css` is written from here (`python -m components.tokens`) and a test keeps the two equal.
Stylesheets and components use only these CSS variables; a brand replaces values, never names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

STYLESHEET = Path(__file__).parent.parent / "assets" / "styles" / "tokens.css"


@dataclass(frozen=True, slots=True)
class Colour:
    """One intention in both themes, as #RRGGBB."""

    light: str
    dark: str


COLOURS: Mapping[str, Colour] = {
    "canvas": Colour("#FAFAF9", "#111315"),
    "surface": Colour("#FFFFFF", "#191C1F"),
    "sunken": Colour("#F2F2F0", "#0C0E0F"),
    "text": Colour("#1A1C1E", "#ECEDEE"),
    "text-2": Colour("#4A4F55", "#B4B9BF"),
    "text-3": Colour("#646A72", "#949AA1"),
    "accent": Colour("#1F5FA8", "#7FB4F0"),
    "accent-hover": Colour("#174B87", "#A3CAF5"),
    "on-accent": Colour("#FFFFFF", "#0B1520"),
    "ok": Colour("#15795F", "#6FCF97"),
    "warn": Colour("#995C00", "#F0B35A"),
    "danger": Colour("#970C2D", "#FF8A80"),
    "on-danger": Colour("#FFFFFF", "#2A0B08"),
    "control": Colour("#85898E", "#71777E"),
    "line": Colour("#DEDFE0", "#2C3035"),
    "ok-tint": Colour("#E6F4EA", "#12291B"),
    "warn-tint": Colour("#FFF3DC", "#2E2310"),
    "danger-tint": Colour("#FCE8E6", "#3A1715"),
    "info-tint": Colour("#E7F0FA", "#13263B"),
    "selected": Colour("#E7F0FA", "#13263B"),
    "focus": Colour("#0B57D0", "#A8C7FA"),
}

# Series keep their hue order in both themes. Status colours are never series colours.
SERIES: tuple[Colour, ...] = (
    Colour("#1F5FA8", "#7FB4F0"),
    Colour("#46301B", "#F7C96E"),
    Colour("#18A55E", "#D7EAE0"),
    Colour("#8434F4", "#AF25F4"),
    Colour("#839608", "#796C06"),
    Colour("#8F4D6E", "#D14781"),
)
HEAT: tuple[str, ...] = ("#E7F0FA", "#B9D3EE", "#7FAEDD", "#3F82C3", "#1F5FA8", "#123C6E")

# Names of sizes are their pixels at the root's 16 px; the CSS is in rem so that a larger text setting scales all.
SPACES_PX: tuple[int, ...] = (4, 6, 8, 12, 16, 20, 24, 32, 40, 48, 64)
RADII_PX: Mapping[str, int] = {"badge": 4, "control": 6, "card": 10, "dialog": 14}
LAYERS: Mapping[str, int] = {"nav": 10, "sticky": 20, "menu": 30, "dialog": 40, "toast": 50}
BREAKPOINTS_PX: tuple[int, ...] = (480, 768, 1024, 1440)


@dataclass(frozen=True, slots=True)
class Type:
    """Size and line height in px, weight 100-900."""

    size: int
    line: int
    weight: int


TYPES: Mapping[str, Type] = {
    "display": Type(32, 40, 600),
    "h1": Type(24, 32, 600),
    "h2": Type(18, 28, 600),
    "h3": Type(16, 24, 600),
    "body": Type(14, 20, 400),
    "reading": Type(16, 26, 400),
    "small": Type(13, 18, 400),
    "micro": Type(12, 16, 500),
    "button": Type(14, 20, 500),
}

FIXED: Mapping[str, str] = {
    "font-text": '"Inter", system-ui, sans-serif',
    "font-code": '"JetBrains Mono", ui-monospace, monospace',
    "page-max": "90rem",
    "text-max": "45rem",
    "reading-max": "68ch",
    "nav-width": "15rem",
    "bar-height": "3.5rem",
    "row-height": "2.5rem",
    "control-height": "2.25rem",
    "motion-in": "180ms",
    "motion-out": "120ms",
    "ring-width": "2px",
}


def _rem(px: int) -> str:
    return f"{px / 16:g}rem"


def _colours(theme: str) -> dict[str, str]:
    colours = {name: getattr(colour, theme) for name, colour in COLOURS.items()}
    colours |= {f"series-{number}": getattr(colour, theme) for number, colour in enumerate(SERIES, start=1)}
    shade = "12%" if theme == "light" else "48%"
    scrim = "32%" if theme == "light" else "56%"
    deep = "18%" if theme == "light" else "60%"
    return colours | {
        "scrim": f"rgb(0 0 0 / {scrim})",
        "shadow-menu": f"0 8px 24px rgb(0 0 0 / {shade})",
        "shadow-dialog": f"0 16px 48px rgb(0 0 0 / {deep})",
    }


def _sizes() -> dict[str, str]:
    sizes = {f"space-{px}": _rem(px) for px in SPACES_PX}
    sizes |= {f"radius-{name}": f"{px}px" for name, px in RADII_PX.items()}
    sizes |= {f"layer-{name}": str(layer) for name, layer in LAYERS.items()}
    sizes |= {
        f"type-{name}": f"{role.weight} {_rem(role.size)}/{_rem(role.line)} var(--font-text)"
        for name, role in TYPES.items()
    }
    sizes |= {f"heat-{number}": colour for number, colour in enumerate(HEAT, start=1)}
    return sizes | dict(FIXED)


def _block(selector: str, values: Mapping[str, str], *, indent: str = "") -> str:
    lines = [
        f"{indent}{selector} {{",
        *(f"{indent}  --{name}: {value};" for name, value in values.items()),
        f"{indent}}}",
    ]
    return "\n".join(lines)


def _contrast(theme: str) -> dict[str, str]:
    text = "#000000" if theme == "light" else "#FFFFFF"
    return {"text": text, "text-2": text, "text-3": text, "line": "var(--control)", "ring-width": "3px"}


def render_css() -> str:
    """The text of tokens.css: light values, dark values, and the contrast variant of each."""
    return "\n\n".join(
        [
            "/* Written by `python -m components.tokens` from components/tokens.py; edit that table instead. */",
            _block(":root", _colours("light") | _sizes()),
            # Reflex sets color-scheme inline on <html>; ours wins, so that one attribute decides the theme.
            ":root { color-scheme: light !important; }",
            'html[data-theme="dark"] { color-scheme: dark !important; }',
            # Paper is light in any theme.
            "@media screen {\n" + _block('html[data-theme="dark"]', _colours("dark"), indent="  ") + "\n}",
            "@media (prefers-contrast: more) {\n" + _block(":root", _contrast("light"), indent="  ") + "\n}",
            "@media screen and (prefers-contrast: more) {\n"
            + _block('html[data-theme="dark"]', _contrast("dark"), indent="  ")
            + "\n}",
            "@media (prefers-reduced-motion: reduce) {\n"
            + _block(":root", {"motion-in": "0ms", "motion-out": "0ms"}, indent="  ")
            + "\n}\n",
        ]
    )


if __name__ == "__main__":
    STYLESHEET.write_text(render_css(), encoding="utf-8")
