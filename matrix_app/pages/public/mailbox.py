"""The mail that demo mode keeps instead of sending."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.states import empty_state, skeleton
from components.format.values import when
from components.forms.fields import email_field
from components.forms.form import action_button, form, form_foot, submit_button
from components.kit.tabs import Tab, tabs
from components.shell.page import page_header
from components.texts import t
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from state.mailbox import MailboxState
from state.session import SessionState

# No script runs in it and nothing of ours can be reached from it; its links may open, as in any mail program.
SANDBOX = "allow-popups allow-popups-to-escape-sandbox"


def in_html(mail: rx.Var[dict[str, Any]]) -> rx.Component:
    """A mail as a program that shows HTML would draw it."""
    return rx.el.iframe(
        src_doc=mail["html"].to(str), sandbox=SANDBOX, title=mail["subject"].to(str), class_name="mail-frame"
    )


def _content(mail: rx.Var[dict[str, Any]]) -> rx.Component:
    text = rx.el.p(mail["body"].to(str), class_name="mail-body reading")
    both = tabs(
        Tab("text", t("mailbox.as_text"), text),
        Tab("html", t("mailbox.as_html"), in_html(mail)),
        label=t("mailbox.shown_as"),
    )
    return rx.cond(mail["html"].to(str) != "", both, text)


def _mail(mail: rx.Var[dict[str, Any]]) -> rx.Component:
    open_link = rx.el.a(t("mailbox.open_link"), href=mail["link"].to(str), class_name="button primary")
    return rx.el.li(
        rx.el.article(
            rx.el.h2(mail["subject"].to(str)),
            rx.el.p(
                t("mailbox.to", address=mail["recipient"].to(str)),
                " \u00b7 ",
                when(mail["created_at"], "datetime", zone=SessionState.zone),
                class_name="small muted",
            ),
            _content(mail),
            rx.cond(mail["link"], rx.el.p(open_link), rx.fragment()),
            class_name="card stack",
        ),
        key=mail["id"].to(str),
    )


@page("/mailbox", console=Console.PUBLIC, title="mailbox.title", on_load=MailboxState.load)
def mailbox() -> Drawn:
    """Mail of one address, typed or just used; staff sees all."""
    asking = form(
        "mailbox",
        email_field(
            "address", t("mailbox.address"), hint=t("mailbox.address_hint"), value=MailboxState.address
        ),
        form_foot(submit_button(t("mailbox.show"), look="")),
        on_submit=MailboxState.ask,
    )
    none = rx.cond(
        MailboxState.address != "",
        empty_state(
            t("mailbox.none"),
            t("mailbox.none_text"),
            action=action_button(t("mailbox.refresh"), on_press=MailboxState.load, icon="refresh-cw"),
            icon_name="mail",
        ),
        rx.cond(
            MailboxState.sees_all,
            empty_state(t("mailbox.nothing"), t("mailbox.none_text"), icon_name="mail"),
            empty_state(t("mailbox.ask"), t("mailbox.ask_text"), icon_name="mail"),
        ),
    )
    mails = rx.el.ul(rx.foreach(MailboxState.rows, _mail), class_name="stack plain-list")
    everything = rx.cond(MailboxState.sees_all, rx.el.p(t("mailbox.all"), class_name="muted"), rx.fragment())
    content = rx.fragment(asking, everything, rx.cond(MailboxState.rows.length() > 0, mails, none))
    return [
        page_header(t("mailbox.title"), text=t("mailbox.text")),
        in_its_state(
            MailboxState,
            content,
            loading=skeleton(lines=6, label=t("mailbox.loading")),
            retry=MailboxState.load,
        ),
    ]
