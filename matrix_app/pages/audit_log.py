"""The audit log as a listing: of one organisation in the portal, of all in the governance console."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.states import empty_state
from components.icons import icon
from components.links import link
from components.tables.filters import Filter, filter_bar
from components.tables.table import Column, Paging, Table, data_table
from components.texts import t, texts_under
from state.governance.audit import StaffAuditState
from state.portal.audit import AuditState
from state.session import SessionState

_ACTORS = ("system", "other")  # who has no name that the reader may see

_DAYS = [Filter("from", "audit.filter.from", "date"), Filter("to", "audit.filter.to", "date")]


def _filters() -> list[Filter]:
    types = sorted(texts_under("audit.event").items(), key=lambda pair: pair[1])
    return [
        Filter("type", "audit.filter.type", options=types),
        Filter("actor", "audit.filter.actor", "search"),
        Filter("object", "audit.filter.object", "search"),
    ]


def _what(row: Any) -> rx.Component:
    """The event as a sentence; a type that has none is shown as it is."""
    return rx.match(row["type"], *texts_under("audit.event").items(), row["type"].to(str))


def _who(row: Any) -> rx.Component:
    nameless = [(kind, t(f"audit.actor.{kind}")) for kind in _ACTORS]
    return link(rx.match(row["actor_kind"], *nameless, row["actor"].to(str)), href=row["actor_href"].to(str))


def _columns(*more: Column) -> tuple[Column, ...]:
    return (
        Column("recorded_at", "audit.time", kind="datetime", row_header=True),
        Column("type", "audit.what", draw=_what),
        Column("actor", "audit.who", draw=_who),
        *more,
        Column("object", "audit.object", kind="code", href="object_href"),
        Column("detail", "audit.detail"),
        Column("address", "audit.address", kind="code"),
    )


ORGANIZATION_LOG = Table("audit", "audit.title", columns=_columns())
STAFF_LOG = Table("audit", "audit.title", columns=_columns(Column("organization", "audit.organization")))


def listing(state: type[AuditState] | type[StaffAuditState], *, staff: bool = False) -> rx.Component:
    """Filters, the entries of one page, and the way to the next."""
    chosen = [Filter("organization", "audit.filter.organization", "search")] if staff else []
    return rx.el.div(
        filter_bar(
            [*_filters(), *chosen, *_DAYS],
            state.filters,
            on_filter=state.narrow,
            on_clear=state.widen,
            filtered=state.filtered,
        ),
        data_table(
            STAFF_LOG if staff else ORGANIZATION_LOG,
            state.rows,
            status=state.status,
            empty=empty_state(t("audit.none"), t("audit.none_text"), icon_name="activity"),
            filtered=state.filtered,
            on_clear_filters=state.widen,
            paging=Paging(~state.is_first, state.next_cursor != "", state.first_page, state.next_page),
            zone=SessionState.zone,
        ),
        class_name="listing",
    )


def download(state: type[AuditState] | type[StaffAuditState]) -> rx.Component:
    """The same entries as a file."""
    return rx.el.a(icon("download"), t("audit.csv"), href=state.csv_href, download="", class_name="button")
