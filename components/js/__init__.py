"""The client side of the components: React modules in this folder and the base class that wraps them.

All files are linked as shared assets together, so that they import each other by relative path. They take words
and values as props and know neither the catalogue nor page state.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import reflex as rx

REACT_ARIA = "react-aria-components@1.22.1"
DATES = "@internationalized/date@3.12.4"  # React Aria's own, for the days it takes
PLOTLY = "plotly.js-basic-dist-min@4.1.1"


def _linked() -> dict[str, str]:
    found = sorted(path for path in Path(__file__).parent.iterdir() if path.suffix in {".js", ".jsx"})
    return {path.stem: rx.asset(path.name, shared=True).importable_path for path in found}


# To learn who asks, Reflex examines the whole stack for each file. A thread has a short one: here, below all who
# import this module, that is the difference between seconds of each start and nothing.
with ThreadPoolExecutor(max_workers=1) as _apart:
    _LIBRARIES = _apart.submit(_linked).result()


def library(stem: str) -> str:
    """Where the build finds the module `stem` of this folder."""
    return _LIBRARIES[stem]


class ClientComponent(rx.Component):
    """A React component of ours: `class Tabs(ClientComponent): library = library("tabs"); tag = "Tabs"`."""


class AriaComponent(ClientComponent):
    """One built on React Aria, which brings the keyboard and screen reader behaviour."""

    lib_dependencies: list[str] = [REACT_ARIA]
