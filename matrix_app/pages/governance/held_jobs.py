"""Jobs that failed for good, for staff: why, and sending them again. Moves by itself."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.states import empty_state
from components.forms.form import rest_form, submit_button
from components.kit.overlays import dialog, dialog_close, dialog_foot, icon_button
from components.links import link
from components.live.figures import live_refresh
from components.shell.page import page_header
from components.tables.filters import Filter
from components.tables.listed import table_of
from components.tables.table import Column
from components.texts import t
from matrix_app.pages import endpoints, lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from services.operations import held_jobs
from state.governance.held_jobs import HeldJobsState
from state.session import SessionState

HELD = table_of(
    held_jobs.HELD,
    "held-jobs",
    Column("name", "held_jobs.name", kind="code", row_header=True),
    Column("error", "held_jobs.error", brief=True),
    Column("tries", "held_jobs.tries", kind="number"),
    Column("held_at", "held_jobs.held_at", kind="ago", sortable=True, brief=True),
    Column("enqueued_at", "held_jobs.enqueued_at", kind="datetime", sortable=True),
    Column("id", "held_jobs.id", kind="code", sortable=True),
    texts="held_jobs",
)
MAY_WRITE = SessionState.capabilities.contains(Capability.STAFF_JOBS_WRITE.value)


def _retry(row: Any) -> rx.Component:
    number = row["id"].to(str)
    asked = icon_button(
        t("held_jobs.retry_of", id=number), "rotate-ccw", on_press=HeldJobsState.ask(number, "retry")
    )
    return rx.cond(MAY_WRITE, asked, rx.fragment())


def _dialog() -> rx.Component:
    chosen = HeldJobsState.chosen
    return dialog(
        rest_form(
            "retry-job",
            dialog_foot(dialog_close(), submit_button(t("held_jobs.retry"))),
            url=f"{endpoints.STAFF_JOBS}/{chosen['id'].to(str)}/retry",
            done_text=t("held_jobs.sent"),
            on_done=HeldJobsState.changed,
        ),
        title=t("held_jobs.retry_title", name=chosen["name"].to(str)),
        description=t("held_jobs.retry_text"),
        open=HeldJobsState.open_dialog == "retry",
        on_open_change=HeldJobsState.dismiss,
        size="small",
    )


@page(
    "/governance/health/jobs",
    console=Console.GOVERNANCE,
    title="held_jobs.title",
    needs=Capability.STAFF_HEALTH_READ,
    on_load=HeldJobsState.load,
)
def held() -> Drawn:
    """What waits for a person, the oldest first."""
    content = lists.listing(
        HeldJobsState,
        HELD,
        [Filter("name", "held_jobs.name", "search")],
        empty=empty_state(t("held_jobs.none"), t("held_jobs.none_text"), icon_name="activity"),
        actions=_retry,
    )
    return [
        rx.el.p(link(t("held_jobs.back"), href="/governance/health"), class_name="back-link"),
        page_header(t("held_jobs.title"), lists.export(HeldJobsState), text=t("held_jobs.text")),
        in_its_state(HeldJobsState, content, retry=HeldJobsState.load),
        live_refresh("staff.jobs", path="changed", since=HeldJobsState.read_at, on_change=HeldJobsState.load),
        _dialog(),
    ]
