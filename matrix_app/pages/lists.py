"""A declared list as the middle of a page: filters, chips, the table, and the way to the pages beside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import reflex as rx
from reflex.vars import VarData

from components.forms.form import action_button
from components.links import file_link
from components.props import Drawn
from components.tables.filters import Filter, filter_bar
from components.tables.listed import filter_chips, summary
from components.tables.table import Paging, Sorting, Table, data_table
from components.texts import t
from services.core.permissions import Capability
from services.tasks.exports import LISTS
from state.listed import ListedState
from state.portal.tasks import ExportState
from state.session import SessionState


def listing(
    state: type[ListedState],
    table: Table,
    filters: Sequence[Filter] = (),
    *,
    empty: Drawn,
    names: Mapping[str, str] | None = None,
    values: Mapping[str, str] | None = None,
    actions: Callable[[Any], Drawn] | None = None,
    between: Drawn | None = None,
) -> rx.Component:
    """The list of `state`. `names` and `values` are words for chips, beside those that the table's headers give."""
    columns = {column.key: t(column.text) for column in table.columns} | dict(names or {})
    return rx.el.div(
        filter_bar(
            filters, state.filters, on_filter=state.narrow, on_clear=state.widen, filtered=state.filtered
        ),
        filter_chips(
            state.chips,
            columns=columns,
            values=values,
            named=_named(state, filters),
            on_remove=state.narrow,
            zone=SessionState.zone,
        ),
        between if between is not None else rx.fragment(),
        data_table(
            table,
            state.rows,
            status=state.status,
            empty=empty,
            filtered=state.filtered,
            on_clear_filters=state.widen,
            sorting=Sorting(state.sort, state.order),
            paging=Paging(
                state.previous_place != "",
                state.next_place != "",
                state.previous_page,
                state.next_page,
                summary=summary(state.first_row, state.last_row, state.total, exact=state.total_is_exact),
            ),
            actions=actions,
            error_reference=state.problem.reference,
            zone=SessionState.zone,
        ),
        class_name="listing",
    )


def _named(state: type[ListedState], filters: Sequence[Filter]) -> dict[str, rx.Var[list[dict[str, str]]]]:
    """Names of what rows are filtered by, as the controls offer them. An organisation's id is typed, and then all rows
    say its name."""
    named = {one.key.partition("[")[0]: one.options for one in filters if isinstance(one.options, rx.Var)}
    if any(one.key == "organization_id" for one in filters):
        chips, rows = state.chips, state.rows
        of_one = "chip.column === 'organization_id' && chip.operator === 'eq'"
        asked = f"({chips!s}).find((chip) => {of_one})?.value"
        named["organization_id"] = rx.Var(
            f"[{{ id: {asked}, label: ({rows!s})[0]?.organization }}]",
            _var_type=list[dict[str, str]],
            _var_data=VarData.merge(chips._get_all_var_data(), rows._get_all_var_data()),
        )
    return named


def export(state: type[ListedState]) -> rx.Component:
    """The rows of all pages, filtered and sorted as they are on screen, as a file.

    Of a list that tasks can export, by a task, for who may ask for one: it survives a lost connection. Not offered to
    who may not see the list.
    """
    at_once = file_link(t("table.export"), href=state.csv_href)
    name = state._listing.name  # pyright: ignore[reportPrivateUsage]
    offered: rx.Component = at_once
    if name in LISTS:
        by_task = action_button(
            t("table.export"), on_press=ExportState.ask(name, state.csv_href), icon="download"
        )
        may_ask = SessionState.capabilities.contains(Capability.TASKS_WRITE.value)
        offered = rx.cond(may_ask, by_task, at_once)
    return rx.cond(state.status == "forbidden", rx.fragment(), offered)
