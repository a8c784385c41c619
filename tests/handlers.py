"""Every event handler of our page states: each can be called by name, over the socket, by anyone."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from types import FunctionType
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


def verbs(handler: Any) -> set[FunctionType]:
    """What of the services a page's handler calls, by itself or through other methods of its class."""
    handler = inspect.unwrap(handler)
    state = handler.__globals__.get(handler.__qualname__.partition(".")[0])
    known, todo, found = set[str](), [handler], set[FunctionType]()
    while todo:
        for called in _called(todo.pop()):
            if isinstance(called, FunctionType):
                found.add(called)
            elif called not in known and isinstance(method := getattr(state, called, None), FunctionType):
                known.add(called)
                todo.append(method)
    return found


def _called(function: Any) -> Iterator[Any]:
    """The services' functions that a function names, and the names of what it takes from its own object."""
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            named = getattr(function.__globals__.get(node.value.id), node.attr, None)
            if node.value.id == "self":
                yield node.attr
            elif isinstance(named, FunctionType) and named.__module__.startswith("services."):
                yield named
