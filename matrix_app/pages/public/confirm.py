"""The page that a confirmation mail leads to, and where one waits for that mail."""

from __future__ import annotations

import reflex as rx

from components.forms.fields import email_field, password_field
from components.forms.form import form_foot, rest_form, submit_button
from components.links import button_link, link
from components.shell.page import card, page_header
from components.texts import t
from matrix_app.pages import endpoints
from matrix_app.pages.registry import Console, Drawn, page
from state.account import ConfirmState
from state.session import SessionState


def _ready() -> rx.Component:
    return card(
        rx.el.p(t("confirm.ready")),
        # Whoever signed up may be somebody else, who does not get to keep a password to this address.
        rest_form(
            "confirm",
            password_field(label=t("account.password"), hint=t("confirm.password_hint")),
            form_foot(submit_button(t("confirm.submit"))),
            url=endpoints.CONFIRM,
            extra={"token": ConfirmState.token},
            destination="/",
        ),
        rx.el.p(
            t("confirm.unknown"), " ", link(t("confirm.unknown_link"), href="/sign-up"), class_name="muted"
        ),
    )


def _waiting() -> rx.Component:
    return card(
        rx.cond(
            ConfirmState.address != "",
            rx.el.p(t("confirm.waiting_for", address=ConfirmState.address)),
            rx.el.p(t("confirm.waiting")),
        ),
        rx.cond(
            SessionState.demo,
            rx.el.p(
                button_link(t("confirm.mailbox"), href=ConfirmState.mailbox, look="primary", icon_name="mail")
            ),
            rx.fragment(),
        ),
    )


@page("/confirm", console=Console.PUBLIC, title="confirm.title", on_load=ConfirmState.load)
def confirm() -> Drawn:
    """With a token: confirm it, which signs in. Without: wait for the mail, or ask for a new one."""
    return [
        page_header(t("confirm.title")),
        rx.cond(ConfirmState.token != "", _ready(), _waiting()),
        card(
            rx.el.p(t("confirm.resend_text"), class_name="muted"),
            rest_form(
                "resend",
                email_field(label=t("account.email"), value=ConfirmState.address),
                form_foot(submit_button(t("confirm.resend_submit"), look="")),
                url=endpoints.RESEND_CONFIRMATION,
                done_text=t("confirm.resent"),
            ),
            title=t("confirm.resend"),
        ),
    ]
