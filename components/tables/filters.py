"""The bar above a table: one labelled control per filter, and one button that clears them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import reflex as rx

from components.icons import icon
from components.js import ClientComponent, library
from components.props import Drawn, Flag, Texts
from components.texts import t

SEARCH_SETTLE_MS = 250


def _value_spec(value: rx.Var[str]) -> tuple[rx.Var[str]]:
    return (value,)


class _FilterInput(ClientComponent):
    library = library("filters")
    tag = "FilterInput"

    type: rx.Var[str]
    value: rx.Var[str]
    settle_ms: rx.Var[int]
    on_settle: rx.EventHandler[_value_spec]


class _FilterSelect(ClientComponent):
    library = library("filters")
    tag = "FilterSelect"

    value: rx.Var[str]
    on_settle: rx.EventHandler[_value_spec]


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter; `key` is its name in the URL, `text` a catalogue key.

    A "select" has `options` as (value, words) pairs, or a var of `[{id, label}]`; the empty value stands for any. With
    `shown` the control is there only while that holds, for what not everybody may filter by.
    """

    key: str
    text: str
    kind: Literal["search", "select", "date"] = "select"
    options: Sequence[tuple[str, str]] | Sequence[dict[str, str]] | rx.Var[list[dict[str, str]]] = ()
    any_text: str = "filter.any"
    shown: rx.Var[bool] | None = None


def days(column: str) -> tuple[Filter, Filter]:
    """From which day on, and to the end of which, an instant lies: both days are in it, as lists read them."""
    return (
        Filter(f"{column}[gte]", "filter.first_day", "date"),
        Filter(f"{column}[lt]", "filter.last_day", "date"),
    )


def filter_bar(
    filters: Sequence[Filter],
    values: Texts,
    *,
    on_filter: Callable[[str, rx.Var[str]], Any],
    on_clear: Any,
    filtered: Flag,
    end: Sequence[Drawn] = (),
) -> rx.Component:
    """Controls show `values`; `on_filter(key, value)` is told each settled change. Stays when nothing matches."""
    clear = rx.el.button(
        icon("x"), t("filter.clear"), type="button", on_click=on_clear, class_name="button quiet"
    )
    return rx.el.div(
        *(_control(one, values, on_filter) for one in filters),
        rx.cond(filtered, clear, rx.fragment()),
        rx.el.div(*end, class_name="row filter-end") if end else rx.fragment(),
        class_name="filter-bar",
        role="group",
        aria_label=t("filter.label"),
    )


def _control(one: Filter, values: Texts, on_filter: Callable[[str, rx.Var[str]], Any]) -> rx.Component:
    control_id = f"filter-{one.key}"
    label = rx.el.label(t(one.text), html_for=control_id, class_name="label")
    current = rx.Var.create(values).to(dict[str, str])[one.key].to(str)
    if one.kind == "select":
        shown = rx.el.div(
            _FilterSelect.create(
                rx.el.option(t(one.any_text), value=""),
                *_options(one),
                id=control_id,
                value=current,
                on_settle=lambda chosen: on_filter(one.key, chosen),
            ),
            icon("chevron-down"),
            class_name="select",
        )
    else:
        shown = _FilterInput.create(
            id=control_id,
            type="search" if one.kind == "search" else "date",
            value=current,
            settle_ms=SEARCH_SETTLE_MS,
            on_settle=lambda typed: on_filter(one.key, typed),
        )
    drawn = rx.el.div(label, shown, class_name="field")
    return drawn if one.shown is None else rx.cond(one.shown, drawn, rx.fragment())


def _options(one: Filter) -> list[rx.Component]:
    if isinstance(one.options, rx.Var):
        return [
            rx.foreach(
                one.options,
                lambda option: rx.el.option(option["label"], value=option["id"], key=option["id"]),
            )
        ]
    return [rx.el.option(words, value=chosen) for chosen, words in one.options]
