"""The client side of the components: React modules in this folder and the base class that wraps them.

All files are linked as shared assets together, so that they import each other by relative path. They take words
and values as props and know neither the catalogue nor page state.
"""

from __future__ import annotations

from pathlib import Path

import reflex as rx

REACT_ARIA = "react-aria-components@1.22.1"
DATES = "@internationalized/date@3.12.4"  # React Aria's own, for the days it takes
PLOTLY = "plotly.js-basic-dist-min@4.1.1"

_LIBRARIES = {
    path.stem: rx.asset(path.name, shared=True).importable_path
    for path in sorted(Path(__file__).parent.iterdir())
    if path.suffix in {".js", ".jsx"}
}


def library(stem: str) -> str:
    """Where the build finds the module `stem` of this folder."""
    return _LIBRARIES[stem]


class ClientComponent(rx.Component):
    """A React component of ours: `class Tabs(ClientComponent): library = library("tabs"); tag = "Tabs"`."""


class AriaComponent(ClientComponent):
    """One built on React Aria, which brings the keyboard and screen reader behaviour."""

    lib_dependencies: list[str] = [REACT_ARIA]
