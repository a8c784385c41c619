"""Tasks: how far each has come, what can be done about it, and the file it made. Moves by itself."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.progress import progress_bar
from components.feedback.states import empty_state
from components.forms.form import action_button
from components.links import button_link
from components.live.figures import live_rows, live_status
from components.shell.page import page_header
from components.tables.table import Column, Paging, Table, data_table
from components.texts import t, texts_under
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from services.tasks.kinds import EXPORT
from state.portal.tasks import TasksState
from state.session import SessionState

Row = rx.Var[dict[str, Any]]

_MAY_WRITE = SessionState.capabilities.contains(Capability.TASKS_WRITE.value)
_MAY_READ_FILES = SessionState.capabilities.contains(Capability.FILES_READ.value)


def _name(row: Row) -> Any:
    """What the task is about, as a sentence; a list without one is shown by its name."""
    return rx.match(row["title"], *texts_under("tasks.list").items(), row["title"].to(str))


def _progress(row: Row) -> rx.Component:
    detail = rx.cond(row["cancelling"], t("tasks.cancelling"), row["error"].to(str))
    return progress_bar(
        _name(row), done=row["done"], total=row["total"], status=row["state"].to(str), detail=detail
    )


TASKS = Table(
    "tasks",
    "tasks.title",
    columns=(
        Column("title", "tasks.task", row_header=True, draw=lambda row: rx.fragment(_name(row))),
        Column("progress", "tasks.progress", draw=_progress),
        Column("asked_by_name", "tasks.asked_by"),
        Column("created_at", "tasks.asked_at", kind="datetime"),
    ),
)


def _button(row: Row, act: str, icon_name: str, on_press: Any) -> rx.Component:
    return action_button(
        t(f"tasks.{act}"),
        on_press=on_press,
        look="compact",
        icon=icon_name,
        name=t(f"tasks.{act}_of", task=_name(row)),
    )


def _actions(row: Row) -> rx.Component:
    task_id = row["id"].to(str)
    under_way = (row["state"] == "waiting") | (row["state"] == "running")
    cancel = _button(row, "cancel", "x", TasksState.cancel(task_id))
    retry = _button(row, "retry", "rotate-ccw", TasksState.retry(task_id))
    download = _button(row, "download", "download", TasksState.download(row["file_id"].to(str)))
    expired = rx.el.span(t("tasks.expired"), class_name="small muted")
    gone = rx.cond(row["kind"] == EXPORT.name, expired, rx.fragment())  # other tasks never had a file
    return rx.match(
        row["state"],
        ("failed", "cancelled", rx.cond(_MAY_WRITE, retry, rx.fragment())),
        ("done", rx.cond(row["file_id"], rx.cond(_MAY_READ_FILES, download, rx.fragment()), gone)),
        rx.cond(under_way & _MAY_WRITE & ~row["cancelling"].bool(), cancel, rx.fragment()),
    )


def _listed(rows: Any) -> rx.Component:
    return data_table(
        TASKS,
        rows,
        status=TasksState.status,
        empty=empty_state(
            t("tasks.none"),
            t("tasks.none_text"),
            action=button_link(t("tasks.to_keys"), href="/portal/keys"),
            icon_name="layers",
        ),
        paging=Paging(
            ~TasksState.is_first, TasksState.next_cursor != "", TasksState.first_page, TasksState.next_page
        ),
        actions=_actions,
        zone=SessionState.zone,
        error_reference=TasksState.problem.reference,
        on_retry=TasksState.load,
    )


@page(
    "/portal/tasks",
    console=Console.PORTAL,
    title="tasks.title",
    needs=Capability.TASKS_READ,
    on_load=TasksState.load,
)
def tasks() -> Drawn:
    """The organisation's tasks."""
    content = rx.el.div(
        rx.cond(
            TasksState.is_first,
            _listed(live_rows("tasks", "rows", initial=TasksState.rows)),
            _listed(TasksState.rows),
        ),
        class_name="listing",
    )
    return [
        page_header(
            t("tasks.title"), text=t("tasks.text"), status=live_status("tasks", zone=SessionState.zone)
        ),
        in_its_state(TasksState, content, retry=TasksState.load),
    ]
