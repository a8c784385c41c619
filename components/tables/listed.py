"""Tables and chips of a declared list: what can be sorted and how cells are written follows from the declaration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import reflex as rx
from reflex.vars import VarData

from components.format.values import when
from components.icons import icon
from components.props import Flag, Rows, Text
from components.tables.table import Column, ColumnKind, Table
from components.texts import t
from services.core.listing import Kind, Listing, Operator

_KINDS: dict[Kind, ColumnKind] = {
    Kind.ID: "code",
    Kind.INSTANT: "datetime",
    Kind.INTEGER: "number",
    Kind.DECIMAL: "number",
}


def table_of(
    listing: Listing[Any], table_id: str, *columns: str | Column, texts: str, caption: str = ""
) -> Table:
    """A table over rows of `listing`; its words are `texts.title` and `texts.<column>`.

    A column by its name is drawn as its kind is; a `Column` says how, and gets from the list whether it sorts.
    """
    return Table(
        table_id, caption or f"{texts}.title", columns=tuple(_column(listing, texts, one) for one in columns)
    )


def _column(listing: Listing[Any], texts: str, one: str | Column) -> Column:
    if isinstance(one, Column):
        return replace(one, sortable=(one.sort or one.key) in listing.sorts)
    declared = listing.column(one)
    if declared.currency:
        return Column(one, f"{texts}.{one}", "money", currency=declared.currency, sortable=declared.sortable)
    return Column(one, f"{texts}.{one}", _KINDS.get(declared.kind, "text"), sortable=declared.sortable)


def filter_chips(
    chips: Rows,
    *,
    columns: Mapping[str, str],
    values: Mapping[str, str] | None = None,
    named: Mapping[str, rx.Var[list[dict[str, str]]]] | None = None,
    on_remove: Callable[[rx.Var[str], str], Any],
    zone: Text = "UTC",
) -> rx.Component:
    """Each filter in force as field, operator and value; pressing one takes it away.

    `columns` are the words of columns by their names; `values` those of values, as `column:value`; `named` the names of
    what a column refers to by id, as `[{id, label}]`.
    """
    usual = [(operator.value, t(f"filter.operator.{operator.value}")) for operator in Operator]
    of_times = [
        (operator.value, t(f"filter.operator_of_times.{operator.value}"))
        for operator in (Operator.GT, Operator.GTE, Operator.LT, Operator.LTE)
    ]

    def chip(one: Any) -> rx.Component:
        given = one["value"].to(str)
        names = [(column, _name_of(given, rows)) for column, rows in (named or {}).items()]
        value = rx.match(one["column"], *names, given) if names else given
        value = rx.match(one["words"], *values.items(), value) if values else value
        is_time = one["kind"] == Kind.INSTANT.value
        shown = rx.cond(is_time, when(one["value"], zone=zone), value)
        word = rx.match(one["operator"], *usual, one["operator"].to(str))
        operator = rx.cond(is_time, rx.match(one["operator"], *of_times, word), word)
        return rx.el.li(
            rx.el.button(
                rx.el.span(t("filter.remove"), " ", class_name="visually-hidden"),
                rx.match(one["column"], *columns.items(), one["column"].to(str)),
                " ",
                rx.el.span(operator, class_name="muted"),
                " ",
                shown,
                icon("x"),
                type="button",
                on_click=on_remove(one["key"].to(str), ""),
                class_name="chip",
            ),
            key=one["key"].to(str),
        )

    present = rx.Var.create(chips).to(list[dict[str, Any]])
    drawn = rx.el.ul(rx.foreach(present, chip), class_name="chips", aria_label=t("filter.active"))
    return rx.cond(present.length() > 0, drawn, rx.fragment())


def _name_of(given: rx.Var[str], rows: rx.Var[list[dict[str, str]]]) -> rx.Var[str]:
    """The label of the row with that id; the id itself where there is none."""
    return rx.Var(
        f"(({rows!s}).find((row) => row.id === {given!s})?.label ?? {given!s})",
        _var_type=str,
        _var_data=VarData.merge(rows._get_all_var_data(), given._get_all_var_data()),
    )


def summary(first: Any, last: Any, total: Any, *, exact: Flag) -> rx.Var[str]:
    """Which rows these are, of how many; "about" where they were not counted to the end."""
    return rx.cond(
        total > 0,
        rx.cond(
            exact,
            t("table.rows", first=first, last=last, total=total),
            rx.cond(
                first > 0,
                t("table.rows_about", first=first, last=last, total=total),
                t("table.some_about", rows=last, total=total),
            ),
        ),
        "",
    )
