"""Service accounts: programs with a role of their own."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import Status
from components.feedback.states import empty_state
from components.format.values import when
from components.forms.fields import select, text_field
from components.forms.form import rest_form, submit_button
from components.kit.overlays import MenuEntry, Trigger, dialog, dialog_close, dialog_foot, menu
from components.shell.page import page_header
from components.tables.filters import Filter
from components.tables.listed import table_of
from components.tables.table import Column
from components.texts import plural, t
from matrix_app.pages import endpoints, lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from matrix_app.pages.roles import program_roles, role_word, role_words
from services.core.permissions import Capability
from services.identity import service_accounts as identity
from state.portal.service_accounts import ServiceAccountsState
from state.session import SessionState

Row = rx.Var[dict[str, Any]]

STATUSES = {
    "active": Status("robots.status.active", "ok"),
    "disabled": Status("robots.status.disabled", "warn", "ban"),
}


def _last_used(row: Row) -> rx.Component:
    return rx.cond(row["last_used_at"], when(row["last_used_at"], "ago"), t("robots.never_used"))


ROBOTS = table_of(
    identity.SERVICE_ACCOUNTS,
    "service-accounts",
    Column("name", "robots.name", row_header=True),
    Column("role", "robots.role", draw=lambda row: rx.fragment(role_word(row["role"]))),
    Column("status", "robots.status", kind="badge", statuses=STATUSES),
    Column("active_keys", "robots.keys", kind="number"),
    Column("last_used_at", "robots.last_used", draw=_last_used),
    Column("created_at", "robots.created", kind="date"),
    texts="robots",
)
MAY_WRITE = SessionState.capabilities.contains(Capability.SERVICE_ACCOUNTS_WRITE.value)


def _fields(name: Any = "", role: Any = "developer") -> list[rx.Component]:
    return [
        text_field("name", t("robots.name"), value=name, max_length=100, autocomplete="off"),
        select("role", t("robots.role"), program_roles(), hint=t("robots.role_hint"), value=role),
    ]


def _create_dialog() -> rx.Component:
    return dialog(
        rest_form(
            "new-robot",
            *_fields(),
            dialog_foot(dialog_close(), submit_button(t("robots.create"))),
            url=endpoints.SERVICE_ACCOUNTS,
            done_text=t("robots.saved"),
            on_done=ServiceAccountsState.changed,
        ),
        title=t("robots.create"),
        trigger=Trigger(t("robots.create"), "primary", "plus"),
        open=ServiceAccountsState.open_dialog == "new",
        on_open_change=lambda is_open: ServiceAccountsState.show("new", is_open),
    )


def _edit_dialog() -> rx.Component:
    chosen = ServiceAccountsState.chosen
    return dialog(
        rest_form(
            "edit-robot",
            *_fields(chosen["name"], chosen["role"]),
            dialog_foot(dialog_close(), submit_button(t("robots.save"))),
            url=f"{endpoints.SERVICE_ACCOUNTS}/{chosen['id'].to(str)}",
            method="PATCH",
            version=chosen["version"].to(int),
            on_take_theirs=ServiceAccountsState.changed,
            done_text=t("robots.saved"),
            on_done=ServiceAccountsState.changed,
        ),
        title=t("robots.edit_title", name=chosen["name"].to(str)),
        open=ServiceAccountsState.open_dialog == "edit",
        on_open_change=ServiceAccountsState.dismiss,
    )


def _turn_dialog(act: str, done: str, *, danger: bool) -> rx.Component:
    chosen = ServiceAccountsState.chosen
    return dialog(
        rx.el.p(plural(f"robots.{act}_text", chosen["active_keys"].to(int))),
        rest_form(
            f"{act}-robot",
            dialog_foot(
                dialog_close(),
                submit_button(t(f"robots.{act}"), look="primary danger" if danger else "primary"),
            ),
            url=f"{endpoints.SERVICE_ACCOUNTS}/{chosen['id'].to(str)}/{act}",
            done_text=t(done),
            on_done=ServiceAccountsState.changed,
        ),
        title=t(f"robots.{act}_title", name=chosen["name"].to(str)),
        open=ServiceAccountsState.open_dialog == act,
        on_open_change=ServiceAccountsState.dismiss,
        size="small",
    )


def _actions(row: Row) -> rx.Component:
    def acts(*entries: MenuEntry) -> rx.Component:
        label = t("table.actions_of", row=row["name"].to(str))
        return menu(
            label, list(entries), on_action=lambda act: ServiceAccountsState.ask(row["id"].to(str), act)
        )

    edit = MenuEntry("edit", t("robots.edit"), "pencil")
    shown = rx.cond(
        row["status"] == "disabled",
        acts(edit, MenuEntry("enable", t("robots.enable"), "rotate-ccw")),
        acts(edit, MenuEntry("disable", t("robots.disable"), "ban", danger=True)),
    )
    return rx.cond(MAY_WRITE, shown, rx.fragment())


@page(
    "/portal/service-accounts",
    console=Console.PORTAL,
    title="robots.title",
    needs=Capability.SERVICE_ACCOUNTS_READ,
    on_load=ServiceAccountsState.load,
)
def service_accounts() -> Drawn:
    """The organisation's programs."""
    create = rx.cond(MAY_WRITE, _create_dialog(), rx.fragment())
    roles = role_words(identity.ROLES)
    statuses = [(name, t(status.text)) for name, status in STATUSES.items()]
    listed = lists.listing(
        ServiceAccountsState,
        ROBOTS,
        [
            Filter("name[contains]", "robots.name", "search"),
            Filter("role", "robots.role", options=roles),
            Filter("status", "robots.status", options=statuses),
        ],
        empty=empty_state(t("robots.none"), t("robots.none_text"), icon_name="cpu"),
        values={
            **{f"role:{name}": words for name, words in roles},
            **{f"status:{name}": words for name, words in statuses},
        },
        actions=_actions,
    )
    return [
        page_header(t("robots.title"), lists.export(ServiceAccountsState), create, text=t("robots.text")),
        in_its_state(ServiceAccountsState, listed, retry=ServiceAccountsState.load),
        _edit_dialog(),
        _turn_dialog("disable", "robots.disabled", danger=True),
        _turn_dialog("enable", "robots.enabled", danger=False),
    ]
