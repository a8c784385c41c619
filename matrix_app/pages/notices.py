"""What a person was told, and where they choose what to be told."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import Status
from components.feedback.states import empty_state, skeleton
from components.forms.fields import switch
from components.forms.form import action_button
from components.icons import icon
from components.links import button_link, link
from components.shell.page import card, page_header
from components.tables.table import Column, Paging, Table, data_table
from components.texts import t, texts_under
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from state.notices import PAGE, NoticesState, PreferencesState
from state.session import SessionState

PREFERENCES = "/account/notifications"
Row = rx.Var[dict[str, Any]]

NOTICES = Table(
    "notices",
    "notices.title",
    columns=(
        Column("title", "notices.what", row_header=True),
        Column("body", "notices.details"),
        Column("organization", "notices.organization"),
        Column("created_at", "notices.time", kind="datetime"),
        Column(
            "state",
            "notices.state",
            kind="badge",
            statuses={
                "unread": Status("notices.unread", "info", "circle-dot"),
                "read": Status("notices.read", "neutral", "check"),
            },
        ),
    ),
)


def _open(row: Row) -> rx.Component:
    return action_button(
        t("notices.open"),
        on_press=NoticesState.open(row["id"].to(str)),
        look="compact",
        icon="arrow-right",
        name=t("notices.open_of", title=row["title"].to(str)),
    )


@page(PAGE, console=Console.ACCOUNT, title="notices.title", on_load=NoticesState.load)
def notices() -> Drawn:
    """The person's own, the newest first."""
    settings = button_link(t("notices.settings"), href=PREFERENCES, icon_name="settings")
    read_all = rx.cond(
        NoticesState.has_unread,
        action_button(t("notices.read_all"), on_press=NoticesState.read_all, icon="check"),
        rx.fragment(),
    )
    content = rx.el.div(
        data_table(
            NOTICES,
            NoticesState.rows,
            status=NoticesState.status,
            empty=empty_state(t("notices.none"), t("notices.none_text"), action=settings, icon_name="bell"),
            paging=Paging(
                ~NoticesState.is_first,
                NoticesState.next_cursor != "",
                NoticesState.first_page,
                NoticesState.next_page,
            ),
            actions=_open,
            zone=SessionState.zone,
            error_reference=NoticesState.problem.reference,
            on_retry=NoticesState.load,
        ),
        class_name="listing",
    )
    return [
        page_header(t("notices.title"), settings, read_all, text=t("notices.text")),
        in_its_state(NoticesState, content, retry=NoticesState.load),
    ]


def _topic(row: Row) -> rx.Component:
    topic = row["topic"].to(str)
    name = rx.match(row["topic"], *texts_under("preferences.topic").items(), topic)

    def choice(channel: str) -> rx.Component:
        return switch(
            topic + f"-{channel}",
            t(f"preferences.{channel}"),
            value=row[channel],
            on_change=lambda wanted: PreferencesState.prefer(topic, channel, wanted),
        )

    choices = rx.el.div(choice("in_app"), choice("mail"), class_name="row")
    locked = rx.el.p(icon("lock"), t("preferences.locked"), class_name="with-icon small muted")
    return rx.el.div(
        rx.el.strong(name),
        rx.cond(row["locked"], locked, choices),
        class_name="preference",
        role="group",
        aria_label=name,
        key=topic,
    )


@page(PREFERENCES, console=Console.ACCOUNT, title="preferences.title", on_load=PreferencesState.load)
def preferences() -> Drawn:
    """By topic and channel; takes effect at once."""
    return [
        rx.el.p(link(t("preferences.back"), href=PAGE), class_name="back-link"),
        page_header(t("preferences.title"), text=t("preferences.text")),
        in_its_state(
            PreferencesState,
            card(rx.foreach(PreferencesState.topics, _topic)),
            loading=skeleton(lines=8, label=t("preferences.loading")),
            retry=PreferencesState.load,
        ),
    ]
