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
    return rx.el.svg(
        rx.el.svg.use(href=f"{SPRITE_URL}#{name}"),
        class_name=f"icon icon-{size} {class_name}".strip(),
        custom_attrs={"aria-hidden": "true", "focusable": "false"},
    )
