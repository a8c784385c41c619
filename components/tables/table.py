"""Tables by declaration: what the columns are, over rows that a page state holds.

    KEYS = Table("keys", "keys.caption", columns=(
        Column("name", "keys.name", kind="link", href="href", row_header=True, sortable=True),
        Column("cost", "keys.cost", kind="money", currency="currency"),
    ))
    data_table(KEYS, State.rows, status=State.status, ...)

Rows are plain dicts. The status says which of the four states is drawn: "loading", "ready" or "error"; a ready table
without rows is empty, or has no match when a filter hides them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import reflex as rx

from components.feedback.badges import Status, status_badge
from components.feedback.states import empty_state, error_state
from components.format.values import NUMBER_KINDS, value
from components.icons import icon
from components.links import link
from components.props import Drawn, Flag, Row, Rows, Text
from components.texts import t

ColumnKind = Literal[
    "text", "link", "code", "badge", "number", "tokens", "percent", "money", "price", "per_million", "duration",
    "bytes", "ago", "date", "datetime",
]  # fmt: skip

SKELETON_ROWS = 8


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `key` is the row's field and the name that sorting uses, `text` the catalogue key of its header.

    `href` and `currency` name fields of the row; `unit` is a catalogue key shown in the header; `statuses` maps the
    values of a badge column; `draw` overrides the cell's content. With `shown` the column is there only while that
    holds, for what not everybody may see. Exactly one column of a table is its row header.
    Where a phone shows lines, a row has its header and its `brief` columns only. `sort` is what sorting calls the
    column where that is not its key.
    """

    key: str
    text: str
    kind: ColumnKind = "text"
    sortable: bool = False
    row_header: bool = False
    href: str | None = None
    currency: str | None = None
    unit: str | None = None
    digits: int | None = None
    statuses: Mapping[str, Status] = field(default_factory=dict)
    draw: Callable[[Row], Drawn] | None = None
    shown: rx.Var[bool] | None = None
    brief: bool = False
    sort: str = ""

    @property
    def is_number(self) -> bool:
        """Whether its figures stand right-aligned. One that names the row begins it, whatever it is."""
        return self.kind in NUMBER_KINDS and not self.row_header


class TableWithoutRowHeader(ValueError):
    """A row needs one cell that names it."""


@dataclass(frozen=True, slots=True)
class Table:
    """A declared table. `id` is unique on its page, `caption` a catalogue key, `row_key` names the rows' identity."""

    id: str
    caption: str
    columns: Sequence[Column]
    row_key: str = "id"

    def __post_init__(self) -> None:
        if sum(column.row_header for column in self.columns) != 1:
            raise TableWithoutRowHeader(f"Table {self.id!r} needs exactly one column with row_header=True.")


@dataclass(frozen=True, slots=True)
class Sorting:
    """The current order as a var: "name" ascending, "-name" descending; `on_sort(key)` is told the header's key."""

    by: Text
    on_sort: Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Paging:
    """Keyset paging: whether a page precedes and follows, and how to go there; `summary` as "1-50 of about 1,200"."""

    has_previous: Flag
    has_next: Flag
    on_previous: Any
    on_next: Any
    summary: Text = ""


def data_table(
    table: Table,
    rows: Rows,
    *,
    status: Text = "ready",
    empty: Drawn | None = None,
    filtered: Flag = False,
    on_clear_filters: Any = None,
    sorting: Sorting | None = None,
    paging: Paging | None = None,
    actions: Callable[[Row], Drawn] | None = None,
    error_reference: Text = "",
    on_retry: Any = None,
    zone: Text = "UTC",
    phone: Literal["cards", "scroll", "lines"] = "cards",
) -> rx.Component:
    """The table in whichever of its states holds. Cells keep their height between loading and ready.

    On a phone each row is a card; or rows are scrolled sideways; or the first five are drawn, on two lines each with
    their row header and `brief` columns, for a table with a page of its own.

    `actions(row)` draws the last cell; the names of its buttons must include the row. `zone` is for instants.
    """
    present = rx.Var.create(rows).to(list[dict[str, Any]])
    ready = rx.cond(
        present.length() > 0,
        _drawn(table, _body(table, present, actions, zone), sorting, actions is not None, phone),
        rx.cond(filtered, _no_match(on_clear_filters), empty if empty is not None else rx.fragment()),
    )
    failed = error_state(title=t("table.error.title"), reference=error_reference, on_retry=on_retry)
    loading = _drawn(
        table, _skeleton(table, actions is not None), sorting, actions is not None, phone, busy=True
    )
    return rx.el.div(
        rx.match(status, ("loading", loading), ("error", failed), ready)
        if isinstance(status, rx.Var)
        else ready,
        _pager(table, paging) if paging else rx.fragment(),
        class_name="table-frame",
    )


def _no_match(on_clear: Any) -> rx.Component:
    clear = (
        rx.el.button(t("filter.clear"), type="button", on_click=on_clear, class_name="button")
        if on_clear is not None
        else None
    )
    return empty_state(t("table.no_match.title"), t("table.no_match.text"), action=clear, icon_name="search")


def _drawn(
    table: Table,
    body: rx.Component,
    sorting: Sorting | None,
    has_actions: bool,
    phone: str,
    *,
    busy: bool = False,
) -> rx.Component:
    caption = t("table.loading", caption=t(table.caption)) if busy else t(table.caption)
    return rx.el.div(
        rx.el.table(
            rx.el.caption(caption, id=f"{table.id}-caption", class_name="visually-hidden"),
            rx.el.thead(_header_row(table, sorting, has_actions), role="rowgroup"),
            body,
            class_name="table",
            role="table",
        ),
        class_name=f"table-scroll on-phone-{phone}",
        role="region",
        tab_index=0,
        custom_attrs={"aria-labelledby": f"{table.id}-caption", **({"aria-busy": "true"} if busy else {})},
    )


def _header_row(table: Table, sorting: Sorting | None, has_actions: bool) -> rx.Component:
    cells = [_where_shown(column, _header(column, sorting)) for column in table.columns]
    if has_actions:
        hidden = rx.el.span(t("table.actions"), class_name="visually-hidden")
        cells.append(rx.el.th(hidden, scope="col", role="columnheader", class_name="actions"))
    return rx.el.tr(*cells, role="row")


def _header(column: Column, sorting: Sorting | None) -> rx.Component:
    words = [t(column.text), *([rx.el.span(f" {t(column.unit)}", class_name="unit")] if column.unit else [])]
    look = "num" if column.is_number else ""
    if not (column.sortable and sorting):
        return rx.el.th(*words, scope="col", role="columnheader", class_name=look)
    name = column.sort or column.key
    order = rx.match(sorting.by, (name, "ascending"), (f"-{name}", "descending"), "none")
    # Both arrows are drawn and the order picks one, so that the header keeps its width.
    button = rx.el.button(
        *words,
        icon("arrow-up", class_name="sort-up"),
        icon("arrow-down", class_name="sort-down"),
        type="button",
        class_name="sort",
        on_click=sorting.on_sort(name),
    )
    return rx.el.th(
        button, scope="col", role="columnheader", class_name=look, custom_attrs={"aria-sort": order}
    )


def _body(table: Table, rows: Rows, actions: Callable[[Row], Drawn] | None, zone: Text) -> rx.Component:
    def row(values: Row) -> rx.Component:
        cells = [_where_shown(column, _cell(column, values, zone)) for column in table.columns]
        if actions is not None:
            cells.append(rx.el.td(actions(values), role="cell", class_name="actions"))
        return rx.el.tr(*cells, role="row", key=values[table.row_key].to(str))

    return rx.el.tbody(rx.foreach(rows, row), role="rowgroup")


def _where_shown(column: Column, cell: rx.Component) -> rx.Component:
    return cell if column.shown is None else rx.cond(column.shown, cell, rx.fragment())


def _cell(column: Column, row: Row, zone: Text) -> rx.Component:
    content = _content(column, row, zone)
    attributes = {"data-label": t(column.text)}
    if column.row_header:
        return rx.el.th(content, scope="row", role="rowheader", custom_attrs=attributes)
    look = " ".join(filter(None, ("num" if column.is_number else "", "brief" if column.brief else "")))
    return rx.el.td(content, role="cell", class_name=look, custom_attrs=attributes)


def _content(column: Column, row: Row, zone: Text) -> Drawn:
    if column.draw is not None:
        return column.draw(row)
    shown = row[column.key]
    if column.kind == "badge":
        return status_badge(shown, column.statuses)
    if column.kind == "code":
        drawn = rx.el.code(shown.to(str))
    else:
        currency = row[column.currency].to(str) if column.currency else None
        kind = "text" if column.kind == "link" else column.kind
        drawn = value(shown, kind, currency=currency, zone=zone, digits=column.digits)
    return link(drawn, href=row[column.href].to(str)) if column.href else drawn


def _skeleton(table: Table, has_actions: bool) -> rx.Component:
    width = len(table.columns) + has_actions
    blank = rx.el.tr(
        *(rx.el.td(rx.el.span(class_name="skeleton-line"), role="cell") for _ in range(width)), role="row"
    )
    return rx.el.tbody(*(blank for _ in range(SKELETON_ROWS)), role="rowgroup", class_name="skeleton")


def _pager(table: Table, paging: Paging) -> rx.Component:
    def button(enabled: rx.Var[bool] | bool, on_click: Any, *content: rx.Component | str) -> rx.Component:
        off = ~rx.Var.create(enabled)
        return rx.el.button(
            *content, type="button", class_name="button compact", disabled=off, on_click=on_click
        )

    turns = rx.el.div(
        button(paging.has_previous, paging.on_previous, icon("chevron-left"), t("table.previous")),
        button(paging.has_next, paging.on_next, t("table.next"), icon("chevron-right")),
        class_name="row",
        role="group",
        aria_label=t("table.pages", caption=t(table.caption)),
    )
    there_are_more = rx.Var.create(paging.has_previous) | rx.Var.create(paging.has_next)
    return rx.el.div(
        rx.el.p(paging.summary, class_name="small muted num"),
        rx.cond(there_are_more, turns, rx.fragment()),
        class_name="pager",
    )
