"""Billing runs and parked subscriptions, for staff."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import Status
from components.feedback.states import banner, empty_state
from components.kit.overlays import icon_button
from components.links import link
from components.live.figures import live_refresh
from components.shell.page import page_header
from components.tables.filters import Filter
from components.tables.listed import table_of
from components.tables.table import Column
from components.texts import plural, t
from matrix_app.pages import lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.billing_runs import run_records
from services.core.permissions import Capability
from state.governance.billing_runs import BillingRunsState, ParkedState
from state.session import SessionState

STATES = {
    "running": Status("billing_runs.state.running", "info", "clock"),
    "done": Status("billing_runs.state.done", "ok"),
    "cut_off": Status("billing_runs.state.cut_off", "warn"),
}
RUNS = table_of(
    run_records.RUNS,
    "billing_runs",
    Column("started_at", "billing_runs.started_at", kind="datetime", row_header=True, sortable=True),
    Column("state", "billing_runs.state", kind="badge", statuses=STATES, brief=True),
    Column("due", "billing_runs.due", kind="number"),
    Column("billed", "billing_runs.billed", kind="number", brief=True),
    Column("parked", "billing_runs.parked", kind="number", brief=True),
    Column("ended_at", "billing_runs.ended_at", kind="datetime"),
    Column("worker", "billing_runs.worker", kind="code"),
    texts="billing_runs",
)
PARKED = table_of(
    run_records.PARKED,
    "parked",
    Column("organization", "parked.organization", kind="link", href="href", row_header=True),
    Column("parked_reason", "parked.parked_reason", brief=True),
    Column("attempts", "parked.attempts", kind="number"),
    Column("parked_at", "parked.parked_at", kind="datetime", sortable=True),
    Column("retry_at", "parked.retry_at", kind="datetime", brief=True),
    Column("id", "parked.id", kind="code"),
    texts="parked",
)
MAY_WRITE = SessionState.capabilities.contains(Capability.STAFF_SUBSCRIPTIONS_WRITE.value)


@page(
    "/governance/billing-runs",
    console=Console.GOVERNANCE,
    title="billing_runs.title",
    needs=Capability.STAFF_SUBSCRIPTIONS_READ,
    on_load=BillingRunsState.load,
)
def billing_runs() -> Drawn:
    """Runs that are at work and those that were, and whether anything waits."""
    verdict = rx.cond(
        BillingRunsState.parked > 0,
        banner(
            "warn",
            plural("billing_runs.parked_now", BillingRunsState.parked),
            action=link(t("billing_runs.to_parked"), href="/governance/billing-runs/parked"),
        ),
        banner("ok", t("billing_runs.well")),
    )
    none = empty_state(t("billing_runs.none"), t("billing_runs.none_text"), icon_name="receipt")
    return [
        page_header(t("billing_runs.title"), lists.export(BillingRunsState), text=t("billing_runs.text")),
        rx.el.p(link(t("usage_periods.to"), href="/governance/billing-runs/usage"), class_name="back-link"),
        in_its_state(
            BillingRunsState,
            rx.fragment(verdict, lists.listing(BillingRunsState, RUNS, empty=none)),
            retry=BillingRunsState.load,
        ),
        live_refresh(
            "staff.billing_runs", path="runs", since=BillingRunsState.read_at, on_change=BillingRunsState.load
        ),
    ]


def _try_again(row: Any) -> rx.Component:
    again = icon_button(
        t("parked.try_again_of", id=row["id"].to(str)),
        "refresh-cw",
        on_press=ParkedState.try_again(row["id"].to(str)),
    )
    return rx.cond(MAY_WRITE, again, rx.fragment())


@page(
    "/governance/billing-runs/parked",
    console=Console.GOVERNANCE,
    title="parked.title",
    needs=Capability.STAFF_SUBSCRIPTIONS_READ,
    on_load=ParkedState.load,
)
def parked() -> Drawn:
    """Subscriptions that could not be billed."""
    content = lists.listing(
        ParkedState,
        PARKED,
        [Filter("organization_id", "parked.organization_id", "search")],
        empty=empty_state(t("parked.none"), t("parked.none_text"), icon_name="receipt"),
        names={"organization_id": t("parked.organization_id")},
        actions=_try_again,
    )
    return [
        rx.el.p(link(t("parked.back"), href="/governance/billing-runs"), class_name="back-link"),
        page_header(t("parked.title"), lists.export(ParkedState), text=t("parked.text")),
        in_its_state(ParkedState, content, retry=ParkedState.load),
    ]
