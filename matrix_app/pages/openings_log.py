"""Who opened what is sealed, as a listing: of one organisation in the portal, of all in the governance console."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.states import empty_state
from components.links import link
from components.tables.filters import Filter, days
from components.tables.listed import table_of
from components.tables.table import Column, Table
from components.texts import t, texts_under
from matrix_app.pages import audit_log, lists
from services.audit.queries import OPENINGS, STAFF_OPENINGS
from services.core.crypto import PLATFORM
from services.core.listing import Listing
from state.governance.openings import StaffOpeningsState
from state.portal.openings import OpeningsState

Row = rx.Var[dict[str, Any]]


def _place(row: Row) -> rx.Component:
    """What lies there; a column that is no longer sealed is shown by its name."""
    return rx.match(row["place"], *texts_under("openings.place_of").items(), row["place"].to(str))


def _purpose(row: Row) -> rx.Component:
    return rx.match(row["purpose"], *texts_under("openings.purpose_of").items(), row["purpose"].to(str))


def _whose(row: Row) -> rx.Component:
    name = rx.match(row["tenant_kind"], (PLATFORM, t("openings.platform")), row["tenant"].to(str))
    return link(name, href=row["tenant_href"].to(str))


def _row(row: Row) -> rx.Component:
    return rx.cond(
        row["row_id"] == "*",
        t("openings.whole_column"),
        link(rx.el.code(row["row_id"].to(str)), href=row["row_href"].to(str)),
    )


def _table(log: Listing[Any], *more: Column) -> Table:
    return table_of(
        log,
        "openings",
        Column("opened_at", "openings.opened_at", kind="datetime", row_header=True),
        Column("place", "openings.place", draw=_place),
        Column("purpose", "openings.purpose", draw=_purpose),
        Column("actor", "openings.actor", draw=audit_log.who),
        *more,
        Column("row_id", "openings.row_id", draw=_row),
        texts="openings",
    )


ORGANIZATION_LOG = _table(OPENINGS)
STAFF_LOG = _table(STAFF_OPENINGS, Column("tenant", "openings.tenant", draw=_whose))


def listing(state: type[OpeningsState] | type[StaffOpeningsState], *, staff: bool = False) -> rx.Component:
    """Filters, the openings of one page, and the way to the next."""
    places, purposes = texts_under("openings.place_of"), texts_under("openings.purpose_of")
    chosen = [Filter("tenant", "openings.filter.tenant", "search")] if staff else []
    return lists.listing(
        state,
        STAFF_LOG if staff else ORGANIZATION_LOG,
        [
            Filter("place", "openings.place", options=list(places.items())),
            Filter("purpose", "openings.purpose", options=list(purposes.items())),
            Filter("actor", "openings.filter.actor", "search"),
            *chosen,
            *days("opened_at"),
        ],
        empty=empty_state(t("openings.none"), t("openings.none_text"), icon_name="activity"),
        values={f"purpose:{name}": words for name, words in purposes.items()}
        | {f"place:{name}": words for name, words in places.items()},
    )
