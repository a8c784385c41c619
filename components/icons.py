"""Icons: the Lucide shapes of assets/icons.svg, drawn in the text's colour.

The sprite is one cached request, so icons add nothing to a page's script.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Literal

import reflex as rx

SPRITE_URL = "/icons.svg"
_SPRITE = Path(__file__).parent.parent / "assets" / "icons.svg"

IconSize = Literal[16, 20, 24]

# Shapes that point where the text goes, or back: where text runs from right to left they are turned.
ALONG_THE_LINE = frozenset(
    {"arrow-left", "arrow-right", "chevron-left", "chevron-right", "external-link", "log-out", "send"}
)


class UnknownIcon(LookupError):
    """The sprite has no such shape."""

    def __init__(self, name: str) -> None:
        super().__init__(f"assets/icons.svg has no symbol {name!r}.")


@cache
def names() -> frozenset[str]:
    """The names that `icon` accepts."""
    return frozenset(re.findall(r'<symbol id="([^"]+)"', _SPRITE.read_text(encoding="utf-8")))


def icon(name: str, *, size: IconSize = 16, class_name: str = "") -> rx.Component:
    """A decorative icon; the word or the name that gives it meaning stands beside it or on its button."""
    if name not in names():
        raise UnknownIcon(name)
    flips = "flips" if name in ALONG_THE_LINE else ""
    return rx.el.svg(
        rx.el.svg.use(href=f"{SPRITE_URL}#{name}"),
        class_name=" ".join(filter(None, (f"icon icon-{size}", flips, class_name))),
        custom_attrs={"aria-hidden": "true", "focusable": "false"},
    )
