"""A whole number with buttons beside it, for what is bought by the piece."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.js import ClientComponent, library
from components.props import Text
from components.texts import texts_under


def _value_spec(value: rx.Var[str]) -> tuple[rx.Var[str]]:
    return (value,)


class _Stepper(ClientComponent):
    library = library("stepper")
    tag = "Stepper"

    name: rx.Var[str]
    label: rx.Var[str]
    hint: rx.Var[str]
    value: rx.Var[str]
    min: rx.Var[str]
    max: rx.Var[str]
    error: rx.Var[str]
    texts: rx.Var[dict[str, str]]
    on_change: rx.EventHandler[_value_spec]


def stepper(
    name: Text,
    label: Text,
    *,
    value: Text,
    on_change: Any,
    min: Text = "0",
    max: Text = "",
    hint: Text | None = None,
    error: Text | None = None,
) -> rx.Component:
    """`on_change` is told the number as text once it has settled. `max` is empty where there is none; `name` is unique
    on the page. Arrow keys work, and the buttons say of what there will be one more or less."""
    given = {"hint": hint, "error": error}
    props = {key: prop for key, prop in given.items() if prop is not None}
    return _Stepper.create(
        name=name, label=label, value=value, min=min, max=max, on_change=on_change, texts=texts_under("stepper"),
        **props,
    )  # fmt: skip
