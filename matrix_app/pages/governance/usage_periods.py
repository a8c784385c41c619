"""Months of usage by the price list, for staff."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import Status
from components.feedback.states import empty_state
from components.kit.overlays import icon_button
from components.links import link
from components.shell.page import page_header
from components.tables.filters import Filter
from components.tables.listed import table_of
from components.tables.table import Column
from components.texts import t
from matrix_app.pages import lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.billing_runs import usage_running
from services.core.permissions import Capability
from state.governance.usage_periods import UsagePeriodsState
from state.session import SessionState

STATES = {
    "open": Status("usage_periods.state.open", "info", "clock"),
    "collecting": Status("usage_periods.state.collecting", "info", "hourglass"),
    "closed": Status("usage_periods.state.closed", "ok"),
    "parked": Status("usage_periods.state.parked", "warn"),
}
PERIODS = table_of(
    usage_running.PERIODS,
    "usage_periods",
    Column("organization", "usage_periods.organization", kind="link", href="href", row_header=True),
    Column("state", "usage_periods.state", kind="badge", statuses=STATES, brief=True),
    Column("starts_at", "usage_periods.starts_at", kind="datetime", sortable=True, brief=True),
    Column("ends_at", "usage_periods.ends_at", kind="datetime"),
    Column("parked_reason", "usage_periods.parked_reason", brief=True),
    Column("retry_at", "usage_periods.retry_at", kind="datetime"),
    Column("id", "usage_periods.id", kind="code"),
    texts="usage_periods",
)
MAY_WRITE = SessionState.capabilities.contains(Capability.STAFF_SUBSCRIPTIONS_WRITE.value)


def _try_again(row: Any) -> rx.Component:
    again = icon_button(
        t("usage_periods.try_again_of", id=row["id"].to(str)),
        "refresh-cw",
        on_press=UsagePeriodsState.try_again(row["id"].to(str)),
    )
    return rx.cond(MAY_WRITE & (row["state"] == "parked"), again, rx.fragment())


@page(
    "/governance/billing-runs/usage",
    console=Console.GOVERNANCE,
    title="usage_periods.title",
    needs=Capability.STAFF_SUBSCRIPTIONS_READ,
    on_load=UsagePeriodsState.load,
)
def usage_periods() -> Drawn:
    """What was used month by month, and what of it could not be billed."""
    states = [(name, t(look.text)) for name, look in STATES.items()]
    content = lists.listing(
        UsagePeriodsState,
        PERIODS,
        [
            Filter("organization_id", "usage_periods.organization_id", "search"),
            Filter("state", "usage_periods.state", options=states),
        ],
        empty=empty_state(t("usage_periods.none"), t("usage_periods.none_text"), icon_name="receipt"),
        values={f"state:{name}": words for name, words in states},
        names={"organization_id": t("usage_periods.organization_id")},
        actions=_try_again,
    )
    return [
        rx.el.p(link(t("usage_periods.back"), href="/governance/billing-runs"), class_name="back-link"),
        page_header(t("usage_periods.title"), lists.export(UsagePeriodsState), text=t("usage_periods.text")),
        in_its_state(UsagePeriodsState, content, retry=UsagePeriodsState.load),
    ]
