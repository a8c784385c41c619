"""Lists of credit notes and of credits, in both consoles, and the way between them and the invoices."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.states import empty_state
from components.kit.tabs import LinkTab, link_tabs
from components.shell.page import page_header
from components.tables.filters import Filter, days
from components.tables.listed import table_of
from components.tables.table import Column, Table
from components.texts import t, texts_under
from matrix_app.pages import lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Drawn
from services.billing import credit_queries
from services.core.listing import Listing

State = Any  # which of the two consoles' states, a subclass of ListedState
GOVERNANCE = "/governance"
_BOOK = Column("organization", "credits.organization")


def _source(row: rx.Var[dict[str, Any]]) -> rx.Component:
    return rx.fragment(rx.match(row["source"], *texts_under("credits.source_of").items(), ""))


def _money(key: str) -> Column:
    return Column(key, f"credits.{key}", kind="money", currency="currency")


def _notes(listing: Listing[Any], *more: Column) -> Table:
    return table_of(
        listing,
        "credit-notes",
        Column("number", "credits.number", row_header=True),
        *more,
        Column("invoice", "credits.invoice", kind="link", href="href"),
        Column("label_date", "credits.label_date", kind="date"),
        Column("reason", "credits.reason"),
        _money("total"),
        _money("offset"),
        texts="credits",
        caption="credits.notes",
    )


def _credits(listing: Listing[Any], *more: Column) -> Table:
    return table_of(
        listing,
        "credits",
        Column("number", "credits.number", kind="link", href="href", row_header=True),
        *more,
        Column("source", "credits.source", draw=_source),
        Column("created_at", "credits.created_at", kind="date"),
        _money("minor"),
        _money("left"),
        texts="credits",
        caption="credits.credits",
    )


NOTES = {
    "/portal": _notes(credit_queries.NOTES),
    GOVERNANCE: _notes(credit_queries.STAFF_NOTES, _BOOK),
}
CREDITS = {
    "/portal": _credits(credit_queries.CREDITS),
    GOVERNANCE: _credits(credit_queries.STAFF_CREDITS, _BOOK),
}


def tabs(console: str, current: str) -> rx.Component:
    """Between invoices, credit notes and credits of a console; `current` is the last part of the address."""
    return link_tabs(
        LinkTab(t("credits.invoices"), f"{console}/invoices"),
        LinkTab(t("credits.notes"), f"{console}/credit-notes"),
        LinkTab(t("credits.credits"), f"{console}/credits"),
        label=t("credits.tabs"),
        current=f"{console}/{current}",
    )


def notes(state: State, console: str) -> Drawn:
    """All credit notes, the latest first."""
    return _page(state, console, "notes", NOTES[console], Filter("number", "credits.number", "search"))


def credits_(state: State, console: str) -> Drawn:
    """All credits, the latest first."""
    left = Filter("left_minor[gt]", "credits.is_left", options=[("0", t("credits.left_some"))])
    return _page(state, console, "credits", CREDITS[console], left)


def _page(state: State, console: str, what: str, table: Table, of_its_own: Filter) -> Drawn:
    who = [Filter("organization_id", "credits.organization_id", "search")] if console == GOVERNANCE else []
    content = lists.listing(
        state,
        table,
        [*who, of_its_own, *days("created_at")],
        empty=empty_state(t(f"credits.no_{what}"), t(f"credits.no_{what}_text"), icon_name="receipt"),
        names={
            "organization_id": t("credits.organization"),
            "left_minor": t("credits.left"),
            "created_at": t("credits.created_at"),
        },
    )
    return [
        page_header(t(f"credits.{what}"), lists.export(state), text=t(f"credits.{what}_text")),
        tabs(console, "credit-notes" if what == "notes" else "credits"),
        in_its_state(state, content, retry=state.load),
    ]
