"""The declaration of a page: where it is, whose it is, what it needs, and what it reads first.

@page("/portal/keys", console=Console.PORTAL, title="keys.title", needs=Capability.KEYS_READ, on_load=KeysState.load)
def keys() -> Drawn: ...
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import reflex as rx

from components.shell.page import of_address
from matrix_app.pages.frame import console_frame, public_frame
from services.core.permissions import Capability
from state.session import GOVERNANCE_HOME, SessionState

Drawn = Sequence[rx.Component]


class Console(StrEnum):
    """Whose page it is; each but the public ones has its own navigation."""

    PUBLIC = "public"
    BARE = "bare"  # brings its own frame
    PORTAL = "portal"
    GOVERNANCE = "governance"
    ACCOUNT = "account"  # the person's own, for whoever is signed in; within the portal's navigation


@dataclass(frozen=True, slots=True)
class Page:
    """`title` is a catalogue key; `needs` is what its first reading asks for, None when anyone may look."""

    route: str
    console: Console
    title: str
    needs: Capability | None
    on_load: Sequence[Any]
    draw: Callable[[], Drawn]
    wide: bool = False

    @property
    def is_dynamic(self) -> bool:
        """Whether a part of the route names a row, as in /portal/requests/[request_id]."""
        return "[" in self.route

    def lies_at(self, path: str) -> bool:
        """Whether `path` is the route, with something in place of what it leaves open."""
        parts, wanted = path.split("/"), self.route.split("/")
        fitting = (want.startswith("[") or want == part for want, part in zip(wanted, parts, strict=False))
        return len(parts) == len(wanted) and all(fitting)

    def component(self) -> rx.Component:
        """The whole page with its frame, of what was read for its address."""
        return of_address(self._framed(), field="read_for")

    def _framed(self) -> rx.Component:
        if self.console is Console.BARE:
            return rx.fragment(*self.draw())
        if self.console is Console.PUBLIC:
            return public_frame(*self.draw(), title=self.title, wide=self.wide)
        console = Console.PORTAL if self.console is Console.ACCOUNT else self.console
        return console_frame(*self.draw(), title=self.title, route=self.route, console=console.value)


PAGES: dict[str, Page] = {}
_READ_FIRST = {
    Console.PUBLIC: SessionState.look,
    Console.BARE: SessionState.look,
    Console.ACCOUNT: SessionState.load_own,
}

# Addresses people type that are no page, each with the page it leads to.
LED_ON = {"/governance": GOVERNANCE_HOME}


class DuplicateRoute(ValueError):
    """Two pages want the same address."""


def page(
    route: str,
    *,
    console: Console,
    title: str,
    needs: Capability | None = None,
    on_load: Any = None,
    wide: bool = False,
) -> Callable[[Callable[[], Drawn]], Callable[[], Drawn]]:
    """Declare a page. The session is read before its own `on_load`, so that the shell knows who looks."""
    own = [] if on_load is None else list(on_load) if isinstance(on_load, list | tuple) else [on_load]
    first = _READ_FIRST.get(console, SessionState.load)

    def declare(draw: Callable[[], Drawn]) -> Callable[[], Drawn]:
        if route in PAGES:
            raise DuplicateRoute(
                f"{route} is declared by {PAGES[route].draw.__qualname__} and {draw.__qualname__}."
            )
        PAGES[route] = Page(route, console, title, needs, [first, *own], draw, wide)
        return draw

    return declare


def console_at(path: str) -> Console | None:
    """Whose page lies at `path`, of which a part may name a row; None where there is none."""
    dynamic = (one for one in PAGES.values() if one.is_dynamic and one.lies_at(path))
    found = PAGES.get(path) or next(dynamic, None)
    return found.console if found else None


def documents() -> list[str]:
    """Routes that are compiled to a document of their own, besides the front page."""
    return [
        route for route, one in PAGES.items() if route.startswith("/") and route != "/" and not one.is_dynamic
    ]
