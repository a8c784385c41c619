"""Every event handler of our page states: each can be called by name, over the socket, by anyone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import reflex as rx
from reflex.state import BaseState

from matrix_app import pages
from state.base import PageState

pages.load_all()

# Calls only methods named set_<var>, of which our states have none.
REFLEX_OWN = frozenset({"setvar"})


@dataclass(frozen=True, slots=True)
class Handler:
    """One method that the socket reaches; `function` takes the state first."""

    state: type[PageState]
    name: str
    function: Any

    def __str__(self) -> str:
        return f"{self.state.__module__}.{self.state.__name__}.{self.name}"


def our_states(parent: type[BaseState] = rx.State) -> Iterator[type[PageState]]:
    for state in parent.get_substates():
        if state.__module__.startswith("state."):
            yield state  # pyright: ignore[reportReturnType]
        yield from our_states(state)


def handlers() -> Iterator[Handler]:
    for state in our_states():
        for name, handler in state.event_handlers.items():
            if name not in REFLEX_OWN:
                yield Handler(state, name, handler.fn)
