"""Members and invitations: who works here, in which role, and who was asked to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import reflex as rx

from components.feedback.badges import Status
from components.feedback.states import empty_state
from components.format.values import when
from components.forms.fields import email_field, select, text_field
from components.forms.form import rest_form, submit_button
from components.kit.overlays import MenuEntry, Trigger, dialog, dialog_close, dialog_foot, menu
from components.kit.tabs import LinkTab, link_tabs
from components.shell.page import page_header
from components.tables.filters import Filter
from components.tables.listed import table_of
from components.tables.table import Column
from components.texts import plural, t
from matrix_app.pages import endpoints, lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from matrix_app.pages.roles import held_roles, member_roles, role_word, role_words
from services.core.permissions import Capability
from services.identity import invitations, queries
from state.portal.members import InvitationsState, MembersState
from state.session import SessionState

Row = rx.Var[dict[str, Any]]
ListState = type[MembersState] | type[InvitationsState]

ADDRESS = "/portal/members"
INVITATIONS_ADDRESS = f"{ADDRESS}/invitations"

STATUSES = {
    "active": Status("members.status.active", "ok"),
    "suspended": Status("members.status.suspended", "warn", "ban"),
}
TWO_STEP = {
    "true": Status("members.two_step.on", "ok", "shield"),
    "false": Status("members.two_step.off", "neutral", "circle-minus"),
}
INVITATION_STATUSES = {
    "open": Status("invitations.status.open", "info", "mail"),
    "expired": Status("invitations.status.expired", "neutral", "hourglass"),
}
MAY_WRITE = SessionState.capabilities.contains(Capability.MEMBERS_WRITE.value)


def _last_seen(row: Row) -> rx.Component:
    return rx.cond(row["last_seen_at"], when(row["last_seen_at"], "ago"), t("members.never_seen"))


def _role(row: Row) -> rx.Component:
    return rx.fragment(role_word(row["role"]))


MEMBERS = table_of(
    queries.MEMBERS,
    "members",
    Column("name", "members.name", row_header=True),
    "email",
    Column("role", "members.role", draw=_role),
    Column("status", "members.status", kind="badge", statuses=STATUSES),
    Column("two_step", "members.two_step", kind="badge", statuses=TWO_STEP, shown=MAY_WRITE),
    Column("last_seen_at", "members.last_seen", draw=_last_seen, shown=MAY_WRITE),
    Column("joined_at", "members.joined", kind="date"),
    texts="members",
)
INVITATIONS = table_of(
    invitations.INVITATIONS,
    "invitations",
    Column("email", "invitations.email", row_header=True),
    Column("role", "members.role", draw=_role),
    Column("status", "members.status", kind="badge", statuses=INVITATION_STATUSES),
    Column("invited_by", "invitations.invited_by"),
    Column("created_at", "invitations.created", kind="date"),
    Column("expires_at", "invitations.expires", kind="datetime"),
    texts="invitations",
)


def _roles(state: ListState) -> rx.Var[list[dict[str, str]]]:
    return member_roles(leads=state.leads, operates=state.operates)


def _invite(state: ListState) -> rx.Component:
    asked = dialog(
        rest_form(
            "invite",
            email_field(label=t("invitations.email"), autocomplete="off"),
            select("role", t("members.role"), _roles(state), value="developer"),
            dialog_foot(dialog_close(), submit_button(t("invitations.invite"))),
            url=endpoints.INVITATIONS,
            done_text=t("invitations.sent"),
            on_done=state.changed,
        ),
        title=t("invitations.invite_title"),
        description=t("invitations.invite_text"),
        trigger=Trigger(t("invitations.invite"), "primary", "plus"),
        open=state.open_dialog == "invite",
        on_open_change=lambda is_open: state.show("invite", is_open),
    )
    return rx.cond(MAY_WRITE, asked, rx.fragment())


def _leave_dialog() -> rx.Component:
    return dialog(
        rest_form(
            "leave",
            text_field("name", t("members.leave_confirm"), autocomplete="off", max_length=100),
            dialog_foot(dialog_close(), submit_button(t("members.leave"), look="primary danger")),
            url=endpoints.LEAVE,
            destination="/",
        ),
        title=t("members.leave_title", name=SessionState.organization_name),
        description=t("members.leave_text"),
        trigger=Trigger(t("members.leave"), "", "log-out"),
        open=MembersState.open_dialog == "leave",
        on_open_change=lambda is_open: MembersState.show("leave", is_open),
    )


def _act_dialog(
    state: ListState,
    act: str,
    *content: rx.Component,
    url: Any,
    method: Any = "POST",
    title: str,
    verb: str,
    done: str,
    danger: bool = False,
    version: rx.Var[int] | None = None,
) -> rx.Component:
    """Asks before one act on the chosen member or invitation."""
    return dialog(
        rest_form(
            f"{act}-form",
            *content,
            dialog_foot(dialog_close(), submit_button(verb, look="primary danger" if danger else "primary")),
            url=url,
            method=method,
            done_text=done,
            on_done=state.changed,
            version=version,
            on_take_theirs=state.changed if version is not None else None,
        ),
        title=title,
        open=state.open_dialog == act,
        on_open_change=state.dismiss,
        size="small",
    )


def _member_dialogs() -> list[rx.Component]:
    chosen = MembersState.chosen
    name, count = chosen["name"].to(str), chosen["active_keys"].to(int)
    url = f"{endpoints.MEMBERS}/{chosen['id'].to(str)}"
    keys = rx.el.p(rx.cond(count > 0, plural("members.keys_stay", count), t("members.no_keys")))
    return [
        _act_dialog(
            MembersState,
            "role",
            rx.el.p(t("members.role_text", name=name)),
            select("role", t("members.role"), _roles(MembersState), value=chosen["role"]),
            url=url,
            method="PATCH",
            title=t("members.role_title", name=name),
            verb=t("members.change_role"),
            done=t("members.role_changed"),
            version=chosen["version"].to(int),
        ),
        _act_dialog(
            MembersState,
            "suspend",
            rx.el.p(t("members.suspend_text", name=name)),
            keys,
            url=f"{url}/suspend",
            title=t("members.suspend_title", name=name),
            verb=t("members.suspend"),
            done=t("members.suspended"),
            danger=True,
        ),
        _act_dialog(
            MembersState,
            "resume",
            rx.el.p(t("members.resume_text", name=name)),
            url=f"{url}/resume",
            title=t("members.resume_title", name=name),
            verb=t("members.resume"),
            done=t("members.resumed"),
        ),
        _act_dialog(
            MembersState,
            "remove",
            rx.el.p(t("members.remove_text", name=name)),
            keys,
            url=url,
            method="DELETE",
            title=t("members.remove_title", name=name),
            verb=t("members.remove"),
            done=t("members.removed"),
            danger=True,
        ),
    ]


def _invitation_dialogs() -> list[rx.Component]:
    chosen = InvitationsState.chosen
    email = chosen["email"].to(str)
    url = f"{endpoints.INVITATIONS}/{chosen['id'].to(str)}"
    return [
        _act_dialog(
            InvitationsState,
            "resend",
            rx.el.p(t("invitations.resend_text")),
            url=f"{url}/resend",
            title=t("invitations.resend_title", email=email),
            verb=t("invitations.resend"),
            done=t("invitations.resent"),
        ),
        _act_dialog(
            InvitationsState,
            "revoke",
            rx.el.p(t("invitations.revoke_text")),
            url=url,
            method="DELETE",
            title=t("invitations.revoke_title", email=email),
            verb=t("invitations.revoke"),
            done=t("invitations.revoked"),
            danger=True,
        ),
    ]


def _member_actions(row: Row) -> rx.Component:
    def acts(*more: MenuEntry) -> rx.Component:
        entries = [MenuEntry("role", t("members.change_role"), "pencil"), *more]
        label = t("table.actions_of", row=row["name"].to(str))
        return menu(label, entries, on_action=lambda act: MembersState.ask(row["id"].to(str), act))

    remove = MenuEntry("remove", t("members.remove"), "trash-2", danger=True)
    shown = rx.cond(
        row["status"] == "suspended",
        acts(MenuEntry("resume", t("members.resume"), "rotate-ccw"), remove),
        acts(MenuEntry("suspend", t("members.suspend"), "ban", danger=True), remove),
    )
    return rx.cond(MAY_WRITE & ~row["self"].bool(), shown, rx.fragment())


def _invitation_actions(row: Row) -> rx.Component:
    entries = [
        MenuEntry("resend", t("invitations.resend"), "send"),
        MenuEntry("revoke", t("invitations.revoke"), "ban", danger=True),
    ]
    shown = menu(
        t("table.actions_of", row=row["email"].to(str)),
        entries,
        on_action=lambda act: InvitationsState.ask(row["id"].to(str), act),
    )
    return rx.cond(MAY_WRITE, shown, rx.fragment())


def _tabs(current: str) -> rx.Component:
    return link_tabs(
        LinkTab(t("members.title"), ADDRESS),
        LinkTab(t("invitations.title"), INVITATIONS_ADDRESS),
        label=t("members.tabs"),
        current=current,
    )


def _of(states: Mapping[str, Status]) -> list[tuple[str, Any]]:
    """Choices of a filter, in the words of the badges."""
    return [(name, t(status.text)) for name, status in states.items()]


def _chip_words(**columns: list[tuple[str, Any]]) -> dict[str, Any]:
    """The words of values by column."""
    return {f"{column}:{name}": words for column, choices in columns.items() for name, words in choices}


@page(
    ADDRESS,
    console=Console.PORTAL,
    title="members.title",
    needs=Capability.MEMBERS_READ,
    on_load=MembersState.load,
)
def members() -> Drawn:
    """The organisation's people."""
    statuses, two_step = _of(STATUSES), _of(TWO_STEP)
    listed = lists.listing(
        MembersState,
        MEMBERS,
        [
            Filter("search", "members.search", "search"),
            Filter("role", "members.role", options=held_roles(operates=MembersState.operates)),
            Filter("status", "members.status", options=statuses),
            Filter("two_step", "members.two_step", options=two_step, shown=MAY_WRITE),
        ],
        empty=empty_state(t("members.none"), t("members.none_text"), icon_name="users"),
        names={"search": t("members.search")},
        values=_chip_words(role=role_words(), status=statuses, two_step=two_step),
        actions=_member_actions,
    )
    return [
        page_header(
            t("members.title"),
            _leave_dialog(),
            lists.export(MembersState),
            _invite(MembersState),
            text=t("members.text"),
        ),
        _tabs(ADDRESS),
        in_its_state(MembersState, listed, retry=MembersState.load),
        *_member_dialogs(),
    ]


@page(
    INVITATIONS_ADDRESS,
    console=Console.PORTAL,
    title="invitations.title",
    needs=Capability.MEMBERS_READ,
    on_load=InvitationsState.load,
)
def waiting_invitations() -> Drawn:
    """Who was invited and has not accepted yet."""
    statuses = _of(INVITATION_STATUSES)
    listed = lists.listing(
        InvitationsState,
        INVITATIONS,
        [
            Filter("email[contains]", "invitations.email", "search"),
            Filter("role", "members.role", options=held_roles(operates=InvitationsState.operates)),
            Filter("status", "members.status", options=statuses),
        ],
        empty=empty_state(t("invitations.none"), t("invitations.none_text"), icon_name="mail"),
        values=_chip_words(role=role_words(), status=statuses),
        actions=_invitation_actions,
    )
    return [
        page_header(
            t("invitations.title"),
            lists.export(InvitationsState),
            _invite(InvitationsState),
            text=t("invitations.text"),
        ),
        _tabs(INVITATIONS_ADDRESS),
        in_its_state(InvitationsState, listed, retry=InvitationsState.load),
        *_invitation_dialogs(),
    ]
