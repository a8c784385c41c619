"""How the installation is, for staff."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import Status
from components.feedback.states import banner, empty_state, skeleton
from components.format.values import when
from components.icons import icon
from components.links import link
from components.shell.page import page_header, section
from components.tables.table import Column, Table, data_table
from components.texts import plural, t
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from state.governance.health import HealthState
from state.session import SessionState

HEALTH = {
    "ok": Status("health.ok", "ok"),
    "warning": Status("health.warning", "warn"),
    "failed": Status("health.failed", "danger"),
    "skipped": Status("health.skipped", "neutral"),
}
INVARIANT = {
    "holds": Status("health.holds", "ok"),
    "broken": Status("health.broken", "danger"),
    "unchecked": Status("health.unchecked", "neutral"),
}
DOORS = {door: Status(f"health.door.{door}", "neutral") for door in ("rest", "pages", "gateway")}


def _evidence(row: Any) -> rx.Component:
    shown = rx.el.pre(rx.el.code(row["evidence"].to(str)), tab_index=0, class_name="small")
    return rx.cond(row["evidence"] != "", shown, rx.fragment())


FINDINGS = Table(
    "findings",
    "health.findings",
    columns=(
        Column("id", "health.id", kind="code", row_header=True),
        Column("name", "health.check"),
        Column("health", "health.state", kind="badge", statuses=HEALTH),
        Column("detail", "health.detail"),
    ),
)
INVARIANTS = Table(
    "invariants",
    "health.invariants",
    columns=(
        Column("id", "health.rule", kind="code", row_header=True),
        Column("status", "health.state", kind="badge", statuses=INVARIANT),
        Column("means", "health.means"),
        Column("checked_at", "health.checked", kind="ago"),
        Column("broken_since", "health.broken_since", kind="datetime"),
        Column("evidence", "health.evidence", draw=_evidence),
    ),
)
QUEUES = Table(
    "queues",
    "health.queues",
    columns=(
        Column("id", "health.queue", row_header=True),
        Column("waiting", "health.waiting", kind="number"),
        Column("age_ms", "health.age", kind="duration"),
        Column("held", "health.held", kind="number"),
    ),
)
TRAFFIC = Table(
    "traffic",
    "health.traffic",
    columns=(
        Column("name", "health.name", kind="code", row_header=True),
        Column("door", "health.door", kind="badge", statuses=DOORS),
        Column("handled", "health.handled", kind="number"),
        Column("failed", "health.errors", kind="number"),
        Column("mean_ms", "health.mean", kind="duration"),
        Column("slow_ms", "health.slow", kind="duration"),
    ),
)


def _part(table: Table, rows: rx.Var[list[dict[str, Any]]], *notes: rx.Component) -> rx.Component:
    return section(
        t(table.caption),
        *notes,
        data_table(
            table,
            rows,
            status=HealthState.status,
            empty=empty_state(t("health.none"), t("health.none_text"), icon_name="activity", level=3),
            zone=SessionState.zone,
        ),
    )


@page(
    "/governance/health",
    console=Console.GOVERNANCE,
    title="health.title",
    needs=Capability.STAFF_HEALTH_READ,
    on_load=HealthState.load,
)
def health() -> Drawn:
    """What is wrong, what waits and how long things take."""
    again = rx.el.button(
        icon("refresh-cw"), t("health.again"), type="button", on_click=HealthState.load, class_name="button"
    )
    verdict = rx.cond(
        HealthState.failed > 0,
        banner("danger", plural("health.failures", HealthState.failed)),
        banner("ok", t("health.well")),
    )
    content = rx.fragment(
        verdict,
        rx.el.p(
            t("health.looked_at"),
            " ",
            when(HealthState.looked_at, zone=SessionState.zone),
            class_name="small muted",
        ),
        _part(FINDINGS, HealthState.findings),
        _part(INVARIANTS, HealthState.invariants),
        _part(QUEUES, HealthState.queues, rx.el.p(link(t("health.to_jobs"), href="/governance/health/jobs"))),
        _part(TRAFFIC, HealthState.traffic, rx.el.p(t("health.traffic_text"), class_name="small muted")),
    )
    return [
        page_header(t("health.title"), again, text=t("health.text")),
        in_its_state(
            HealthState,
            content,
            loading=skeleton(lines=12, label=t("health.loading")),
            retry=HealthState.load,
        ),
    ]
