"""Projects: parts of the work with keys of their own."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import Status
from components.feedback.states import empty_state
from components.forms.fields import text_field
from components.forms.form import rest_form, submit_button
from components.kit.overlays import (
    Act,
    MenuEntry,
    Trigger,
    confirm_dialog,
    dialog,
    dialog_close,
    dialog_foot,
    menu,
)
from components.shell.page import page_header
from components.tables.filters import Filter
from components.tables.listed import table_of
from components.tables.table import Column
from components.texts import plural, t
from matrix_app.pages import endpoints, lists
from matrix_app.pages.frame import MAY_SEE_KEYS, in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from services.identity import projects as identity
from state.portal.projects import ProjectsState
from state.session import SessionState

Row = rx.Var[dict[str, Any]]

STATUSES = {
    "active": Status("projects.status.active", "ok"),
    "archived": Status("projects.status.archived", "neutral", "ban"),
}
PROJECTS = table_of(
    identity.PROJECTS,
    "projects",
    Column("name", "projects.name", kind="link", href="usage", row_header=True),
    "description",
    Column("status", "projects.status", kind="badge", statuses=STATUSES),
    Column("active_keys", "projects.keys", kind="number", shown=MAY_SEE_KEYS),
    Column("created_at", "projects.created", kind="date"),
    texts="projects",
)
ALL = ",".join(sorted(STATUSES))  # as an address says it, beside the usual: the active ones
MAY_WRITE = SessionState.capabilities.contains(Capability.PROJECTS_WRITE.value)


def _fields(name: Any = "", description: Any = "") -> list[rx.Component]:
    return [
        text_field("name", t("projects.name"), value=name, max_length=100, autocomplete="off"),
        text_field(
            "description",
            t("projects.description"),
            value=description,
            required=False,
            max_length=identity.DESCRIPTION_CHARACTERS_MAX,
            autocomplete="off",
        ),
    ]


def _create_dialog() -> rx.Component:
    return dialog(
        rest_form(
            "new-project",
            *_fields(),
            dialog_foot(dialog_close(), submit_button(t("projects.create"))),
            url=endpoints.PROJECTS,
            done_text=t("projects.saved"),
            on_done=ProjectsState.changed,
        ),
        title=t("projects.create"),
        trigger=Trigger(t("projects.create"), "primary", "plus"),
        open=ProjectsState.open_dialog == "new",
        on_open_change=lambda is_open: ProjectsState.show("new", is_open),
    )


def _dialogs() -> list[rx.Component]:
    chosen = ProjectsState.chosen
    name, url = chosen["name"].to(str), f"{endpoints.PROJECTS}/{chosen['id'].to(str)}"
    edit = dialog(
        rest_form(
            "edit-project",
            *_fields(chosen["name"], chosen["description"]),
            dialog_foot(dialog_close(), submit_button(t("projects.save"))),
            url=url,
            method="PATCH",
            version=chosen["version"].to(int),
            on_take_theirs=ProjectsState.changed,
            done_text=t("projects.saved"),
            on_done=ProjectsState.changed,
        ),
        title=t("projects.edit_title", name=name),
        open=ProjectsState.open_dialog == "edit",
        on_open_change=ProjectsState.dismiss,
    )
    archive = confirm_dialog(
        title=t("projects.archive_title", name=name),
        verb=t("projects.archive"),
        text=plural("projects.archive_text", chosen["active_keys"].to(int)),
        typed=name,
        act=Act(
            "archive-project",
            f"{url}/archive",
            t("projects.archived"),
            ProjectsState.changed,
            extra={"end_keys": True},
        ),
        open=ProjectsState.open_dialog == "archive",
        on_open_change=ProjectsState.dismiss,
    )
    restore = dialog(
        rx.el.p(t("projects.restore_text")),
        rest_form(
            "restore-project",
            dialog_foot(dialog_close(), submit_button(t("projects.restore"))),
            url=f"{url}/restore",
            done_text=t("projects.restored"),
            on_done=ProjectsState.changed,
        ),
        title=t("projects.restore_title", name=name),
        open=ProjectsState.open_dialog == "restore",
        on_open_change=ProjectsState.dismiss,
        size="small",
    )
    return [edit, archive, restore]


def _actions(row: Row) -> rx.Component:
    def acts(*entries: MenuEntry) -> rx.Component:
        label = t("table.actions_of", row=row["name"].to(str))
        return menu(label, list(entries), on_action=lambda act: ProjectsState.ask(row["id"].to(str), act))

    edit = MenuEntry("edit", t("projects.edit"), "pencil")
    shown = rx.cond(
        row["status"] == "archived",
        acts(edit, MenuEntry("restore", t("projects.restore"), "rotate-ccw")),
        acts(edit, MenuEntry("archive", t("projects.archive"), "ban", danger=True)),
    )
    return rx.cond(MAY_WRITE, shown, rx.fragment())


@page(
    "/portal/projects",
    console=Console.PORTAL,
    title="projects.title",
    needs=Capability.PROJECTS_READ,
    on_load=ProjectsState.load,
)
def projects() -> Drawn:
    """The organisation's projects; each name leads to its usage."""
    shown = [(ALL, t("projects.show.all")), ("archived", t("projects.show.archived"))]
    listed = lists.listing(
        ProjectsState,
        PROJECTS,
        [
            Filter("name[contains]", "projects.name", "search"),
            Filter("status[in]", "projects.show", options=shown, any_text="projects.show.active"),
        ],
        empty=empty_state(t("projects.none"), t("projects.none_text"), icon_name="layers"),
        values={f"status:{name}": words for name, words in shown},
        actions=_actions,
    )
    create = rx.cond(MAY_WRITE, _create_dialog(), rx.fragment())
    return [
        page_header(t("projects.title"), lists.export(ProjectsState), create, text=t("projects.text")),
        in_its_state(ProjectsState, listed, retry=ProjectsState.load),
        *_dialogs(),
    ]
