"""A way back in for who has forgotten the password, and the second step of signing in."""

from __future__ import annotations

import reflex as rx

from components.forms.fields import email_field, password_field, text_field
from components.forms.form import form_foot, rest_form, submit_button
from components.links import link
from components.shell.page import card, page_header
from components.texts import t
from matrix_app.pages import endpoints
from matrix_app.pages.registry import Console, Drawn, page
from state.account import ResetState


def _ask() -> rx.Component:
    return card(
        rx.el.p(t("reset.ask_text")),
        rest_form(
            "ask-reset",
            email_field(label=t("account.email"), autocomplete="username"),
            form_foot(submit_button(t("reset.ask_submit"))),
            url=endpoints.REQUEST_RESET,
            done_text=t("reset.asked"),
        ),
    )


def _set() -> rx.Component:
    return card(
        rx.el.p(t("reset.set_text")),
        rest_form(
            "set-password",
            password_field(
                label=t("own.password_new"),
                new=True,
                min_length=10,
                hint=t("own.password_hint"),
                strength=True,
            ),
            form_foot(submit_button(t("reset.submit"))),
            url=endpoints.RESET_PASSWORD,
            extra={"token": ResetState.token},
            destination="/sign-in",
        ),
        rx.el.p(t("reset.again"), " ", link(t("reset.again_link"), href="/reset"), class_name="muted"),
    )


@page("/reset", console=Console.PUBLIC, title="reset.title", on_load=ResetState.load)
def reset() -> Drawn:
    """Without a token: ask for the mail. With one: set the password."""
    return [page_header(t("reset.title")), rx.cond(ResetState.token != "", _set(), _ask())]


@page("/sign-in/code", console=Console.PUBLIC, title="code.title")
def code() -> Drawn:
    """After a right password; afterwards to `?next=`."""
    return [
        page_header(t("code.title"), text=t("code.text")),
        card(
            rest_form(
                "code",
                text_field("code", t("code.label"), hint=t("code.hint"), autocomplete="one-time-code"),
                form_foot(submit_button(t("code.submit"))),
                url=endpoints.SIGN_IN_CODE,
                destination="/",
            )
        ),
        rx.el.p(t("code.lost"), " ", t("code.lost_text"), class_name="muted"),
        rx.el.p(link(t("code.lost_link"), href="/sign-in"), class_name="muted"),
    ]
